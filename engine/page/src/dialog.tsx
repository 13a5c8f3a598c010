// A dialog over the page: the browser's own element keeps the focus inside and closes on Escape.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { text } from "./strings";

/** Dialog shows its children over the page until it is closed. */
export function Dialog(props: {
  title: string; onClose: () => void; children: ComponentChildren; wide?: boolean;
}) {
  const element = useRef<HTMLDialogElement>(null);
  // It is not closed when it goes: the event of that would come later, and close whatever dialog is
  // shown by then.
  useEffect(() => element.current!.showModal(), []);
  return (
    <dialog ref={element} class={props.wide ? "wide" : ""} aria-label={props.title}
      onClose={props.onClose} onCancel={props.onClose}>
      <header>
        <h2>{props.title}</h2>
        <button type="button" class="quiet" onClick={props.onClose}>{text.close}</button>
      </header>
      {props.children}
    </dialog>
  );
}
