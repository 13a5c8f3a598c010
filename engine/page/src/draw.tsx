// Pictures that a model draws of a text.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Picture } from "./types";
import { Dialog } from "./dialog";
import { base64, fromBase64 } from "./pictures";
import { download } from "./save";
import { text } from "./strings";
import { useURL } from "./viewer";
import * as api from "./api";
import * as chat from "./chat";

// What was asked for last; it is there again when the dialog is.
const last = {
  model: "", prompt: "", negative: "", width: "", height: "", steps: "20", seed: "", count: "1", strength: "0.75",
};

interface Drawn {
  file: File;
  seed: number;
}

/** Draw asks for pictures and shows them. onUse takes one for the next question. */
export function Draw(props: { pictures: Picture[]; onUse: (file: File) => void; onClose: () => void }) {
  const models = chat.server.models.filter((m) => m.draws && !m.unusable);
  const [asked, setAsked] = useState(last);
  const [begin, setBegin] = useState<{ name: string; blob: Blob } | null>(null);
  const [now, setNow] = useState<api.DrawEvent | null>(null); // while it draws
  const [said, say] = useState("");
  const [error, setError] = useState("");
  const [drawn, setDrawn] = useState<Drawn[]>([]);
  const running = useRef<AbortController | null>(null);
  const files = useRef<HTMLInputElement>(null);
  const model = models.find((m) => m.name === asked.model) ?? models[0];
  const set = (change: Partial<typeof last>) => setAsked(Object.assign(last, change) && { ...last });
  useEffect(() => () => running.current?.abort(), []);

  const start = async () => {
    const controller = (running.current = new AbortController());
    setNow({});
    setError("");
    say("");
    setDrawn([]);
    try {
      const request: api.DrawRequest = { model: model.name, prompt: asked.prompt.trim(), n: Number(asked.count), steps: Number(asked.steps) };
      if (asked.negative.trim()) request.negative_prompt = asked.negative.trim();
      if (asked.width && asked.height) request.size = `${asked.width}x${asked.height}`;
      if (asked.seed) request.seed = Number(asked.seed);
      if (begin) Object.assign(request, { init: await base64(begin.blob), strength: Number(asked.strength) });
      const made = await api.draw(request, controller.signal, setNow);
      const name = asked.prompt.trim().slice(0, 60);
      setDrawn(made.map(({ png, seed }, i) => ({
        file: new File([fromBase64(png, "image/png")], `${name}${made.length > 1 ? ` ${i + 1}` : ""}.png`, { type: "image/png" }), seed,
      })));
    } catch (e) {
      if (controller.signal.aborted) say(text.drawStopped);
      else setError((e as Error).message);
    }
    running.current = null;
    setNow(null);
    void chat.server.refresh();
  };
  const field = (label: string, key: keyof typeof last, more: Record<string, unknown>) => (
    <label>{label} <input type="number" value={asked[key]} {...more}
      onInput={(event) => set({ [key]: event.currentTarget.value })} /></label>
  );
  const side = { min: 64, max: 4096, step: model?.multiple ?? 64, placeholder: String(model?.side ?? "") };
  return (
    <Dialog title={text.draw} onClose={props.onClose}>
      {(chat.server.drawing || !model) && <p class="error" role="alert">{text.drawOff(chat.server.drawing || text.noModels)}</p>}
      <form class="draw" onSubmit={(event) => { event.preventDefault(); void start(); }}>
        <textarea rows={3} aria-label={text.drawWhat} placeholder={text.drawWhat} value={asked.prompt} autoFocus
          onInput={(event) => set({ prompt: event.currentTarget.value })} />
        <input aria-label={text.drawNegative} placeholder={text.drawNegative} value={asked.negative}
          onInput={(event) => set({ negative: event.currentTarget.value })} />
        <div class="tools">
          {models.length > 1 && (
            <select aria-label={text.model} value={model.name} onChange={(event) => set({ model: event.currentTarget.value })}>
              {models.map((m) => <option value={m.name}>{m.name}</option>)}
            </select>
          )}
          {field(text.drawWidth, "width", { ...side, required: !!asked.height })}
          {field(text.drawHeight, "height", { ...side, required: !!asked.width })}
          {field(text.drawSteps, "steps", { min: 1, max: 150, required: true })}
          {field(text.drawSeed, "seed", { min: 0, max: 2147483647, placeholder: text.drawSeedHint })}
          {field(text.drawCount, "count", { min: 1, max: 10, required: true })}
        </div>
        <div class="tools">
          <label>{text.drawInit} <select value={begin?.name ?? ""}
            onChange={(event) => {
              const { value } = event.currentTarget;
              setBegin(props.pictures.find((p) => p.name === value) ?? drawnAs(drawn, value) ?? null);
            }}>
            <option value="">{text.drawNothing}</option>
            {[...new Set([...props.pictures.map((p) => p.name), ...drawn.map((d) => d.file.name), ...(begin ? [begin.name] : [])])]
              .map((name) => <option value={name}>{name}</option>)}
          </select></label>
          <button type="button" class="quiet" onClick={() => files.current!.click()}>{text.drawFile}</button>
          {begin && field(text.drawStrength, "strength", { min: 0.05, max: 1, step: 0.05, required: true })}
        </div>
        <input ref={files} class="only-heard" type="file" accept="image/*,.heic,.heif,.tif,.tiff" tabIndex={-1} aria-label={text.drawFile}
          onChange={(event) => {
            const file = event.currentTarget.files![0];
            if (file) setBegin({ name: file.name, blob: file });
            event.currentTarget.value = "";
          }} />
        <div class="tools">
          {now
            ? <button type="button" class="primary" onClick={() => running.current?.abort()}>{text.stop}</button>
            : <button type="submit" class="primary" disabled={!asked.prompt.trim() || !model || !!chat.server.drawing}>{text.drawStart}</button>}
          {now && <Progress event={now} />}
          <span role="status">{now ? progressText(now) : said}</span>
        </div>
      </form>
      {error && <p class="error" role="alert">{error}</p>}
      <div class="drawn">
        {drawn.map((d) => <Result key={d.file.name} drawn={d} onUse={() => props.onUse(d.file)} />)}
      </div>
    </Dialog>
  );
}

const drawnAs = (drawn: Drawn[], name: string) => {
  const found = drawn.find((d) => d.file.name === name);
  return found && { name, blob: found.file as Blob };
};

// Without a value the bar says only that something goes on.
function Progress({ event }: { event: api.DrawEvent }) {
  const { picture = 1, pictures = 1, step = 0, steps = 0, stage } = event;
  const known = stage === "sampling" && steps > 0;
  return known
    ? <progress aria-label={text.draw} max={pictures * steps} value={(picture - 1) * steps + step} />
    : <progress aria-label={text.draw} />;
}

function progressText({ stage, picture = 1, pictures = 1, step = 0, steps = 0 }: api.DrawEvent): string {
  if (!stage) return text.drawWaiting;
  if (stage === "decoding") return text.drawDecoding;
  if (stage === "loading" || !steps) return text.drawLoading;
  const rest = text.drawStep(step, steps);
  return pictures > 1 ? text.drawPicture(picture, pictures, rest) : rest;
}

function Result({ drawn, onUse }: { drawn: Drawn; onUse: () => void }) {
  const url = useURL(drawn.file);
  return (
    <figure>
      {url && <img src={url} alt={drawn.file.name} />}
      <figcaption class="tools">
        <span class="hint">{text.drawSaved(drawn.seed)}</span>
        <button type="button" onClick={onUse}>{text.drawUse}</button>
        <button type="button" class="quiet" onClick={() => download(drawn.file.name, drawn.file)}>{text.saveFile}</button>
      </figcaption>
    </figure>
  );
}
