// The conversations: search, rename, delete, carry away and back.

import { useRef, useState } from "preact/hooks";
import type { Conversation } from "./types";
import { download, exportJSON, importJSON, markdown } from "./save";
import { text } from "./strings";
import * as chat from "./chat";
import { useTopic } from "./topic";

/** Sidebar lists the conversations. */
export function Sidebar({ onShow }: { onShow: () => void }) {
  useTopic(chat.list, chat.shown);
  const [query, setQuery] = useState("");
  const [said, say] = useState("");
  const file = useRef<HTMLInputElement>(null);
  const found = chat.search(query);
  const take = async (given: File | undefined) => {
    if (!given) return;
    try {
      const more = await importJSON(await given.text());
      chat.add(more);
      say(text.imported(more.length));
    } catch {
      say(text.importFailed);
    }
  };
  return (
    <nav class="sidebar" aria-label={text.conversations}>
      <button type="button" class="primary" onClick={() => { chat.begin(); onShow(); }}>{text.newChat}</button>
      <input id="search" type="search" aria-label={text.search} placeholder={text.search} value={query}
        onInput={(event) => setQuery(event.currentTarget.value)} />
      {found.length === 0 && <p class="hint">{text.noConversations}</p>}
      <ul>{found.map((c) => <Entry key={c.id} conversation={c} onShow={onShow} />)}</ul>
      <footer class="tools">
        <button type="button" class="quiet" disabled={!chat.all().length}
          onClick={async () => download("eyelet.json", await exportJSON(chat.all()), "application/json")}>{text.exportAll}</button>
        <button type="button" class="quiet" onClick={() => file.current!.click()}>{text.importFile}</button>
        <input ref={file} class="only-heard" type="file" accept=".json,application/json" tabIndex={-1} aria-label={text.importFile}
          onChange={(event) => { void take(event.currentTarget.files![0]); event.currentTarget.value = ""; }} />
        <span role="status">{said}</span>
      </footer>
    </nav>
  );
}

function Entry({ conversation, onShow }: { conversation: Conversation; onShow: () => void }) {
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState(""); // that is being typed
  const { id } = conversation;
  const title = conversation.title || text.untitled;
  const readable = async () => {
    const branch = chat.branch(conversation);
    const pictures = await Promise.all(branch.flatMap((m) => m.pictures).map(chat.picture));
    const names = new Map(pictures.flatMap((p) => (p ? [[p.id, p.name] as const] : [])));
    download(`${title}.md`, markdown(title, branch, (p) => names.get(p) ?? text.picture), "text/markdown");
  };
  if (naming) {
    return (
      <li>
        <input aria-label={text.rename} value={name} autoFocus
          onInput={(event) => setName(event.currentTarget.value)}
          onBlur={() => { void chat.rename(id, name); setNaming(false); }}
          onKeyDown={(event) => {
            if (event.key === "Enter") event.currentTarget.blur();
            if (event.key === "Escape") { event.stopPropagation(); setNaming(false); }
          }} />
      </li>
    );
  }
  return (
    <li class={chat.now().id === id ? "current" : ""}>
      <button type="button" class="entry" aria-current={chat.now().id === id}
        onClick={() => { chat.open(id); onShow(); }}>{title}{chat.isRunning(id) ? " …" : ""}</button>
      <details class="menu">
        <summary aria-label={`${text.menu}: ${title}`}>⋯</summary>
        <div>
          <button type="button" class="quiet" onClick={() => { setName(title); setNaming(true); }}>{text.rename}</button>
          <button type="button" class="quiet"
            onClick={async () => download(`${title}.json`, await exportJSON([conversation]), "application/json")}>{text.exportOne}</button>
          <button type="button" class="quiet" onClick={readable}>{text.exportMarkdown}</button>
          <button type="button" class="quiet danger"
            onClick={() => confirm(text.removeConversation) && void chat.remove(id)}>{text.remove}</button>
        </div>
      </details>
    </li>
  );
}
