// Boxes and points that an answer names, read from the notations of the model families back to
// pixels of the original picture. Package models/vision/boxes does the same for the command line, and says
// where the notations come from; its testdata/cases.json holds both to the same marks.

import type { Frame, Mark } from "./types";

// A place is what an answer says, before it is known what its numbers count.
interface Place {
  at: number[]; // left, top, right, bottom
  units?: number; // numbers across the view, where the notation says so
  label: string;
  point: boolean;
  inText: boolean; // in the tags of a family
}

/** marksOf finds the boxes and points of an answer. */
export function marksOf(answer: string, frame: Frame): Mark[] {
  if (frame.width <= 0 || frame.height <= 0) return [];
  const places = read(answer, frame);
  const own = scale(places, frame);
  const tags = !frame.units[0] && own.units[0] !== 1 ? { units: [1000, 1000], view: frame.view } : own;
  return places.flatMap((place) => {
    const by = place.units ? { units: [place.units, place.units], view: frame.view } : place.inText ? tags : own;
    return mark(place, by.units, by.view, frame);
  });
}

/** plainFrame is the frame of a picture of which no more than the size is known. */
export function plainFrame(width: number, height: number): Frame {
  return { width, height, view: [0, 0, width, height], units: [0, 0] };
}

// scale tells, of all places of an answer at once, what their numbers count.
function scale(places: Place[], frame: Frame) {
  const values = places.filter((p) => !p.units).flatMap((p) => p.at);
  const outside = values.some((v, i) => v > (i % 2 ? frame.height : frame.width));
  const view = [0, 0, frame.width, frame.height];
  if (values.every((v) => v >= 0 && v <= 1) && values.some((v) => v !== Math.trunc(v))) {
    return { units: [1, 1], view: frame.view };
  }
  if (frame.units[0] > 1) return { units: frame.units, view: frame.view };
  if (outside && values.every((v) => v <= 1000)) return { units: [1000, 1000], view };
  return { units: [frame.width, frame.height], view };
}

// mark brings a place to pixels of the original picture; what lies outside is none.
function mark(place: Place, units: number[], view: number[], frame: Frame): Mark[] {
  const at = place.at.map((v, i) => view[i % 2] + (v / units[i % 2]) * view[2 + (i % 2)]);
  if (!at.every(Number.isFinite)) return [];
  let left = Math.min(at[0], at[2]);
  let top = Math.min(at[1], at[3]);
  let right = Math.max(at[0], at[2]);
  let bottom = Math.max(at[1], at[3]);
  const { label, point } = place;
  if (point) {
    const inside = left >= 0 && left <= frame.width && top >= 0 && top <= frame.height;
    return inside ? [{ x: left, y: top, width: 0, height: 0, label, point }] : [];
  }
  left = Math.max(left, 0);
  top = Math.max(top, 0);
  right = Math.min(right, frame.width);
  bottom = Math.min(bottom, frame.height);
  return right > left && bottom > top ? [{ x: left, y: top, width: right - left, height: bottom - top, label, point }] : [];
}

function read(answer: string, frame: Frame): Place[] {
  const places: Place[] = [];
  let rest = answer;
  for (const notation of [locations, tags, points]) {
    rest = rest.replace(notation.pattern, (...match: string[]) => {
      places.push(...notation.read(match));
      return " ".repeat(match[0].length);
    });
  }
  return [...places, ...objects(rest, frame)];
}

function trim(text: string | undefined): string {
  return (text ?? "").replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "");
}

// PaliGemma: four <locNNNN> of 1024 steps, in the order top, left, bottom, right, then the name.
const locations = {
  pattern: /((?:<loc\d{4}>){4})[ \n]*([^;<\n]*)/g,
  read([, four, name]: string[]): Place[] {
    const [top, left, bottom, right] = four.match(/\d{4}/g)!.map(Number);
    return [{ at: [left, top, right, bottom], units: 1024, label: trim(name), point: false, inText: false }];
  },
};

// Places between tags, of Qwen-VL, Qwen2-VL, MiniCPM-V, InternVL, GLM-4V and DeepSeek-VL2.
const tags = {
  pattern: /(?:<\|?(?:object_)?ref(?:_start)?\|?>([^<]*)<[^<>]*>[ \n]*)?<\|?(begin_of_)?(box|quad|point|det)(?:_start)?\|?>([^<]*)(?:<|$)/g,
  read([, name, glm, kind, inside]: string[]): Place[] {
    if (glm && !inside.includes("[")) return []; // its answers, of whatever kind
    const all = (inside.match(/-?\d+(?:\.\d+)?/g) ?? []).map(Number);
    const size = { box: 4, det: 4, quad: 8, point: 2 }[kind]!;
    const places: Place[] = [];
    for (let i = 0; i + size <= all.length; i += size) {
      const at = around(all.slice(i, i + size));
      places.push({ at, units: kind === "det" ? 999 : undefined, label: trim(name), point: size === 2, inText: true });
    }
    return places;
  },
};

// around is the box around corners, x and y of each. Of two, it keeps their order.
function around(corners: number[]): number[] {
  const at = [...corners.slice(0, 2), ...corners.slice(-2)];
  if (corners.length > 4) {
    corners.forEach((v, i) => {
      at[i % 2] = Math.min(at[i % 2], v);
      at[2 + (i % 2)] = Math.max(at[2 + (i % 2)], v);
    });
  }
  return at;
}

// Molmo, in hundredths: <point x="12.5" y="40.0" alt="name">name</point>, <points x1="…" y1="…" x2="…" …>.
const points = {
  pattern: /<points?((?: +[a-z]+\d*="[^"<>]*")+) *>([^<]*)(?:<|$)/g,
  read([, attributes, name]: string[]): Place[] {
    let label = trim(name);
    const x = new Map<string, number>();
    const y = new Map<string, number>();
    const order: string[] = [];
    for (const [, axis, n, value] of attributes.matchAll(/([a-z]+)(\d*)="([^"]*)"/g)) {
      const plain = /^-?\d+(?:\.\d+)?$/.test(value);
      if (axis === "alt" && !label) label = trim(value);
      else if (axis === "x" && plain) { x.set(n, Number(value)); order.push(n); }
      else if (axis === "y" && plain) y.set(n, Number(value));
    }
    return order.filter((n) => y.has(n)).map((n) => (
      { at: [x.get(n)!, y.get(n)!, x.get(n)!, y.get(n)!], units: 100, label, point: true, inText: false }
    ));
  },
};

const maxHeight = 16;

interface Span { from: number; to: number; height: number }

// spans finds what may be JSON values in a text, outer ones before inner ones. In an answer that was cut off, those
// that are whole are left.
function spans(text: string): Span[] {
  const found: Span[] = [];
  let stack: { at: number; height: number }[] = [];
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted && c === "\\") i++;
    else if (quoted && c === "\n") { quoted = false; stack = []; }
    else if (c === '"' && stack.length) quoted = !quoted;
    else if (quoted) continue;
    else if (c === "[" || c === "{") stack.push({ at: i, height: 0 });
    else if ((c === "]" || c === "}") && stack.length) {
      const top = stack.pop()!;
      if ((text[top.at] === "[") !== (c === "]")) { stack = []; continue; }
      found.push({ from: top.at, to: i + 1, height: top.height });
      const outer = stack.at(-1);
      if (outer) outer.height = Math.max(outer.height, top.height + 1);
    }
  }
  return found.sort((a, b) => a.from - b.from);
}

function objects(text: string, frame: Frame): Place[] {
  const places: Place[] = [];
  let end = 0;
  for (const span of spans(text)) {
    if (span.from < end || span.height > maxHeight) continue;
    let value: unknown;
    try {
      value = JSON.parse(text.slice(span.from, span.to));
    } catch {
      continue;
    }
    end = span.to;
    walk(value, frame, true, places);
  }
  return places;
}

// walk reads the places of a value and of those in it. Lists of four fractions outside of objects are LLaVA's boxes.
function walk(value: unknown, frame: Frame, bare: boolean, places: Place[]) {
  if (Array.isArray(value)) {
    const at = numbers(value, 4);
    if (bare && at?.every((v) => v >= 0 && v <= 1) && at.some((v) => v !== Math.trunc(v))) {
      places.push({ at, label: "", point: false, inText: false });
      return;
    }
    for (const inner of value) walk(inner, frame, bare, places);
  } else if (typeof value === "object" && value !== null) {
    const item = value as Record<string, unknown>;
    object(item, frame, places);
    for (const name of Object.keys(item).sort()) walk(item[name], frame, false, places);
  }
}

const labelNames = ["label", "name", "text", "text_content", "class", "object"];
const cornerSets = [
  ["x1", "y1", "x2", "y2"], ["xmin", "ymin", "xmax", "ymax"], ["x_min", "y_min", "x_max", "y_max"],
  ["left", "top", "right", "bottom"],
];
const sizeSets = [["x", "y", "w", "h"], ["x", "y", "width", "height"], ["left", "top", "width", "height"]];

// object reads the places that one object names: Qwen's bbox_2d and point_2d, box_2d of Gemma and Gemini, which is
// [top, left, bottom, right] in thousandths, and corners or sizes by name.
function object(item: Record<string, unknown>, frame: Frame, places: Place[]) {
  const label = labelNames.map((name) => item[name]).find((v) => typeof v === "string") as string ?? "";
  const add = (at: number[], point = false, units?: number) => places.push({ at, units, label, point, inText: false });
  for (const at of lists(item.bbox_2d ?? item.bbox ?? item.box, 4)) add(at);
  for (const [top, left, bottom, right] of lists(item.box_2d, 4)) add([left, top, right, bottom], false, 1000);
  for (const at of lists(item.point_2d ?? item.point, 2)) {
    const [x, y] = frame.upright ? [at[1], at[0]] : at;
    add([x, y, x, y], true);
  }
  for (const set of cornerSets) {
    const at = numbers(set.map((name) => item[name]), 4);
    if (at) return add(at);
  }
  for (const set of sizeSets) {
    const at = numbers(set.map((name) => item[name]), 4);
    if (at) return add([at[0], at[1], at[0] + at[2], at[1] + at[3]]);
  }
}

function lists(value: unknown, n: number): number[][] {
  const at = numbers(value, n);
  if (at) return [at];
  return Array.isArray(value) ? value.map((inner) => numbers(inner, n)).filter((l) => l !== null) : [];
}

function numbers(value: unknown, n: number): number[] | null {
  if (!Array.isArray(value) || value.length !== n) return null;
  return value.every((v) => typeof v === "number" && Number.isFinite(v)) ? value : null;
}
