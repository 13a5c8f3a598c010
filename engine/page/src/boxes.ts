// Boxes and points that an answer names, read from the notations of the model families back to
// pixels of the original picture.

import type { Mark } from "./types";

/** marksOf finds the boxes and points of an answer about a picture of a size. */
export function marksOf(answer: string, width: number, height: number): Mark[] {
  if (!width || !height) return [];
  const marks = [
    ...ofLocations(answer, width, height),
    ...ofTags(answer, width, height),
    ...ofJSON(answer, width, height),
  ];
  return marks.filter((mark) => [mark.x, mark.y, mark.width, mark.height].every(Number.isFinite));
}

// PaliGemma: four <locNNNN> of 1024 steps, in the order top, left, bottom, right, then the name.
function ofLocations(answer: string, width: number, height: number): Mark[] {
  const pattern = /((?:<loc\d{4}>){4})\s*([^;<\n]*)/g;
  return Array.from(answer.matchAll(pattern), ([, places, label]) => {
    const [top, left, bottom, right] = Array.from(
      places.matchAll(/\d{4}/g), ([digits]) => Number(digits) / 1024,
    );
    return corners(left * width, top * height, right * width, bottom * height, label.trim());
  });
}

// Qwen-VL's older notation: <ref>name</ref><box>(x1,y1),(x2,y2)</box> in thousandths, Kosmos' and
// others' <box>x1 y1 x2 y2</box>, and <point>x y</point>.
function ofTags(answer: string, width: number, height: number): Mark[] {
  const pattern = /(?:<(?:\|object_)?ref(?:_start\|)?>([^<]*)<[^>]*>\s*)?<(?:\|)?(box|point)(?:_start\|)?>([^<]*)</g;
  const marks: Mark[] = [];
  for (const [, label, kind, inside] of answer.matchAll(pattern)) {
    const numbers = Array.from(inside.matchAll(/-?\d+(?:\.\d+)?/g), ([digits]) => Number(digits));
    const size = numbers.every((n) => n >= 0 && n <= 1) && inside.includes(".") ? 1 : 1000;
    const at = (i: number) => (numbers[i] / size) * (i % 2 ? height : width);
    if (kind === "box" && numbers.length >= 4) {
      marks.push(corners(at(0), at(1), at(2), at(3), (label ?? "").trim()));
    } else if (kind === "point" && numbers.length >= 2) {
      marks.push(point(at(0), at(1), (label ?? "").trim()));
    }
  }
  return marks;
}

// Qwen2.5-VL and Qwen3-VL answer in JSON: bbox_2d and point_2d, in pixels or in thousandths; Gemini's and
// others' box_2d is [top, left, bottom, right] in thousandths; a plain object has x, y, w, h.
function ofJSON(answer: string, width: number, height: number): Mark[] {
  const marks: Mark[] = [];
  for (const value of jsonValues(answer)) {
    walk(value, (item) => {
      const label = String(item.label ?? item.name ?? item.text ?? item.text_content ?? "");
      const corner = numbers(item.bbox_2d ?? item.bbox ?? item.box, 4);
      const upright = numbers(item.box_2d, 4);
      const place = numbers(item.point_2d ?? item.point, 2);
      if (corner) marks.push(scaled(corner, label, width, height));
      if (upright) {
        const [top, left, bottom, right] = upright;
        marks.push(scaled([left, top, right, bottom], label, 1000, 1000, width, height));
      }
      if (place) {
        const [sx, sy] = scales(place, width, height);
        marks.push(point(place[0] * sx, place[1] * sy, label));
      }
      const w = item.w ?? item.width;
      const h = item.h ?? item.height;
      const rectangle = numbers([item.x, item.y, w, h], 4);
      if (rectangle) {
        const [x, y] = rectangle;
        marks.push(scaled([x, y, x + rectangle[2], y + rectangle[3]], label, width, height));
      }
    });
  }
  return marks;
}

// Numbers up to 1 are fractions. Those that do not fit into the picture, but up to 1000, are thousandths.
function scales(values: number[], width: number, height: number): [number, number] {
  if (values.every((n) => n >= 0 && n <= 1)) return [width, height];
  const outside = values.some((n, i) => n > (i % 2 ? height : width));
  if (outside && values.every((n) => n <= 1000)) return [width / 1000, height / 1000];
  return [1, 1];
}

function scaled(
  c: number[], label: string, width: number, height: number, toWidth = 0, toHeight = 0,
): Mark {
  const [sx, sy] = toWidth ? [toWidth / width, toHeight / height] : scales(c, width, height);
  return corners(c[0] * sx, c[1] * sy, c[2] * sx, c[3] * sy, label);
}

function corners(x1: number, y1: number, x2: number, y2: number, label: string): Mark {
  const x = Math.min(x1, x2);
  const y = Math.min(y1, y2);
  return { x, y, width: Math.abs(x2 - x1), height: Math.abs(y2 - y1), label, point: false };
}

function point(x: number, y: number, label: string): Mark {
  return { x, y, width: 0, height: 0, label, point: true };
}

function numbers(value: unknown, n: number): number[] | null {
  if (!Array.isArray(value) || value.length !== n) return null;
  return value.every((v) => typeof v === "number" && Number.isFinite(v)) ? value : null;
}

function walk(value: unknown, take: (item: Record<string, unknown>) => void, depth = 0) {
  if (depth > 16 || typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) take(value as Record<string, unknown>);
  for (const inner of Object.values(value)) walk(inner, take, depth + 1);
}

// jsonValues are the JSON documents in a text: all of it, or what stands in fences, or from the first
// bracket on. An answer that is still being written has none.
function jsonValues(answer: string): unknown[] {
  const places = [answer.trim()];
  for (const [, inside] of answer.matchAll(/```(?:json)?\s*\n([\s\S]*?)```/g)) places.push(inside);
  const first = answer.search(/[[{]/);
  const last = Math.max(answer.lastIndexOf("]"), answer.lastIndexOf("}"));
  if (first >= 0 && last > first) places.push(answer.slice(first, last + 1));
  for (const place of places) {
    try {
      const value: unknown = JSON.parse(place);
      if (typeof value === "object") return [value];
    } catch {
      // The next place may hold one.
    }
  }
  return [];
}
