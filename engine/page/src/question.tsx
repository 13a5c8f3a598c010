// A question with its pictures, and what each of them cost.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Conversation, Cost, Message, Picture } from "./types";
import { Versions } from "./answer";
import { MarkedPicture, Viewer } from "./viewer";
import { marksOf, plainFrame } from "./boxes";
import { duration } from "./format";
import { text } from "./strings";
import * as chat from "./chat";

/** usePictures reads the pictures of a message. */
export function usePictures(ids: string[]): Picture[] {
  const [pictures, setPictures] = useState<Picture[]>([]);
  useEffect(() => {
    let here = true;
    void Promise.all(ids.map(chat.picture)).then((found) => {
      if (here) setPictures(found.filter((p): p is Picture => !!p));
    });
    return () => { here = false; };
  }, [ids.join()]);
  return pictures;
}

/** Thumbnail is a small picture that opens large. */
export function Thumbnail({ picture, note, onOpen }: { picture: Picture; note?: string; onOpen: () => void }) {
  return (
    <figure class="thumbnail">
      <button type="button" onClick={onOpen} aria-label={text.openPicture(picture.name)}>
        <img src={picture.thumbnail} alt="" loading="lazy" decoding="async" />
      </button>
      <figcaption>
        <span class="name" title={picture.name}>{picture.name}</span>
        <span>{picture.pages ? text.pages(picture.pages) : text.pixels(picture.width, picture.height)}</span>
        {note && <span class="note">{note}</span>}
      </figcaption>
    </figure>
  );
}

// noteOf says what a picture cost: how many tokens it has, and whether the pictures were encoded.
function noteOf(picture: Picture, cost: Cost | undefined): string {
  if (!cost || !cost.imageTokens || !cost.pictures) return "";
  const mine = text.tokens(Math.round((cost.imageTokens * (picture.pages ?? 1)) / cost.pictures));
  return `${mine} · ${cost.encoded ? text.encodedIn(duration(cost.encode)) : text.known}`;
}

/** Question shows a question. */
export function Question({ conversation, message }: { conversation: Conversation; message: Message }) {
  const pictures = usePictures(message.pictures);
  const [opened, setOpened] = useState<Picture | null>(null);
  const [editing, setEditing] = useState(false);
  const answers = Object.values(conversation.messages).filter((m) => m.parent === message.id);
  const answer = answers.find((m) => chat.branch(conversation).includes(m));
  const cost = answer?.columns[0]?.cost;
  return (
    <article class="question" data-message={message.id} aria-label={text.you}>
      {pictures.length > 0 && (
        <div class="thumbnails">
          {pictures.map((picture) => (
            <Thumbnail picture={picture} note={noteOf(picture, cost)} onOpen={() => setOpened(picture)} />
          ))}
        </div>
      )}
      {editing
        ? <Editor message={message} onClose={() => setEditing(false)} />
        : <p class="plain">{message.text}</p>}
      {!editing && (
        <footer>
          <button type="button" class="quiet" onClick={() => setEditing(true)}>{text.edit}</button>
          <Versions conversation={conversation} message={message} />
        </footer>
      )}
      {opened && <Viewer picture={opened} onClose={() => setOpened(null)} />}
    </article>
  );
}

function Editor({ message, onClose }: { message: Message; onClose: () => void }) {
  const [value, setValue] = useState(message.text);
  const [kept, setKept] = useState(message.pictures);
  const pictures = usePictures(kept);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => area.current!.focus(), []);
  const send = () => {
    onClose();
    void chat.ask(value.trim(), kept, message.parent);
  };
  return (
    <form class="editor" onSubmit={(event) => { event.preventDefault(); send(); }}>
      {pictures.map((picture) => (
        <button type="button" class="quiet" onClick={() => setKept(kept.filter((id) => id !== picture.id))}>
          {text.removePicture(picture.name)}
        </button>
      ))}
      <textarea ref={area} aria-label={text.edit} value={value} rows={3}
        onInput={(event) => setValue(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
          if (event.key === "Escape") { event.stopPropagation(); onClose(); }
        }} />
      <button type="submit">{text.send}</button>
      <button type="button" class="quiet" onClick={onClose}>{text.cancel}</button>
    </form>
  );
}

/** Found shows the boxes and points of an answer on the last picture before it. */
export function Found({ conversation, message }: { conversation: Conversation; message: Message }) {
  const before = chat.branch(conversation, message.id).filter((m) => m.pictures.length);
  const ids = before.at(-1)?.pictures.slice(-1) ?? [];
  const [picture] = usePictures(ids);
  if (!picture || message.columns.some((c) => c.running)) return null;
  const marks = message.columns.flatMap((c) => {
    const frame = c.cost?.frame;
    const fits = frame?.width === picture.width && frame.height === picture.height;
    return marksOf(c.text, fits ? frame : plainFrame(picture.width, picture.height));
  });
  return marks.length ? <MarkedPicture picture={picture} marks={marks} /> : null;
}
