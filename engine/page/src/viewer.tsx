// A picture, large: zoomed, with the boxes that an answer found, and a rectangle to ask about.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Box, Mark, Picture } from "./types";
import { Dialog } from "./dialog";
import * as api from "./api";
import { cut, viewSide } from "./pictures";
import { text } from "./strings";

/** useURL is an address of a blob, for as long as it is shown. */
export function useURL(blob: Blob | undefined): string {
  const [url, setURL] = useState("");
  useEffect(() => {
    if (!blob) return setURL("");
    const made = URL.createObjectURL(blob);
    setURL(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}

/** Marks draws boxes and points over a picture of a size. The one that is pointed at stands out. */
export function Marks(props: {
  marks: Mark[]; width: number; height: number; hidden: Set<number>; lit: number;
  onLight: (i: number) => void;
}) {
  const { marks, width, height, hidden, lit, onLight } = props;
  const unit = Math.max(width, height) / 200;
  return (
    <svg class="marks" viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      {marks.map((mark, i) => !hidden.has(i) && (
        <g class={i === lit ? "lit" : ""} data-mark={i}
          onMouseEnter={() => onLight(i)} onMouseLeave={() => onLight(-1)}>
          {mark.point
            ? <circle cx={mark.x} cy={mark.y} r={unit * 2} />
            : <rect x={mark.x} y={mark.y} width={mark.width} height={mark.height} stroke-width={unit} />}
          <text x={mark.x} y={Math.max(mark.y - unit, unit * 7)} font-size={unit * 7}>{mark.label}</text>
        </g>
      ))}
    </svg>
  );
}

/** MarkedPicture shows what an answer found in a picture: text and box light each other up. */
export function MarkedPicture({ picture, marks }: { picture: Picture; marks: Mark[] }) {
  const url = useURL(picture.view ?? picture.blob);
  const [hidden, setHidden] = useState(new Set<number>());
  const [lit, setLit] = useState(-1);
  const toggle = (i: number) => {
    const next = new Set(hidden);
    if (!next.delete(i)) next.add(i);
    setHidden(next);
  };
  return (
    <figure class="marked">
      <div class="canvas">
        {url && <img src={url} alt={picture.name} />}
        <Marks marks={marks} width={picture.width} height={picture.height} hidden={hidden} lit={lit} onLight={setLit} />
      </div>
      <figcaption>
        <span>{text.marks}</span>
        <ul>
          {marks.map((mark, i) => (
            <li class={i === lit ? "lit" : ""} onMouseEnter={() => setLit(i)} onMouseLeave={() => setLit(-1)}>
              <label>
                <input type="checkbox" checked={!hidden.has(i)} onChange={() => toggle(i)} />
                {mark.label || `${Math.round(mark.x)}, ${Math.round(mark.y)}`}
              </label>
            </li>
          ))}
        </ul>
      </figcaption>
    </figure>
  );
}

const zoomStep = 1.25;

const wholeOf = (picture: Picture): Box => ({ x: 0, y: 0, width: picture.width, height: picture.height });

/** Viewer shows a picture in its own dialog. onPart, where given, takes a part that was cut out of it. */
export function Viewer(props: {
  picture: Picture; onClose: () => void; onPart?: (part: Picture, alone: boolean) => void;
}) {
  const { onClose, onPart } = props;
  const [page, setPage] = useState(0);
  const [picture, setPicture] = useState(props.picture); // of a document, the page that is shown
  const [error, setError] = useState("");
  const url = useURL(picture.view ?? picture.blob);
  const [zoom, setZoom] = useState(1);
  const [cropping, setCropping] = useState(false);
  const [part, setPart] = useState<Box | null>(null);
  const image = useRef<HTMLImageElement>(null);
  const from = useRef<{ x: number; y: number } | null>(null);

  // at is where in the picture the pointer is, in its own pixels.
  const at = (event: PointerEvent) => {
    const box = image.current!.getBoundingClientRect();
    const clamp = (v: number, most: number) => Math.round(Math.min(Math.max(v, 0), most));
    return {
      x: clamp(((event.clientX - box.left) / box.width) * picture.width, picture.width),
      y: clamp(((event.clientY - box.top) / box.height) * picture.height, picture.height),
    };
  };
  const down = (event: PointerEvent) => {
    if (!cropping) return;
    event.preventDefault();
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    from.current = at(event);
    setPart(null);
  };
  const move = (event: PointerEvent) => {
    if (!from.current) return;
    const to = at(event);
    const start = from.current;
    setPart({
      x: Math.min(start.x, to.x), y: Math.min(start.y, to.y),
      width: Math.abs(to.x - start.x), height: Math.abs(to.y - start.y),
    });
  };
  const up = () => (from.current = null);
  const takeBox = async (box: Box, alone: boolean) => {
    try {
      onPart!(await cut(picture, box), alone);
      onClose();
    } catch (e) {
      setError((e as Error).message);
    }
  };
  const take = async (alone: boolean) => {
    if (part && part.width >= 2 && part.height >= 2) await takeBox(part, alone);
  };
  const turn = async (to: number) => {
    setPage(to);
    setPart(null);
    try {
      const { blob: view, width, height } = await api.view(props.picture.blob, viewSide, to);
      setPicture({ ...props.picture, name: text.pageOf(props.picture.name, to + 1), page: to, view, width, height });
      setError("");
    } catch (e) {
      setError((e as Error).message);
    }
  };
  const pages = props.picture.pages ?? 1;
  const percent = (n: number, of: number) => `${(100 * n) / of}%`;
  return (
    <Dialog title={picture.name} onClose={onClose} wide>
      <div class="tools">
        <button type="button" onClick={() => setZoom(zoom / zoomStep)}>{text.zoomOut}</button>
        <button type="button" onClick={() => setZoom(1)}>{text.fit}</button>
        <button type="button" onClick={() => setZoom(zoom * zoomStep)}>{text.zoomIn}</button>
        <span>{text.pixels(picture.width, picture.height)}</span>
        {pages > 1 && (
          <>
            <button type="button" aria-label={text.previousPage} disabled={page === 0} onClick={() => turn(page - 1)}>‹</button>
            <span role="status">{text.page(page + 1, pages)}</span>
            <button type="button" aria-label={text.nextPage} disabled={page === pages - 1} onClick={() => turn(page + 1)}>›</button>
          </>
        )}
        {pages > 1 && onPart && <button type="button" onClick={() => takeBox(wholeOf(picture), true)}>{text.askPage}</button>}
        {error && <span class="error" role="alert">{error}</span>}
        {onPart && (
          <button type="button" aria-pressed={cropping} onClick={() => setCropping(!cropping)}>{text.crop}</button>
        )}
        {cropping && !part && <span>{text.cropHint}</span>}
        {part && (
          <>
            <span>{text.pixels(part.width, part.height)}</span>
            <button type="button" onClick={() => take(false)}>{text.cropBeside}</button>
            <button type="button" onClick={() => take(true)}>{text.cropAlone}</button>
          </>
        )}
      </div>
      <div class="large" tabIndex={0}
        onWheel={(event) => {
          if (!event.ctrlKey) return;
          event.preventDefault();
          setZoom(event.deltaY < 0 ? zoom * zoomStep : zoom / zoomStep);
        }}>
        <Sized class={cropping ? "canvas cropping" : "canvas"} zoom={zoom}
          onPointerDown={down} onPointerMove={move} onPointerUp={up}>
          {url && <img ref={image} src={url} alt={picture.name} draggable={false} />}
          {part && (
            <Placed box={[
              percent(part.x, picture.width), percent(part.y, picture.height),
              percent(part.width, picture.width), percent(part.height, picture.height),
            ]} />
          )}
        </Sized>
      </div>
    </Dialog>
  );
}

// The page's policy forbids style attributes; styles that script sets one by one are not attributes.
function Sized(props: { zoom: number; children: preact.ComponentChildren; class: string } & Record<string, unknown>) {
  const { zoom, children, ...rest } = props;
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    element.current!.style.width = zoom === 1 ? "" : `${zoom * 100}%`;
  }, [zoom]);
  return <div ref={element} {...rest}>{children}</div>;
}

function Placed({ box }: { box: [string, string, string, string] }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { style } = element.current!;
    [style.left, style.top, style.width, style.height] = box;
  });
  return <div ref={element} class="part" />;
}
