// What the server is doing, live.

import { useEffect, useRef, useState } from "preact/hooks";
import type { MachineModel, MachineState } from "./types";
import { bytes } from "./format";
import { text } from "./strings";
import * as api from "./api";

const period = 1000; // milliseconds between two looks

/** useMachine looks at the server once a second, for as long as somebody looks at it. */
export function useMachine(on: boolean): { state: MachineState | null; rates: Map<string, number> } {
  const [seen, see] = useState<{ state: MachineState | null; rates: Map<string, number> }>({
    state: null, rates: new Map(),
  });
  const last = useRef<{ at: number; tokens: Map<string, number> }>({ at: 0, tokens: new Map() });
  useEffect(() => {
    if (!on) return;
    let timer = 0;
    const look = async () => {
      try {
        const state = await api.state();
        const at = performance.now();
        const seconds = (at - last.current.at) / 1000;
        const rates = new Map(state.models.map((m) => [
          m.name, last.current.tokens.has(m.name) ? (m.tokens - last.current.tokens.get(m.name)!) / seconds : 0,
        ]));
        last.current = { at, tokens: new Map(state.models.map((m) => [m.name, m.tokens])) };
        see({ state, rates });
      } catch {
        // The banner tells when the server is gone.
      }
      timer = window.setTimeout(look, period);
    };
    void look();
    return () => clearTimeout(timer);
  }, [on]);
  return seen;
}

/** Machine shows what the server is doing. */
export function Machine() {
  const { state, rates } = useMachine(true);
  if (!state) return <main class="page"><h1>{text.viewMachine}</h1></main>;
  return (
    <main class="page">
      <h1>{text.viewMachine}</h1>
      <dl class="facts">
        <Fact name={text.machineRequests} value={String(state.requests)} />
        <Fact name={text.machineMemory}
          value={`${bytes(state.memory.used)}, ${bytes(state.memory.models)} ${text.machineModels}`} />
        <Fact name={text.processor} value={state.cpu} />
        <Fact name={text.accelerator} value={state.accelerator} />
        <Fact name={text.gpu} value={state.gpu} />
        <Fact name={text.version} value={state.version} />
      </dl>
      {state.models.length === 0 && <p class="hint">{text.machineIdle}</p>}
      <ul class="cards">
        {state.models.map((m) => <ModelAtWork model={m} rate={rates.get(m.name) ?? 0} />)}
      </ul>
    </main>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return <div><dt>{name}</dt><dd>{value}</dd></div>;
}

function ModelAtWork({ model, rate }: { model: MachineModel; rate: number }) {
  return (
    <li class="card">
      <h2>{model.name}</h2>
      <p>{text.machineWaiting(model.waiting, model.reading, model.writing)}</p>
      <dl class="facts">
        <Fact name={text.machineRate} value={rate.toFixed(1)} />
        <Fact name={text.machineMemory} value={bytes(model.bytes)} />
        <Fact name={text.machinePictures} value={text.machineEncoded(model.picturesEncoded, model.picturesKnown)} />
        <div>
          <dt>{text.machineCells}</dt>
          <dd>
            <meter min={0} max={model.cells} value={model.cellsRunning + model.cellsCached} aria-label={text.machineCells} />
            {" "}{model.cellsRunning} + {model.cellsCached} / {model.cells}
          </dd>
        </div>
      </dl>
    </li>
  );
}
