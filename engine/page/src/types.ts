// What the page keeps and what the server tells it.

/** A picture that the user gave, as it is kept in the browser. */
export interface Picture {
  id: string;
  name: string;
  blob: Blob; // the bytes of the file, as they go to the server
  width: number; // of the upright picture, in pixels; 0 while unknown
  height: number;
  thumbnail: string; // a data URL of at most THUMBNAIL pixels a side
  view?: Blob; // a JPEG of the picture, or of the first page, where the browser cannot show the file itself
  pages?: number; // of a document with several
  page?: number; // of such a document, the one that `view` shows, from 0
  part?: Box; // of the picture that it was cut from, in pixels
}

/** A rectangle in pixels of the original picture. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A box or a point that an answer names. */
export interface Mark extends Box {
  label: string;
  point: boolean;
}

/** What the numbers of an answer about a picture count, as the server knows it of the model's family. */
export interface Frame {
  width: number; // of the upright picture, in pixels
  height: number;
  view: number[]; // what they count across, in pixels of the picture: left, top, width, height
  units: number[]; // the numbers at the right and the lower end of it; 0 where the family has no custom
  upright?: boolean; // points have their row first
}

/** What an answer cost, as the server measured it. Times are in milliseconds. */
export interface Cost {
  finish: string;
  promptTokens: number;
  cachedTokens: number;
  imageTokens: number;
  answerTokens: number;
  encoded: number; // of the pictures, those that the tower had to encode
  pictures: number;
  load: number;
  encode: number;
  prefill: number;
  generate: number;
  firstToken: number;
  total: number;
  context: number;
  frame?: Frame; // of the last picture
}

/** One model's answer to a question. */
export interface Column {
  model: string;
  text: string;
  thinking: string;
  cost?: Cost;
  error?: string;
  running?: boolean;
}

/** A question or an answer. Messages form a tree: a question that is edited, or asked again, is a branch. */
export interface Message {
  id: string;
  parent: string | null;
  role: "user" | "assistant";
  text: string; // of a question
  pictures: string[]; // ids, of a question
  columns: Column[]; // of an answer: one a model that was asked
  created: number;
}

/** A conversation. `leaf` is the last message of the branch that is shown. */
export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  models: string[];
  system: string;
  schema: string; // a JSON schema that holds the answers; empty for none
  leaf: string | null;
  messages: Record<string, Message>;
}

/** A model that the server has. */
export interface Model {
  name: string;
  size: number; // bytes of its files
  parameters: string;
  quantization: string;
  vision: boolean;
  draws: boolean; // pictures, and answers no questions
  side?: number; // of a model that draws: pixels of the pictures that it was trained with
  multiple?: number; // of which both sides are multiples
  thinks: boolean;
  context: number; // tokens it would be loaded with
  needs: number; // bytes of memory that loading it takes, estimated
  fits: boolean;
  loaded: boolean;
  unusable: string; // why it cannot be loaded; empty where it can
  changeable: boolean; // it lies in the store, and may be deleted
}

/** What the server is doing. */
export interface MachineState {
  version: string;
  cpu: string;
  accelerator: string;
  gpu: string;
  memory: { used: number; models: number; limit: number };
  requests: number;
  models: MachineModel[];
}

/** A loaded model at work. Counters grow from the time when it was loaded. */
export interface MachineModel {
  name: string;
  bytes: number;
  context: number;
  waiting: number;
  reading: number;
  writing: number;
  tokens: number;
  promptTokens: number;
  cachedTokens: number;
  cells: number;
  cellsRunning: number;
  cellsCached: number;
  picturesEncoded: number;
  picturesKnown: number;
  encodingSeconds: number;
}
