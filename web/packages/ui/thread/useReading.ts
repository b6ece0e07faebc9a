/**
 * Scrolling as a reader means it: the page follows new text only while the reader is at its end, never fights
 * one who scrolled up, and keeps its place when earlier messages are put above (W-4).
 */
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

const NEAR_END = 64;

export interface Reading {
  scroller: RefObject<HTMLDivElement | null>;
  content: RefObject<HTMLDivElement | null>;
  /** The reader is somewhere above the end. */
  away: boolean;
  toEnd(): void;
}

export function useReading(uid: string, firstKey: string | undefined, onTop: () => void): Reading {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const pinned = useRef(true);
  const lastTop = useRef(0);
  const [away, setAway] = useState(false);
  const top = useRef(onTop);
  top.current = onTop;

  const pin = useCallback((value: boolean) => {
    pinned.current = value;
    setAway(!value);
  }, []);
  const toEnd = useCallback(() => {
    const box = scroller.current;
    if (!box) return;
    pin(true);
    box.scrollTop = box.scrollHeight;
  }, [pin]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another conversation begins at its own end
  useLayoutEffect(() => {
    lastTop.current = 0;
    toEnd();
  }, [uid, toEnd]);

  useEffect(() => {
    const box = scroller.current;
    const inner = content.current;
    if (!box || !inner) return;
    const scrolled = () => {
      const fromEnd = box.scrollHeight - box.scrollTop - box.clientHeight;
      // Text that grew moves the end away without anyone scrolling: only a move upwards lets go.
      if (fromEnd < NEAR_END) pin(true);
      else if (box.scrollTop < lastTop.current) pin(false);
      lastTop.current = box.scrollTop;
      if (box.scrollTop < 400) top.current();
    };
    const grown = new ResizeObserver(() => {
      if (pinned.current) box.scrollTop = box.scrollHeight;
    });
    box.addEventListener("scroll", scrolled, { passive: true });
    grown.observe(inner);
    grown.observe(box);
    return () => {
      box.removeEventListener("scroll", scrolled);
      grown.disconnect();
    };
  }, [pin]);

  useKeptPlace(scroller, firstKey);
  return { scroller, content, away, toEnd };
}

/** Where the browser does not anchor scrolling by itself, hold the distance to the end as messages come in above. */
function useKeptPlace(scroller: RefObject<HTMLDivElement | null>, firstKey: string | undefined): void {
  const fromEnd = useRef(0);
  const key = useRef(firstKey);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box) return;
    if (key.current !== firstKey && !CSS.supports("overflow-anchor", "auto")) {
      box.scrollTop = box.scrollHeight - fromEnd.current;
    }
    key.current = firstKey;
    fromEnd.current = box.scrollHeight - box.scrollTop;
  });
}
