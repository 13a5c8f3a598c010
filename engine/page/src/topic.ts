// A topic is something that components follow: they are drawn again when it is published.

import { useEffect, useState } from "preact/hooks";

export class Topic {
  private followers = new Set<() => void>();

  /** follow calls `on` at each publication, until the function that it returns is called. */
  follow(on: () => void): () => void {
    this.followers.add(on);
    return () => this.followers.delete(on);
  }

  /** publish tells all followers. */
  publish() {
    for (const on of [...this.followers]) on();
  }
}

/** useTopic draws a component again when one of the topics is published. */
export function useTopic(...topics: (Topic | undefined)[]) {
  const [, draw] = useState(0);
  useEffect(() => {
    const stops = topics.map((topic) => topic?.follow(() => draw((n) => n + 1)));
    return () => stops.forEach((stop) => stop?.());
  }, topics);
}
