// Reports of "eyelet bench quants" that lie in the folder which the server was given.

import { useEffect, useState } from "preact/hooks";
import * as api from "./api";
import { Frame } from "./sketch";
import { text } from "./strings";

/** Reports lists the reports, and shows one. */
export function Reports() {
  const [names, setNames] = useState<string[] | null>(null);
  const [configured, setConfigured] = useState(true);
  const [shown, show] = useState("");
  const [source, setSource] = useState("");
  const [error, setError] = useState("");
  useEffect(() => {
    api.reports().then((r) => { setNames(r.names); setConfigured(r.configured); }, (e) => setError(e.message));
  }, []);
  const open = async (name: string) => {
    try {
      setSource(await api.report(name));
      show(name);
    } catch (e) {
      setError((e as Error).message);
    }
  };
  return (
    <main class="page reports">
      <h1>{text.viewReports}</h1>
      {error && <p class="error" role="alert">{error}</p>}
      {!configured && <p class="hint">{text.noReports}</p>}
      <p class="tools">
        {names?.map((name) => (
          <button type="button" aria-pressed={shown === name} aria-label={text.openReport(name)} onClick={() => open(name)}>{name}</button>
        ))}
      </p>
      {source && <Frame title={shown} source={source} />}
    </main>
  );
}
