// What leaves the page as a file, and comes back: conversations with their pictures, tables, pages.

import type { Conversation, Message, Picture } from "./types";
import * as db from "./db";
import { base64, fromBase64, newId } from "./pictures";

/** download hands a file to the browser. */
export function download(name: string, content: Blob | string, type = "text/plain") {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.download = name.replace(/[\\/:*?"<>|\u0000-\u001f]+/g, " ").trim() || "eyelet";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const format = "eyelet-conversations";

interface Exported {
  format: string;
  version: number;
  conversations: Conversation[];
  pictures: (Omit<Picture, "blob" | "view"> & {
    data: string; type: string; view?: string;
  })[];
}

/** exportJSON is conversations with their pictures, as importJSON takes them. */
export async function exportJSON(conversations: Conversation[]): Promise<string> {
  const out: Exported = { format, version: 1, conversations, pictures: [] };
  for (const id of new Set(conversations.flatMap(db.picturesOf))) {
    const picture = await db.getPicture(id);
    if (!picture) continue;
    const { blob, view, ...rest } = picture;
    out.pictures.push({
      ...rest, data: await base64(blob), type: blob.type, view: view && (await base64(view)),
    });
  }
  return JSON.stringify(out);
}

/** importJSON keeps the conversations of a file under new ids, and returns them. Other files are an error. */
export async function importJSON(source: string): Promise<Conversation[]> {
  const all = JSON.parse(source) as Exported;
  if (all.format !== format || all.version !== 1) throw new Error(format);
  const ids = new Map<string, string>();
  for (const { data, type, view, ...rest } of all.pictures) {
    const picture: Picture = { ...rest, id: newId(), blob: fromBase64(data, type) };
    if (view) picture.view = fromBase64(view, "image/jpeg");
    if (!/^data:image\/jpeg;base64,/.test(picture.thumbnail)) picture.thumbnail = "";
    ids.set(rest.id, picture.id);
    await db.keepPicture(picture);
  }
  for (const conversation of all.conversations) {
    conversation.id = newId();
    for (const message of Object.values(conversation.messages)) {
      message.pictures = message.pictures.flatMap((id) => ids.get(id) ?? []);
    }
    await db.keepConversation(conversation);
  }
  return all.conversations;
}

/** markdown is the branch of a conversation that is shown, for people to read. */
export function markdown(title: string, branch: Message[], names: (id: string) => string): string {
  const parts = [`# ${title}`];
  for (const message of branch) {
    if (message.role === "user") {
      const pictures = message.pictures.map((id) => `*${names(id)}*`);
      parts.push(`**You:** ${message.text}`, ...pictures);
    } else {
      for (const column of message.columns) parts.push(`**${column.model}:**`, column.text);
    }
  }
  return parts.join("\n\n") + "\n";
}

/** csv writes rows as RFC 4180 has them. */
export function csv(rows: string[][]): string {
  const cell = (s: string) => (/[",\n\r]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s);
  return rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}
