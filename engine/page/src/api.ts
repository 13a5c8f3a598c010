// The server's side of the page: one function a request.

import type { Cost, MachineState, Model } from "./types";
import { text } from "./strings";

/** An error that the server told, or that it did not answer at all (status 0). */
export class ServerError extends Error {
  constructor(public status: number, message: string, public code = "") {
    super(message);
  }
}

const keyName = "eyelet-key";
let askForKey: (wrong: boolean) => Promise<string> = async () => "";

/** onKey sets who asks the user for a key. */
export function onKey(ask: (wrong: boolean) => Promise<string>) {
  askForKey = ask;
}

let asking: Promise<string> | null = null;

// One question serves all requests that were refused meanwhile.
function key(wrong: boolean): Promise<string> {
  asking ??= askForKey(wrong).finally(() => (asking = null));
  return asking;
}

/** request sends a request, with the key where one is demanded. Failures are a ServerError. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  for (;;) {
    const used = sessionStorage.getItem(keyName);
    const headers = new Headers(init.headers);
    if (used) headers.set("Authorization", "Bearer " + used);
    let response: Response;
    try {
      response = await fetch(path, { ...init, headers });
    } catch (error) {
      if ((error as Error).name === "AbortError") throw error;
      throw new ServerError(0, text.serverGone);
    }
    if (response.status === 401) {
      if (used !== sessionStorage.getItem(keyName)) continue; // asked meanwhile
      sessionStorage.setItem(keyName, await key(used !== null));
      continue;
    }
    if (!response.ok) throw await failure(response);
    return response;
  }
}

async function failure(response: Response): Promise<ServerError> {
  let message = response.statusText || `status ${response.status}`;
  try {
    const body = await response.json();
    message = typeof body.error === "string" ? body.error : (body.error?.message ?? message);
  } catch {
    // The status has to do.
  }
  return new ServerError(response.status, message);
}

function post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const headers = { "Content-Type": "application/json" };
  return request(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

/** models lists what the server has; `drawing` is why it cannot draw, or empty. */
export async function models(): Promise<{ models: Model[]; drawing: string }> {
  return (await request("page/api/models")).json();
}

/** state is what the server is doing. */
export async function state(): Promise<MachineState> {
  return (await request("page/api/state")).json();
}

/** reports lists the folders with reports that the server was given. */
export async function reports(): Promise<{ configured: boolean; names: string[] }> {
  return (await request("page/api/reports")).json();
}

/** report is the document of a report. */
export async function report(name: string): Promise<string> {
  return (await request("page/api/reports/" + encodeURIComponent(name))).text();
}

/** A message as the server takes it, pictures as base64. */
export interface ChatMessage {
  role: string;
  content: string;
  images?: string[];
}

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  format?: unknown;
}

/** What arrives while an answer is written. */
export interface ChatEvent {
  text?: string;
  thinking?: string;
  error?: string;
  done?: Cost;
}

/** chat asks, and hands on what arrives until the answer ends. A stream that ends early is an error. */
export async function chat(
  body: ChatRequest, signal: AbortSignal, take: (event: ChatEvent) => void,
): Promise<void> {
  let complete = false;
  await lines<ChatEvent>(await post("page/api/chat", body, signal), (event) => {
    if (event.error) throw new ServerError(500, event.error);
    complete ||= event.done !== undefined;
    take(event);
  });
  if (!complete) throw new ServerError(0, text.interrupted);
}

// lines hands on the JSON documents of an answer, one a line, as they come.
async function lines<T>(response: Response, take: (event: T) => void): Promise<void> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let chunk: ReadableStreamReadResult<string>;
    try {
      chunk = await reader.read();
    } catch (error) {
      if ((error as Error).name === "AbortError") throw error;
      throw new ServerError(0, text.interrupted);
    }
    if (chunk.done) break;
    rest += chunk.value;
    const whole = rest.split("\n");
    rest = whole.pop()!;
    for (const line of whole) if (line) take(JSON.parse(line));
  }
}

/** What to draw, in the words of OpenAI's API. */
export interface DrawRequest {
  model: string;
  prompt: string;
  negative_prompt?: string;
  size?: string;
  steps?: number;
  seed?: number;
  n?: number;
  init?: string; // a picture to begin with, as base64
  strength?: number;
}

/** What arrives while pictures are drawn. */
export interface DrawEvent {
  stage?: "loading" | "sampling" | "decoding";
  picture?: number;
  pictures?: number;
  step?: number;
  steps?: number;
  drawn?: { png: string; seed: number }[];
  error?: string;
}

/** draw has pictures drawn, and hands on how far that is. */
export async function draw(
  body: DrawRequest, signal: AbortSignal, take: (event: DrawEvent) => void,
): Promise<{ png: string; seed: number }[]> {
  let drawn: { png: string; seed: number }[] | undefined;
  await lines<DrawEvent>(await post("page/api/draw", body, signal), (event) => {
    if (event.error) throw new ServerError(500, event.error);
    drawn = event.drawn ?? drawn;
    take(event);
  });
  if (!drawn) throw new ServerError(0, text.interrupted);
  return drawn;
}

/** What a conversation would cost, before it is sent. */
export interface Estimate {
  tokens: number;
  imageTokens: number;
  context: number;
}

/** estimate counts the tokens of a conversation. */
export async function estimate(body: ChatRequest, signal: AbortSignal): Promise<Estimate> {
  return (await post("page/api/estimate", body, signal)).json();
}

/** view has the server decode a picture, or a page of a document: a JPEG whose longer side is at most `side` pixels. */
export async function view(
  picture: Blob, side: number, page = 0,
): Promise<{ blob: Blob; width: number; height: number; pages: number }> {
  const response = await request(`page/api/view?side=${side}&page=${page}`, { method: "POST", body: picture });
  return {
    blob: await response.blob(),
    width: Number(response.headers.get("X-Picture-Width")),
    height: Number(response.headers.get("X-Picture-Height")),
    pages: Number(response.headers.get("X-Picture-Pages")),
  };
}

/** load makes a model ready, or lets go of it. */
export async function load(model: string, on: boolean): Promise<void> {
  await post("api/generate", on ? { model } : { model, keep_alive: 0 });
}

/** show is all that is known of a model. */
export async function show(model: string): Promise<Record<string, unknown>> {
  return (await post("api/show", { model })).json();
}

/** removeModel deletes a model of the store. */
export async function removeModel(model: string): Promise<void> {
  await request("api/delete", {
    method: "DELETE",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model }),
  });
}

/** upload brings a file into the store, and returns its digest. */
export function upload(file: File, progress: (sent: number) => void): Promise<string> {
  // fetch tells nothing of how far an upload is; XMLHttpRequest does.
  return new Promise((resolve, reject) => {
    const sender = new XMLHttpRequest();
    sender.open("POST", "page/api/blob");
    const used = sessionStorage.getItem(keyName);
    if (used) sender.setRequestHeader("Authorization", "Bearer " + used);
    sender.upload.onprogress = (event) => progress(event.loaded);
    sender.onerror = () => reject(new ServerError(0, text.serverGone));
    sender.onload = () => {
      let body: { digest?: string; error?: string } = {};
      try {
        body = JSON.parse(sender.responseText);
      } catch {
        // The status has to do.
      }
      if (sender.status === 200 && body.digest) resolve(body.digest);
      else reject(new ServerError(sender.status, body.error ?? sender.statusText));
    };
    sender.send(file);
  });
}

/** create makes a model of files that were uploaded. */
export async function create(name: string, files: Record<string, string>): Promise<void> {
  await post("api/create", { model: name, files, stream: false });
}
