// The models of the server: what they are, whether they fit, loading, adding, deleting.

import { useRef, useState } from "preact/hooks";
import type { Model } from "./types";
import { Dialog } from "./dialog";
import { bytes } from "./format";
import { text } from "./strings";
import * as api from "./api";
import * as chat from "./chat";
import { useTopic } from "./topic";

/** Models shows the models of the server. */
export function Models({ limit }: { limit: number }) {
  useTopic(chat.server.topic);
  return (
    <main class="page">
      <h1>{text.viewModels}</h1>
      <ul class="cards">
        {chat.server.models.map((model) => <Card key={model.name} model={model} limit={limit} />)}
      </ul>
      <Upload />
    </main>
  );
}

function Card({ model, limit }: { model: Model; limit: number }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const [details, setDetails] = useState<Record<string, unknown> | null>(null);
  const act = async (what: () => Promise<unknown>) => {
    setBusy(true);
    setError("");
    try {
      await what();
    } catch (e) {
      setError((e as Error).message);
    }
    await chat.server.refresh();
    setBusy(false);
  };
  const facts = [
    model.parameters, model.quantization, bytes(model.size), model.draws ? text.draws : text.context(model.context),
    model.vision ? text.vision : "", model.thinks ? text.thinks : "", model.loaded ? text.loaded : "",
  ].filter(Boolean);
  return (
    <li class="card" data-model={model.name} aria-busy={busy}>
      <h2>{model.name}</h2>
      {model.unusable
        ? <p class="error">{text.unusable(model.unusable)}</p>
        : <>
          <p>{facts.join(" · ")}</p>
          <p class={model.fits ? "hint" : "error"}>
            {model.fits ? text.fits(bytes(model.needs)) : text.tooLarge(bytes(model.needs), bytes(limit))}
          </p>
        </>}
      {error && <p class="error" role="alert">{error}</p>}
      <div class="tools">
        {!model.unusable && (!model.draws || model.loaded) && (
          <button type="button" disabled={busy} onClick={() => act(() => api.load(model.name, !model.loaded))}>
            {model.loaded ? text.unload : text.load}
          </button>
        )}
        {!model.unusable && (
          <button type="button" class="quiet" disabled={busy}
            onClick={() => act(async () => setDetails(await api.show(model.name)))}>{text.details}</button>
        )}
        {model.changeable && (
          <button type="button" class="quiet danger" disabled={busy}
            onClick={() => confirm(text.removeModel(model.name)) && void act(() => api.removeModel(model.name))}>{text.remove}</button>
        )}
      </div>
      {details && (
        <Dialog title={model.name} onClose={() => setDetails(null)} wide>
          <pre class="large" tabIndex={0}><code>{JSON.stringify(details, null, 2)}</code></pre>
        </Dialog>
      )}
    </li>
  );
}

function Upload() {
  const [files, setFiles] = useState<File[]>([]);
  const [name, setName] = useState("");
  const [said, say] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const choose = (list: File[]) => {
    setFiles(list);
    const language = list.find((f) => !/mmproj/i.test(f.name)) ?? list[0];
    if (language && !name) setName(language.name.replace(/\.gguf$/i, "").toLowerCase().replace(/[^a-z0-9._-]+/g, "-"));
  };
  const send = async () => {
    setBusy(true);
    setError("");
    const whole = files.reduce((n, f) => n + f.size, 0);
    try {
      const digests: Record<string, string> = {};
      let before = 0;
      for (const file of files) {
        digests[file.name] = await api.upload(file, (sent) => say(text.uploading(bytes(before + sent), bytes(whole))));
        before += file.size;
      }
      await api.create(name, digests);
      say(text.uploadDone(name));
      setFiles([]);
      input.current!.value = "";
    } catch (e) {
      say("");
      setError((e as Error).message);
    }
    await chat.server.refresh();
    setBusy(false);
  };
  return (
    <section class="card upload">
      <h2>{text.upload}</h2>
      <p class="hint">{text.uploadHint}</p>
      <form class="tools" onSubmit={(event) => { event.preventDefault(); void send(); }}>
        <input ref={input} type="file" accept=".gguf" multiple aria-label={text.upload}
          onChange={(event) => choose([...event.currentTarget.files!])} />
        <label>{text.uploadName} <input value={name} onInput={(event) => setName(event.currentTarget.value)} /></label>
        <button type="submit" disabled={busy || !files.length || !name}>{text.upload}</button>
      </form>
      <p role="status">{said}</p>
      {error && <p class="error" role="alert">{error}</p>}
    </section>
  );
}
