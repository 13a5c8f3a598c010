// Markdown of models to HTML that is safe to show: parsed by marked, formulas set by KaTeX as MathML,
// cleaned by DOMPurify. A model's text is a stranger's.

import DOMPurify from "dompurify";
import katex from "katex";
import { Marked, type TokensList } from "marked";

const formula = (source: string, display: boolean) =>
  katex.renderToString(source, {
    displayMode: display, output: "mathml", throwOnError: false, maxExpand: 200, maxSize: 20,
  });

const parser = new Marked({
  gfm: true,
  breaks: true,
  extensions: [
    {
      name: "blockFormula",
      level: "block",
      start: (source: string) => source.match(/\$\$|\\\[/)?.index,
      tokenizer(source: string) {
        const match = /^\$\$([\s\S]+?)\$\$|^\\\[([\s\S]+?)\\\]/.exec(source);
        if (!match) return undefined;
        return { type: "blockFormula", raw: match[0], source: match[1] ?? match[2] };
      },
      renderer: (token) => formula(token.source, true),
    },
    {
      name: "formula",
      level: "inline",
      start: (source: string) => source.match(/\$|\\\(/)?.index,
      tokenizer(source: string) {
        // "$5 and $6" is money: a formula neither begins nor ends with a space, and no digit follows it.
        const match = /^\$(?!\s)((?:[^$\n\\]|\\.)+?)(?<!\s)\$(?!\d)|^\\\(([\s\S]+?)\\\)/.exec(source);
        if (!match) return undefined;
        return { type: "formula", raw: match[0], source: match[1] ?? match[2] };
      },
      renderer: (token) => formula(token.source, false),
    },
  ],
  renderer: {
    // What is written as HTML is shown as it is written, but for what Markdown itself makes.
    html: (token) => escape(token.text),
    image: (token) => escape(token.raw), // nothing is fetched from anywhere
  },
});

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A") {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  }
});

function escape(source: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return source.replace(/[&<>"]/g, (c) => names[c]);
}

/** A piece of an answer that stands by itself: a paragraph, a list, a block of code. */
export interface Block {
  raw: string;
  code?: { language: string; source: string; closed: boolean };
}

/** blocksOf cuts an answer into blocks. All but the last stay as they are while the answer grows. */
export function blocksOf(source: string): Block[] {
  const tokens: TokensList = parser.lexer(source);
  const blocks: Block[] = [];
  for (const token of tokens) {
    if (token.type === "space") continue;
    const block: Block = { raw: token.raw };
    if (token.type === "code") {
      const closed = !/^ {0,3}(```|~~~)/.test(token.raw) || /\n {0,3}(```|~~~)\s*$/.test(token.raw);
      block.code = { language: (token.lang ?? "").split(/\s/)[0], source: token.text, closed };
    }
    blocks.push(block);
  }
  return blocks;
}

const kept = new Map<string, string>();
const keptMost = 2000;

/** html makes a block safe HTML. Blocks that were made before are not made again. */
export function html(raw: string): string {
  let made = kept.get(raw);
  if (made === undefined) {
    made = DOMPurify.sanitize(parser.parse(raw) as string, {
      USE_PROFILES: { html: true, mathMl: true },
      FORBID_TAGS: ["style", "form", "input", "button", "img", "video", "audio", "iframe"],
      FORBID_ATTR: ["style", "id", "name"],
    });
    if (kept.size >= keptMost) kept.clear();
    kept.set(raw, made);
  }
  return made;
}
