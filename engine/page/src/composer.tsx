// Where a question is put together: text, pictures, models, a form for the answer.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Picture } from "./types";
import { Camera } from "./camera";
import { Dialog } from "./dialog";
import { Draw } from "./draw";
import { examples } from "./form";
import { Thumbnail } from "./question";
import { Viewer } from "./viewer";
import { filesOf, isPicture, read } from "./pictures";
import { text } from "./strings";
import * as api from "./api";
import * as chat from "./chat";
import { useTopic } from "./topic";

const draftName = "eyelet-draft";
const estimateDelay = 400; // milliseconds without a key

/** Composer asks questions of the conversation that is shown. */
export function Composer() {
  useTopic(chat.shown, chat.list, chat.server.topic);
  const conversation = chat.now();
  const [value, setValue] = useState(localStorage.getItem(draftName) ?? "");
  const [pictures, setPictures] = useState<Picture[]>([]);
  const [errors, setErrors] = useState<string[]>([]);
  const [opened, setOpened] = useState<Picture | null>(null);
  const [panel, setPanel] = useState<"" | "schema" | "system" | "camera" | "draw">("");
  const area = useRef<HTMLTextAreaElement>(null);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const running = chat.isRunning();
  const estimate = useEstimate(value, pictures);

  const add = async (list: File[]) => {
    const failed: string[] = [];
    for (const file of list) {
      try {
        const picture = await read(file, file.name || text.picture);
        chat.remember(picture);
        setPictures((before) => [...before, picture]);
      } catch (error) {
        failed.push(text.pictureRefused(file.name || text.picture, (error as Error).message));
      }
    }
    setErrors(failed);
    area.current?.focus();
  };
  const send = () => {
    const question = value.trim();
    if (running || (!question && !pictures.length) || !conversation.models.length) return;
    void chat.ask(question, pictures.map((p) => p.id), conversation.leaf);
    setValue("");
    localStorage.removeItem(draftName);
    setPictures([]);
    setErrors([]);
  };

  useEffect(() => { localStorage.setItem(draftName, value); }, [value]);
  useEffect(() => area.current?.focus(), [conversation.id]);
  useDrops(add);

  const key = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && !value.trim()) {
      const last = chat.branch(conversation).filter((m) => m.role === "user").at(-1);
      const edit = last && document.querySelector<HTMLButtonElement>(`[data-message="${last.id}"] footer button`);
      edit?.click();
    }
  };
  return (
    <form class="composer" onSubmit={(event) => { event.preventDefault(); send(); }}>
      {errors.map((error) => <p class="error" role="alert">{error}</p>)}
      {pictures.length > 0 && (
        <div class="thumbnails">
          {pictures.map((picture, i) => (
            <div class="given">
              <Thumbnail picture={picture} onOpen={() => setOpened(picture)} />
              <button type="button" class="quiet remove" aria-label={text.removePicture(picture.name)}
                onClick={() => setPictures(pictures.filter((p) => p !== picture))}>×</button>
              {i > 0 && (
                <button type="button" class="quiet move" aria-label={text.moveLeft(picture.name)}
                  onClick={() => setPictures([picture, ...pictures.filter((p) => p !== picture)])}>⇤</button>
              )}
            </div>
          ))}
        </div>
      )}
      <textarea ref={area} class="ask" rows={Math.min(8, Math.max(2, value.split("\n").length))}
        aria-label={text.ask} placeholder={text.ask} value={value} autoFocus
        onInput={(event) => setValue(event.currentTarget.value)} onKeyDown={key} />
      <div class="tools">
        <button type="button" onClick={() => files.current!.click()}>{text.addPictures}</button>
        <button type="button" class="quiet" onClick={() => folder.current!.click()}>{text.addFolder}</button>
        <button type="button" class="quiet" onClick={() => setPanel("camera")}>{text.camera}</button>
        {chat.server.models.some((m) => m.draws) && (
          <button type="button" class="quiet" onClick={() => setPanel("draw")}>{text.draw}</button>
        )}
        <button type="button" class="quiet" aria-pressed={!!conversation.schema}
          onClick={() => setPanel("schema")}>{text.schema}</button>
        <button type="button" class="quiet" aria-pressed={!!conversation.system}
          onClick={() => setPanel("system")}>{text.system}</button>
        <ModelChoice />
        <span class="estimate" role="status">{estimate}</span>
        {running
          ? <button type="button" class="primary" onClick={() => chat.stop()}>{text.stop}</button>
          : <button type="submit" class="primary" disabled={!value.trim() && !pictures.length}>{text.send}</button>}
      </div>
      <input ref={files} class="only-heard" type="file" multiple tabIndex={-1} aria-label={text.addPictures}
        accept="image/*,.heic,.heif,.tif,.tiff,.avif,.jxl,.pdf"
        onChange={(event) => { void add([...event.currentTarget.files!]); event.currentTarget.value = ""; }} />
      <input ref={folder} class="only-heard" type="file" multiple tabIndex={-1} aria-label={text.addFolder}
        {...{ webkitdirectory: true }}
        onChange={(event) => {
          void add([...event.currentTarget.files!].filter(isPicture));
          event.currentTarget.value = "";
        }} />
      {opened && (
        <Viewer picture={opened} onClose={() => setOpened(null)}
          onPart={(part, alone) => {
            chat.remember(part);
            setPictures(pictures.flatMap((p) => (p !== opened ? [p] : alone ? [part] : [p, part])));
          }} />
      )}
      {panel === "camera" && <Camera onTake={(file) => { setPanel(""); void add([file]); }} onClose={() => setPanel("")} />}
      {panel === "draw" && (
        <Draw pictures={pictures} onUse={(file) => { setPanel(""); void add([file]); }} onClose={() => setPanel("")} />
      )}
      {panel === "schema" && <SchemaDialog onClose={() => setPanel("")} />}
      {panel === "system" && <SystemDialog onClose={() => setPanel("")} />}
    </form>
  );
}

// useDrops takes pictures that are dropped anywhere, or pasted. It listens before the page can be seen: an effect would begin after that.
function useDrops(add: (files: File[]) => Promise<void>) {
  useLayoutEffect(() => {
    const over = (event: DragEvent) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      void filesOf(event.dataTransfer).then(add);
    };
    const paste = (event: ClipboardEvent) => {
      const found = [...(event.clipboardData?.files ?? [])].filter(isPicture);
      if (!found.length) return;
      event.preventDefault();
      void add(found);
    };
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    addEventListener("paste", paste);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("drop", drop);
      removeEventListener("paste", paste);
    };
  });
}

// useEstimate says what the question would cost, once nothing has been typed for a moment.
function useEstimate(value: string, pictures: Picture[]): string {
  const [said, say] = useState("");
  const conversation = chat.now();
  const [model] = conversation.models;
  const ids = pictures.map((p) => p.id).join();
  useEffect(() => {
    say("");
    if (!model || (!value.trim() && !ids) || !chat.server.find(model)?.loaded && !ids) return;
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      say(text.estimating);
      try {
        const question = {
          id: "draft", parent: conversation.leaf, role: "user" as const, text: value, columns: [],
          pictures: pictures.map((p) => p.id), created: 0,
        };
        const draft = { ...conversation, messages: { ...conversation.messages, draft: question } };
        const body = await chat.request(draft, "draft", model);
        const { tokens, context } = await api.estimate(body, controller.signal);
        say(tokens < context ? text.estimate(tokens, context - tokens) : text.estimateOver(tokens, context));
      } catch (error) {
        if (!controller.signal.aborted) say(chat.explain(error));
      }
    }, estimateDelay);
    return () => { clearTimeout(timer); controller.abort(); };
  }, [value, ids, model, conversation.id, conversation.leaf]);
  return said;
}

function ModelChoice() {
  const conversation = chat.now();
  const usable = chat.server.models.filter((m) => !m.unusable && !m.draws);
  const set = (models: string[]) => void chat.change((c) => (c.models = models));
  const [first, ...others] = conversation.models;
  if (!usable.length) return <span class="error">{text.noModels}</span>;
  return (
    <>
      <select aria-label={text.model} value={first ?? ""} onChange={(event) => set([event.currentTarget.value, ...others])}>
        {first && !usable.some((m) => m.name === first) && <option value={first}>{first}</option>}
        {usable.map((m) => <option value={m.name}>{m.name}{m.vision ? "" : " (text)"}</option>)}
      </select>
      {others.map((other) => (
        <button type="button" class="quiet chip" aria-label={`${text.remove}: ${other}`}
          onClick={() => set(conversation.models.filter((m, i) => i === 0 || m !== other))}>{other} ×</button>
      ))}
      {usable.length > 1 && (
        <select class="quiet" aria-label={text.compare} value=""
          onChange={(event) => event.currentTarget.value && set([...conversation.models, event.currentTarget.value])}>
          <option value="">{text.compare}…</option>
          {usable.filter((m) => !conversation.models.includes(m.name)).map((m) => <option value={m.name}>{m.name}</option>)}
        </select>
      )}
    </>
  );
}

function SchemaDialog({ onClose }: { onClose: () => void }) {
  const [value, setValue] = useState(chat.now().schema);
  const [wrong, setWrong] = useState("");
  const file = useRef<HTMLInputElement>(null);
  const save = () => {
    try {
      if (value.trim()) JSON.parse(value);
    } catch (error) {
      return setWrong(`${text.schemaWrong}: ${(error as Error).message}`);
    }
    void chat.change((c) => (c.schema = value.trim()));
    onClose();
  };
  return (
    <Dialog title={text.schema} onClose={onClose}>
      <p>{text.schemaHint}</p>
      <p class="tools">
        <span>{text.schemaLibrary}:</span>
        {examples.map((example) => (
          <button type="button" class="quiet" onClick={() => setValue(JSON.stringify(example.schema, null, 2))}>{example.name}</button>
        ))}
        <button type="button" class="quiet" onClick={() => file.current!.click()}>{text.schemaFile}</button>
        <button type="button" class="quiet" onClick={() => setValue("")}>{text.schemaNone}</button>
      </p>
      <input ref={file} class="only-heard" type="file" accept=".json,application/json" tabIndex={-1} aria-label={text.schemaFile}
        onChange={async (event) => { const f = event.currentTarget.files![0]; if (f) setValue(await f.text()); }} />
      <textarea class="source" rows={14} aria-label={text.schema} spellcheck={false} value={value}
        onInput={(event) => setValue(event.currentTarget.value)} />
      {wrong && <p class="error" role="alert">{wrong}</p>}
      <p><button type="button" class="primary" onClick={save}>{text.save}</button></p>
    </Dialog>
  );
}

function SystemDialog({ onClose }: { onClose: () => void }) {
  const [value, setValue] = useState(chat.now().system);
  const save = () => {
    void chat.change((c) => (c.system = value));
    onClose();
  };
  return (
    <Dialog title={text.system} onClose={onClose}>
      <textarea rows={8} aria-label={text.system} value={value} onInput={(event) => setValue(event.currentTarget.value)} />
      <p><button type="button" class="primary" onClick={save}>{text.save}</button></p>
    </Dialog>
  );
}
