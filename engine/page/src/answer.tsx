// An answer: thoughts, text, the page or the form in it, what it cost, what it found in the pictures.

import { memo } from "preact/compat";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Column, Conversation, Message } from "./types";
import { blocksOf, html, type Block } from "./markdown";
import { duration, rate } from "./format";
import { Form } from "./form";
import { Sketch } from "./sketch";
import { differing } from "./words";
import { text } from "./strings";
import * as chat from "./chat";
import { useTopic } from "./topic";

/** CopyButton copies a text. */
export function CopyButton({ of }: { of: () => string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(of());
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return <button type="button" class="quiet" onClick={copy}>{done ? text.copied : text.copy}</button>;
}

const HTMLBlock = memo(({ raw }: { raw: string }) => (
  <div class="markdown" dangerouslySetInnerHTML={{ __html: html(raw) }} />
));

const CodeBlock = memo(({ language, source }: { language: string; source: string }) => (
  <figure class="code">
    <figcaption>
      <span>{language}</span>
      <CopyButton of={() => source} />
    </figcaption>
    <pre tabIndex={0}><code>{source}</code></pre>
  </figure>
));

function BlockView({ block }: { block: Block }) {
  const { code } = block;
  if (code && code.closed && /^(html|svg|xml)$/i.test(code.language) && isPage(code.source)) {
    return <Sketch source={code.source} />;
  }
  if (code) return <CodeBlock language={code.language} source={code.source} />;
  return <HTMLBlock raw={block.raw} />;
}

const isPage = (source: string) => /<(html|body|svg|div|h\d|p|form|main|table|ul)[\s>]/i.test(source);

/** isBarePage tells whether an answer is nothing but HTML or SVG, without a fence around it. */
const isBarePage = (answer: string) => /^\s*<[a-z!][\s\S]*>\s*$/i.test(answer) && isPage(answer);

function AnswerText({ column, schema }: { column: Column; schema: string }) {
  const answer = column.text;
  const blocks = useMemo(() => blocksOf(answer), [answer]);
  if (!column.running && schema.trim() && answer.trim()) return <Form answer={answer} schema={schema} />;
  if (!column.running && isBarePage(answer)) return <Sketch source={answer} />;
  return <>{blocks.map((block, i) => <BlockView key={i} block={block} />)}</>;
}

function Thoughts({ column }: { column: Column }) {
  if (!column.thinking) return null;
  return (
    <details class="thoughts" open={column.running && !column.text}>
      <summary>{text.thinking}</summary>
      <div class="plain">{column.thinking}</div>
    </details>
  );
}

function CostLine({ column }: { column: Column }) {
  const { cost } = column;
  if (!cost) return null;
  const speed = rate(Math.max(0, cost.answerTokens - 1), cost.generate);
  const title = [
    text.costTitle,
    text.promptCost(cost.promptTokens, cost.cachedTokens),
    cost.imageTokens ? `${text.pictures}: ${text.tokens(cost.imageTokens)}` : "",
    cost.encode ? text.encodedIn(duration(cost.encode)) : "",
  ].filter(Boolean).join("\n");
  return (
    <p class="cost" title={title}>
      {text.cost(cost.answerTokens, speed, duration(cost.firstToken))}
      {" · "}{text.promptCost(cost.promptTokens, cost.cachedTokens)}
    </p>
  );
}

function ColumnView(props: { column: Column; schema: string; others: string[]; named: boolean }) {
  const { column, others } = props;
  const marked = useMemo(
    () => (others.length && !column.running ? differing(column.text, others[0]) : null),
    [column.text, column.running, others.join("\u0000")],
  );
  return (
    <section class="column" aria-busy={column.running ?? false} aria-label={column.model}>
      {props.named && <h3>{column.model}</h3>}
      <Thoughts column={column} />
      {marked && !props.schema
        ? <p class="plain">{marked.map((word) => word.differs ? <mark>{word.text}</mark> : word.text)}</p>
        : <AnswerText column={column} schema={props.schema} />}
      {column.running && <span class="cursor" aria-hidden="true" />}
      {column.error && <p class="error" role="alert">{column.error}</p>}
      <CostLine column={column} />
    </section>
  );
}

/** Versions walks the versions of a message. */
export function Versions({ conversation, message }: { conversation: Conversation; message: Message }) {
  const versions = chat.siblings(conversation, message);
  if (versions.length < 2) return null;
  const at = versions.indexOf(message);
  return (
    <span class="versions">
      <button type="button" class="quiet" aria-label={text.previousBranch} disabled={at === 0}
        onClick={() => chat.walk(versions[at - 1])}>‹</button>
      {text.branch(at + 1, versions.length)}
      <button type="button" class="quiet" aria-label={text.nextBranch} disabled={at === versions.length - 1}
        onClick={() => chat.walk(versions[at + 1])}>›</button>
    </span>
  );
}

/** Answer shows the answers to a question, side by side where several models were asked. */
export function Answer({ conversation, message }: { conversation: Conversation; message: Message }) {
  useTopic(chat.liveOf(message.id));
  const { columns } = message;
  const running = columns.some((column) => column.running);
  const question = message.parent ? conversation.messages[message.parent] : undefined;
  const asked = useRef(running);
  const [announced, announce] = useState("");
  useEffect(() => {
    // Screen readers hear the answer once it is complete, and not each token of it.
    if (asked.current && !running) announce(columns.map((c) => c.text || (c.error ?? "")).join("\n"));
  }, [running]);
  return (
    <article class="answer" data-message={message.id}>
      <div class="columns" data-count={columns.length}>
        {columns.map((column, i) => (
          <ColumnView key={i} column={column} schema={conversation.schema} named={columns.length > 1}
            others={columns.filter((c) => c !== column && !c.running).map((c) => c.text)} />
        ))}
      </div>
      <span class="only-heard" aria-live="polite">{announced}</span>
      {!running && (
        <footer>
          <CopyButton of={() => columns.map((c) => c.text).join("\n\n")} />
          {question && (
            <button type="button" class="quiet" onClick={() => chat.askAgain(question)}>{text.again}</button>
          )}
          <Versions conversation={conversation} message={message} />
        </footer>
      )}
    </article>
  );
}
