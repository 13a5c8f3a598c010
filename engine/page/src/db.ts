// Conversations and pictures are kept in the browser, in IndexedDB: a server that restarts loses nothing.

import type { Conversation, Picture } from "./types";

const name = "eyelet";
const conversations = "conversations";
const pictures = "pictures";

let opened: Promise<IDBDatabase> | null = null;

function open(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const wanted = indexedDB.open(name, 1);
    wanted.onupgradeneeded = () => {
      wanted.result.createObjectStore(conversations, { keyPath: "id" });
      wanted.result.createObjectStore(pictures, { keyPath: "id" });
    };
    wanted.onsuccess = () => resolve(wanted.result);
    wanted.onerror = () => reject(wanted.error);
  });
  return opened;
}

function done<T>(wanted: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    wanted.onsuccess = () => resolve(wanted.result);
    wanted.onerror = () => reject(wanted.error);
  });
}

async function store(of: string, mode: IDBTransactionMode): Promise<IDBObjectStore> {
  return (await open()).transaction(of, mode).objectStore(of);
}

/** allConversations lists what is kept, the latest first. */
export async function allConversations(): Promise<Conversation[]> {
  const list: Conversation[] = await done((await store(conversations, "readonly")).getAll());
  return list.sort((a, b) => b.updated - a.updated);
}

/** keepConversation keeps a conversation, over what was kept of it. */
export async function keepConversation(conversation: Conversation): Promise<void> {
  await done((await store(conversations, "readwrite")).put(conversation));
}

/** dropConversation forgets a conversation and the pictures that no other one shows. */
export async function dropConversation(id: string, others: Conversation[]): Promise<void> {
  const gone: Conversation | undefined = await done(
    (await store(conversations, "readonly")).get(id),
  );
  await done((await store(conversations, "readwrite")).delete(id));
  const kept = new Set(others.flatMap(picturesOf));
  const target = await store(pictures, "readwrite");
  for (const picture of gone ? picturesOf(gone) : []) {
    if (!kept.has(picture)) target.delete(picture);
  }
}

/** picturesOf lists the ids of the pictures of a conversation. */
export function picturesOf(conversation: Conversation): string[] {
  return Object.values(conversation.messages).flatMap((message) => message.pictures);
}

/** keepPicture keeps a picture. */
export async function keepPicture(picture: Picture): Promise<void> {
  await done((await store(pictures, "readwrite")).put(picture));
}

/** getPicture returns a picture, or undefined for one that is not kept. */
export async function getPicture(id: string): Promise<Picture | undefined> {
  return done((await store(pictures, "readonly")).get(id));
}
