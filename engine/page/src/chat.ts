// The conversations: what there is, which one is shown, and answers while they are written.

import type { Column, Conversation, Message, Model, Picture } from "./types";
import * as api from "./api";
import * as db from "./db";
import { base64, newId } from "./pictures";
import { text } from "./strings";
import { Topic } from "./topic";

/** list changes when conversations come, go or are renamed; shown when another one is shown or gets a message. */
export const list = new Topic();
export const shown = new Topic();

let conversations: Conversation[] = [];
let current: Conversation = empty([]);
const pictures = new Map<string, Picture>(); // those that were asked for
const running = new Map<string, AbortController>(); // by conversation
const live = new Map<string, Topic>(); // by message, while its answer is written

function empty(models: string[]): Conversation {
  const now = Date.now();
  return {
    id: newId(), title: "", created: now, updated: now, models, system: "", schema: "", leaf: null,
    messages: {},
  };
}

/** load reads what the browser keeps. An answer that was cut off by closing the page says so. */
export async function load() {
  conversations = await db.allConversations();
  for (const conversation of conversations) {
    for (const column of Object.values(conversation.messages).flatMap((m) => m.columns)) {
      if (column.running) Object.assign(column, { running: false, error: text.interrupted });
    }
  }
  list.publish();
}

export const all = () => conversations;
export const now = () => current;
export const liveOf = (message: string) => live.get(message);
export const isRunning = (conversation = current.id) => running.has(conversation);

/** begin shows a new conversation, which is kept from its first question on. */
export function begin() {
  const { models } = current;
  current = empty(models);
  shown.publish();
}

/** open shows a conversation. */
export function open(id: string) {
  const found = conversations.find((c) => c.id === id);
  if (found) current = found;
  shown.publish();
}

/** change changes what is shown, and keeps it if it has begun. */
export async function change(make: (conversation: Conversation) => void) {
  make(current);
  if (conversations.includes(current)) await db.keepConversation(current);
  shown.publish();
  list.publish();
}

/** rename gives a conversation a title. */
export async function rename(id: string, title: string) {
  const found = conversations.find((c) => c.id === id);
  if (!found || !title.trim()) return;
  found.title = title.trim();
  await db.keepConversation(found);
  list.publish();
  shown.publish();
}

/** remove forgets a conversation. */
export async function remove(id: string) {
  running.get(id)?.abort();
  conversations = conversations.filter((c) => c.id !== id);
  await db.dropConversation(id, conversations);
  if (current.id === id) begin();
  list.publish();
}

/** add takes in conversations that came from a file. */
export function add(more: Conversation[]) {
  conversations = [...more, ...conversations];
  list.publish();
}

/** search lists the conversations in whose title, questions or answers all words of a query stand. */
export function search(query: string): Conversation[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return conversations;
  return conversations.filter((conversation) => {
    const said = Object.values(conversation.messages).flatMap((m) => [
      m.text, ...m.columns.map((column) => column.text),
    ]);
    const whole = [conversation.title, ...said].join("\n").toLowerCase();
    return words.every((word) => whole.includes(word));
  });
}

/** picture returns a picture that a message shows, once it has been read. */
export async function picture(id: string): Promise<Picture | undefined> {
  let found = pictures.get(id);
  if (!found && (found = await db.getPicture(id))) pictures.set(id, found);
  return found;
}

/** remember makes a picture that was just read known, so that it need not be read again. */
export function remember(picture: Picture) {
  pictures.set(picture.id, picture);
}

/** branch lists the messages from the first to the one with an id. */
export function branch(conversation: Conversation, leaf = conversation.leaf): Message[] {
  const messages: Message[] = [];
  for (let id = leaf; id !== null; ) {
    const message: Message | undefined = conversation.messages[id];
    if (!message) break;
    messages.push(message);
    id = message.parent;
  }
  return messages.reverse();
}

/** siblings lists the versions of a message, itself included, in the order of their making. */
export function siblings(conversation: Conversation, message: Message): Message[] {
  return Object.values(conversation.messages)
    .filter((m) => m.parent === message.parent && m.role === message.role)
    .sort((a, b) => a.created - b.created);
}

/** walk shows another version of a message, with what followed it last. */
export function walk(to: Message) {
  let leaf = to;
  for (;;) {
    const after = Object.values(current.messages).filter((m) => m.parent === leaf.id);
    if (!after.length) break;
    leaf = after.reduce((a, b) => (b.created > a.created ? b : a));
  }
  void change((c) => (c.leaf = leaf.id));
}

/** ask adds a question behind `parent`, and has it answered by the models of the conversation. */
export async function ask(question: string, ids: string[], parent: string | null) {
  if (isRunning()) return;
  const conversation = current;
  const message: Message = {
    id: newId(), parent, role: "user", text: question, pictures: ids, columns: [],
    created: Date.now(),
  };
  conversation.messages[message.id] = message;
  conversation.leaf = message.id;
  if (!conversation.title) {
    conversation.title = question.replace(/\s+/g, " ").slice(0, 60) || text.picture;
  }
  await answer(conversation, message);
}

/** askAgain has a question answered once more, as a branch of its own. */
export async function askAgain(question: Message) {
  if (!isRunning()) await answer(current, question);
}

/** stop ends the answer that is being written. What there is of it stays. */
export function stop(conversation = current.id) {
  running.get(conversation)?.abort();
}

async function answer(conversation: Conversation, question: Message) {
  const controller = new AbortController();
  running.set(conversation.id, controller);
  const columns: Column[] = conversation.models.map((model) => ({
    model, text: "", thinking: "", running: true,
  }));
  const message: Message = {
    id: newId(), parent: question.id, role: "assistant", text: "", pictures: [], columns,
    created: Date.now(),
  };
  const topic = new Topic();
  live.set(message.id, topic);
  conversation.messages[message.id] = message;
  conversation.leaf = message.id;
  conversation.updated = Date.now();
  conversations = [conversation, ...conversations.filter((c) => c !== conversation)];
  shown.publish();
  list.publish();
  await db.keepConversation(conversation);
  await Promise.all(columns.map((column, i) => fill(conversation, message, column, i, controller, topic)));
  running.delete(conversation.id);
  live.delete(message.id);
  conversation.updated = Date.now();
  if (conversations.includes(conversation)) await db.keepConversation(conversation);
  shown.publish();
  list.publish();
}

// fill writes one model's answer. What arrives is shown once a frame, however fast it comes.
async function fill(
  conversation: Conversation, message: Message, column: Column, i: number,
  controller: AbortController, topic: Topic,
) {
  let frame = 0;
  const show = () => (frame ||= requestAnimationFrame(() => { frame = 0; topic.publish(); }));
  try {
    const body = await request(conversation, message.parent, column.model, i);
    await api.chat(body, controller.signal, (event) => {
      column.text += event.text ?? "";
      column.thinking += event.thinking ?? "";
      if (event.done) column.cost = event.done;
      show();
    });
  } catch (error) {
    if ((error as Error).name !== "AbortError") column.error = explain(error);
    if (error instanceof api.ServerError) void server.check();
  }
  column.running = false;
  show();
}

/** explain says what went wrong, and what to do. */
export function explain(error: unknown): string {
  const { message } = error as Error;
  if (!(error instanceof api.ServerError)) return message;
  if (error.status === 404) return `${message}. ${text.notLoaded}`;
  if (/context/.test(message) && error.status === 400) {
    return `${text.contextFull}. ${text.dropPictures} (${message})`;
  }
  return message;
}

/** request is a branch as the server takes it, for the model of column i. */
export async function request(
  conversation: Conversation, leaf: string | null, model: string, i = 0,
): Promise<api.ChatRequest> {
  const messages: api.ChatMessage[] = [];
  if (conversation.system.trim()) messages.push({ role: "system", content: conversation.system });
  for (const message of branch(conversation, leaf)) {
    if (message.role === "assistant") {
      const column = message.columns.find((c) => c.model === model) ?? message.columns[i] ??
        message.columns[0];
      messages.push({ role: "assistant", content: column?.text ?? "" });
      continue;
    }
    const found = await Promise.all(message.pictures.map(picture));
    const images = await Promise.all(found.flatMap((p) => (p ? [base64(p.blob)] : [])));
    messages.push({ role: "user", content: message.text, ...(images.length ? { images } : {}) });
  }
  const body: api.ChatRequest = { model, messages };
  if (conversation.schema.trim()) body.format = JSON.parse(conversation.schema);
  return body;
}

/** What is known of the server: its models, and whether it answers. */
class Server {
  readonly topic = new Topic();
  models: Model[] = [];
  drawing = ""; // why the server cannot draw; empty where it can
  gone = false;
  private waiting = false;

  /** refresh asks what models there are. */
  async refresh() {
    try {
      ({ models: this.models, drawing: this.drawing } = await api.models());
      this.gone = false;
    } catch (error) {
      if (error instanceof api.ServerError && error.status === 0) this.lost();
      else throw error;
    }
    if (!current.models.length) {
      const usable = this.models.filter((m) => !m.unusable && !m.draws);
      const first = usable.find((m) => m.loaded) ?? usable.find((m) => m.vision) ?? usable[0];
      if (first) current.models = [first.name];
      shown.publish();
    }
    this.topic.publish();
  }

  /** check looks whether the server answers. */
  async check() {
    try {
      await fetch("healthz");
    } catch {
      this.lost();
    }
  }

  /** lost says that the server does not answer, and tries until it does. */
  lost() {
    this.gone = true;
    this.topic.publish();
    if (this.waiting) return;
    this.waiting = true;
    setTimeout(async () => {
      this.waiting = false;
      await this.refresh().catch(() => this.lost());
    }, 1000);
  }

  find(name: string): Model | undefined {
    return this.models.find((m) => m.name === name);
  }
}

/** server is the server that the page came from. */
export const server = new Server();

const checkPeriod = 5000; // milliseconds

setInterval(() => {
  if (!document.hidden && !server.gone) void server.check();
}, checkPeriod);
