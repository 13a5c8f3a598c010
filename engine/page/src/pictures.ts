// Pictures as the user gives them: read, measured, made small, cut.

import type { Box, Picture } from "./types";
import * as api from "./api";
import * as db from "./db";

const thumbnailSide = 192;
/** viewSide is the longer side of what the server makes of a file for the screen, in pixels. */
export const viewSide = 2048;

const mostSide = 4096; // that the server makes

/** newId makes an id. crypto.randomUUID is not there where the page came over plain HTTP. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

/** read takes a file in: measures it and makes it small. The server helps with what the browser cannot show. */
export async function read(file: Blob, name: string): Promise<Picture> {
  const picture: Picture = {
    id: newId(), name, blob: file, width: 0, height: 0, thumbnail: "",
  };
  let shown: Blob = file;
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file); // which turns photos upright
    [picture.width, picture.height] = [bitmap.width, bitmap.height];
  } catch {
    const made = await api.view(file, viewSide);
    [picture.width, picture.height] = [made.width, made.height];
    shown = picture.view = made.blob;
    if (made.pages > 1) picture.pages = made.pages;
    bitmap = await createImageBitmap(shown);
  }
  picture.thumbnail = draw(bitmap, 0, 0, bitmap.width, bitmap.height, thumbnailSide).toDataURL(
    "image/jpeg", 0.8,
  );
  bitmap.close();
  await db.keepPicture(picture);
  return picture;
}

/** cut makes a picture of a part of another, at full resolution. */
export async function cut(from: Picture, part: Box): Promise<Picture> {
  let source = from.view ?? from.blob;
  if (from.view && Math.max(from.width, from.height) > viewSide) {
    source = (await api.view(from.blob, mostSide, from.page)).blob;
  }
  const bitmap = await createImageBitmap(source);
  const scale = bitmap.width / from.width; // of a view that is smaller than the picture
  const canvas = draw(
    bitmap, part.x * scale, part.y * scale, part.width * scale, part.height * scale, 0,
  );
  bitmap.close();
  const blob = await new Promise<Blob>((resolve, reject) =>
    canvas.toBlob((b) => (b ? resolve(b) : reject(new Error("canvas"))), "image/png"),
  );
  const made = await read(blob, from.name);
  made.part = part;
  await db.keepPicture(made);
  return made;
}

// draw copies a part of a bitmap, made as small as a square of `side` pixels asks; 0 keeps its size.
function draw(
  bitmap: ImageBitmap, x: number, y: number, w: number, h: number, side: number,
): HTMLCanvasElement {
  const scale = side ? Math.min(1, side / Math.max(w, h)) : 1;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(w * scale));
  canvas.height = Math.max(1, Math.round(h * scale));
  const context = canvas.getContext("2d")!;
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, x, y, w, h, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** base64 is a file as the API takes it. */
export async function base64(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve((reader.result as string).split(",", 2)[1] ?? "");
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** fromBase64 is the reverse of base64. */
export function fromBase64(data: string, type: string): Blob {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  return new Blob([bytes], { type });
}

/** isPicture tells by type or name whether a file may be a picture. The server has the last word. */
export function isPicture(file: File): boolean {
  return file.type.startsWith("image/") ||
    /\.(jpe?g|png|gif|webp|bmp|tiff?|hei[cf]|avif|jxl|pdf)$/i.test(file.name);
}

/** filesOf are the files of a drop, those in folders included. */
export async function filesOf(data: DataTransfer): Promise<File[]> {
  const entries = Array.from(data.items)
    .map((item) => item.webkitGetAsEntry?.())
    .filter((entry): entry is FileSystemEntry => !!entry);
  if (!entries.some((entry) => entry.isDirectory)) return Array.from(data.files);
  const files: File[] = [];
  for (const entry of entries) await walk(entry, files);
  return files;
}

const mostFiles = 64;

async function walk(entry: FileSystemEntry, files: File[]): Promise<void> {
  if (files.length >= mostFiles) return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    if (isPicture(file)) files.push(file);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (!some.length) return;
    some.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    for (const inner of some) await walk(inner, files);
  }
}
