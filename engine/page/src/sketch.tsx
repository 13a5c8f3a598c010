// A page or a drawing in an answer, shown live beside its source. The frame has no origin and no network.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { download } from "./save";
import { CopyButton } from "./answer";
import { text } from "./strings";

/** Sketch previews HTML or SVG. */
export function Sketch({ source }: { source: string }) {
  const [side, setSide] = useState<"preview" | "source">("preview");
  const svg = /^\s*(<\?xml[^>]*>\s*)?<svg[\s>]/i.test(source);
  const tab = (name: "preview" | "source", label: string) => (
    <button type="button" role="tab" aria-selected={side === name} onClick={() => setSide(name)}>{label}</button>
  );
  return (
    <figure class="sketch">
      <figcaption>
        <span role="tablist">{tab("preview", text.preview)}{tab("source", text.source)}</span>
        <span>
          <CopyButton of={() => source} />
          <button type="button" class="quiet"
            onClick={() => download(svg ? "drawing.svg" : "page.html", source, svg ? "image/svg+xml" : "text/html")}>
            {text.saveFile}
          </button>
        </span>
      </figcaption>
      {side === "preview" ? <Frame source={source} title={text.previewTitle} /> : <pre tabIndex={0}><code>{source}</code></pre>}
    </figure>
  );
}

/** Frame shows a document of a stranger, which reaches neither the page nor a network. */
export function Frame({ source, title }: { source: string; title: string }) {
  const frame = useRef<HTMLIFrameElement>(null);
  // The frame may be ready before the page is painted, so it is listened to at once.
  useLayoutEffect(() => {
    const hear = (event: MessageEvent) => {
      const target = frame.current?.contentWindow;
      if (target && event.source === target && event.data === "ready") target.postMessage(source, "*");
    };
    addEventListener("message", hear);
    return () => removeEventListener("message", hear);
  }, [source]);
  // Another source is another frame: a document that was written cannot be asked to go.
  return (
    <iframe key={source} ref={frame} title={title} sandbox="allow-scripts" src="page/preview" />
  );
}
