// An answer that a JSON schema held: as a form, as a table, as text.

import { useState } from "preact/hooks";
import { csv, download } from "./save";
import { CopyButton } from "./answer";
import { text } from "./strings";

/** A schema of the small library. */
export interface Example {
  name: string;
  schema: object;
}

const string = { type: "string" };
const number = { type: "number" };
const object = (properties: object, required = Object.keys(properties)) => ({
  type: "object", properties, required, additionalProperties: false,
});
const array = (items: object) => ({ type: "array", items });

/** examples are schemas for what people often photograph. */
export const examples: Example[] = [
  {
    name: "Receipt",
    schema: object({
      shop: string, date: string, currency: string,
      items: array(object({ name: string, quantity: number, price: number })), total: number,
    }),
  },
  { name: "Table", schema: object({ columns: array(string), rows: array(array(string)) }) },
  { name: "Form", schema: object({ fields: array(object({ label: string, value: string })) }) },
  {
    name: "Card",
    schema: object({ name: string, company: string, email: string, phone: string, address: string }),
  },
  { name: "Description", schema: object({ caption: string, objects: array(string), text: string }) },
];

type Value = string | number | boolean | null | Value[] | { [name: string]: Value };

/** rowsOf finds the table in a value: the longest list in it, with a line of names above. */
export function rowsOf(value: Value): string[][] {
  const plain = (v: Value): string =>
    v === null || v === undefined ? "" : typeof v === "object" ? JSON.stringify(v) : String(v);
  const isObject = (v: Value): v is { [name: string]: Value } =>
    typeof v === "object" && v !== null && !Array.isArray(v);
  if (isObject(value) && Array.isArray(value.columns) && Array.isArray(value.rows)) {
    return [value.columns.map(plain), ...value.rows.map((r) => (Array.isArray(r) ? r.map(plain) : [plain(r)]))];
  }
  let list: Value[] | null = Array.isArray(value) ? value : null;
  if (isObject(value)) {
    for (const inner of Object.values(value)) {
      if (Array.isArray(inner) && inner.some(isObject) && inner.length > (list?.length ?? 0)) list = inner;
    }
  }
  if (list?.some(isObject)) {
    const names = [...new Set(list.flatMap((row) => (isObject(row) ? Object.keys(row) : [])))];
    return [names, ...list.map((row) => names.map((n) => (isObject(row) ? plain(row[n]) : "")))];
  }
  if (isObject(value)) return [Object.keys(value), Object.values(value).map(plain)];
  return [["value"], ...(list ?? [value]).map((v) => [plain(v)])];
}

/** Form shows an answer that is JSON. What is not JSON, since it was cut off, is shown as it is. */
export function Form({ answer }: { answer: string; schema: string }) {
  const [side, setSide] = useState<"form" | "table" | "text">("form");
  let value: Value;
  try {
    value = JSON.parse(answer);
  } catch {
    return <pre tabIndex={0}><code>{answer}</code></pre>;
  }
  const rows = rowsOf(value);
  const pretty = JSON.stringify(value, null, 2);
  const tab = (name: "form" | "table" | "text", label: string) => (
    <button type="button" role="tab" aria-selected={side === name} onClick={() => setSide(name)}>{label}</button>
  );
  return (
    <figure class="sketch form">
      <figcaption>
        <span role="tablist">
          {tab("form", text.asForm)}{tab("table", text.asTable)}{tab("text", text.asText)}
        </span>
        <span>
          <CopyButton of={() => pretty} />
          <button type="button" class="quiet" onClick={() => download("answer.csv", csv(rows), "text/csv")}>{text.csv}</button>
          <button type="button" class="quiet" onClick={() => download("answer.json", pretty + "\n", "application/json")}>{text.json}</button>
        </span>
      </figcaption>
      {side === "form" && <dl><Fields value={value} /></dl>}
      {side === "table" && <Table rows={rows} />}
      {side === "text" && <pre tabIndex={0}><code>{pretty}</code></pre>}
    </figure>
  );
}

function Fields({ value }: { value: Value }) {
  if (typeof value !== "object" || value === null) return <dd>{String(value)}</dd>;
  if (Array.isArray(value) && value.every((v) => typeof v !== "object" || v === null)) {
    return <dd>{value.join(", ")}</dd>;
  }
  return (
    <>
      {Object.entries(value).map(([name, inner]) => (
        <div>
          <dt>{Array.isArray(value) ? Number(name) + 1 : name}</dt>
          {typeof inner === "object" && inner !== null
            ? <dd><dl><Fields value={inner} /></dl></dd>
            : <dd>{inner === null ? "–" : String(inner)}</dd>}
        </div>
      ))}
    </>
  );
}

function Table({ rows }: { rows: string[][] }) {
  return (
    <div class="scroll" tabIndex={0}>
      <table>
        <thead><tr>{rows[0].map((cell) => <th scope="col">{cell}</th>)}</tr></thead>
        <tbody>{rows.slice(1).map((row) => <tr>{row.map((cell) => <td>{cell}</td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}
