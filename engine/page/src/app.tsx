// The page: the list of conversations beside the view that is shown.

import { render } from "preact";
import { memo } from "preact/compat";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Conversation, Message } from "./types";
import { Answer } from "./answer";
import { Composer } from "./composer";
import { Dialog } from "./dialog";
import { Machine, useMachine } from "./machine";
import { Models } from "./models";
import { Found, Question } from "./question";
import { Reports } from "./reports";
import { Sidebar } from "./sidebar";
import { text } from "./strings";
import * as api from "./api";
import * as chat from "./chat";
import { useTopic } from "./topic";

type View = "chat" | "models" | "machine" | "reports";
const views: [View, string][] = [
  ["chat", text.viewChat], ["models", text.viewModels], ["machine", text.viewMachine],
  ["reports", text.viewReports],
];
const themeName = "eyelet-theme";

function App() {
  useTopic(chat.server.topic);
  const [view, setView] = useState<View>("chat");
  const [sidebar, setSidebar] = useState(matchMedia("(min-width: 48rem)").matches);
  const [help, setHelp] = useState(false);
  const [key, setKey] = useState<{ wrong: boolean; give: (key: string) => void } | null>(null);
  const { state } = useMachine(view === "models");
  useEffect(() => {
    api.onKey((wrong) => new Promise((give) => setKey({ wrong, give })));
    void chat.load().then(() => chat.server.refresh());
  }, []);
  useKeys({
    toggleSidebar: () => setSidebar((on) => !on),
    search: () => {
      setSidebar(true);
      requestAnimationFrame(() => document.getElementById("search")?.focus());
    },
    begin: () => { chat.begin(); setView("chat"); },
  });
  return (
    <div class={sidebar ? "app" : "app narrow"}>
      <header class="bar">
        <button type="button" class="quiet" aria-expanded={sidebar} aria-label={text.conversations}
          onClick={() => setSidebar(!sidebar)}>☰</button>
        <strong>{text.appName}</strong>
        <span role="tablist" aria-label={text.menu}>
          {views.map(([name, label]) => (
            <button type="button" role="tab" aria-selected={view === name} onClick={() => setView(name)}>{label}</button>
          ))}
        </span>
        <span class="end">
          <button type="button" class="quiet" onClick={() => setHelp(true)}>{text.keys}</button>
          <Theme />
        </span>
      </header>
      {chat.server.gone && <p class="banner" role="alert">{text.serverGone}</p>}
      {sidebar && <Sidebar onShow={() => { setView("chat"); if (!matchMedia("(min-width: 48rem)").matches) setSidebar(false); }} />}
      {view === "chat" && <Chat />}
      {view === "models" && <Models limit={state?.memory.limit ?? 0} />}
      {view === "machine" && <Machine />}
      {view === "reports" && <Reports />}
      {help && (
        <Dialog title={text.keys} onClose={() => setHelp(false)}>
          <dl class="facts">{text.keysHelp.map(([k, what]) => <div><dt><kbd>{k}</kbd></dt><dd>{what}</dd></div>)}</dl>
        </Dialog>
      )}
      {key && <KeyDialog wrong={key.wrong} onGive={(given) => { setKey(null); key.give(given); }} />}
    </div>
  );
}

function useKeys(act: { toggleSidebar: () => void; search: () => void; begin: () => void }) {
  useLayoutEffect(() => {
    const key = (event: KeyboardEvent) => {
      const control = event.ctrlKey || event.metaKey;
      const typing = (event.target as Element).closest("textarea, input, select, dialog") !== null;
      if (control && event.shiftKey && event.key.toLowerCase() === "o") act.begin();
      else if (control && event.key === "k") act.search();
      else if (control && event.key === "b") act.toggleSidebar();
      else if (event.key === "/" && !typing) document.querySelector<HTMLElement>("textarea.ask")?.focus();
      else if (event.key === "Escape" && !document.querySelector("dialog[open]")) chat.stop();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
}

function Theme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const [theme, setTheme] = useState(localStorage.getItem(themeName) ?? system);
  useEffect(() => { document.documentElement.dataset.theme = theme; }, [theme]);
  const other = theme === "dark" ? "light" : "dark";
  return (
    <button type="button" class="quiet" aria-label={`${text.theme}: ${other === "dark" ? text.dark : text.light}`}
      onClick={() => { localStorage.setItem(themeName, other); setTheme(other); }}>
      {other === "dark" ? text.dark : text.light}
    </button>
  );
}

function KeyDialog({ wrong, onGive }: { wrong: boolean; onGive: (key: string) => void }) {
  const [value, setValue] = useState("");
  return (
    <Dialog title={text.keyNeeded} onClose={() => undefined}>
      <form onSubmit={(event) => { event.preventDefault(); if (value.trim()) onGive(value.trim()); }}>
        <p class="hint">{text.keyHint}</p>
        {wrong && <p class="error" role="alert">{text.keyWrong}</p>}
        <input type="password" autocomplete="off" autoFocus aria-label={text.keyNeeded} value={value}
          onInput={(event) => setValue(event.currentTarget.value)} />
        <button type="submit" class="primary">{text.keySend}</button>
      </form>
    </Dialog>
  );
}

// A message is drawn again when it is another one, or its conversation was changed.
const MessageView = memo(
  ({ conversation, message }: { conversation: Conversation; message: Message; stamp: string }) =>
    message.role === "user"
      ? <Question conversation={conversation} message={message} />
      : (
        <>
          <Answer conversation={conversation} message={message} />
          <Found conversation={conversation} message={message} />
        </>
      ),
  (a, b) => a.message === b.message && a.stamp === b.stamp,
);

// stampOf is what a message's looks depend on beside itself: its versions, its answer, its models.
function stampOf(conversation: Conversation, message: Message): string {
  const children = Object.values(conversation.messages).filter((m) => m.parent === message.id);
  const siblings = chat.siblings(conversation, message).length;
  const running = message.columns.some((c) => c.running);
  const answered = children.map((m) => (m.columns.some((c) => c.running) ? "…" : m.id)).join();
  return `${siblings} ${running} ${answered} ${conversation.schema.length}`;
}

const firstShown = 24; // messages that are drawn at once; the earlier ones follow when there is time

function Chat() {
  useTopic(chat.shown, chat.server.topic);
  const conversation = chat.now();
  const messages = chat.branch(conversation);
  const [all, setAll] = useState("");
  const place = useRef<HTMLDivElement>(null);
  const bottom = useRef(true);
  const whole = all === conversation.id || messages.length <= firstShown;
  const visible = whole ? messages : messages.slice(-firstShown);
  useEffect(() => {
    if (whole) return;
    const timer = setTimeout(() => setAll(conversation.id), 100);
    return () => clearTimeout(timer);
  }, [conversation.id, whole]);
  useLayoutEffect(() => {
    bottom.current = true;
    place.current!.scrollTop = place.current!.scrollHeight;
  }, [conversation.id, messages.length, whole]);
  useEffect(() => {
    // While an answer grows the end stays in sight, unless the reader has gone up.
    const target = place.current!;
    const watch = new ResizeObserver(() => {
      if (bottom.current) target.scrollTop = target.scrollHeight;
    });
    watch.observe(target.firstElementChild!);
    return () => watch.disconnect();
  }, []);
  return (
    <main class="chat">
      <div class="messages" ref={place} tabIndex={0} aria-label={conversation.title || text.newChat}
        onScroll={(event) => {
          const el = event.currentTarget;
          bottom.current = el.scrollHeight - el.scrollTop - el.clientHeight < 48;
        }}>
        <div>
          {messages.length === 0 && (
            <div class="welcome"><h1>{text.welcome}</h1><p>{text.welcomeHint}</p></div>
          )}
          {visible.map((message) => (
            <MessageView key={message.id} conversation={conversation} message={message} stamp={stampOf(conversation, message)} />
          ))}
        </div>
      </div>
      <Composer />
    </main>
  );
}

render(<App />, document.getElementById("app")!);
