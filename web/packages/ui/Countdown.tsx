/** Time that is left until a moment. Read by eye each second; a screen reader is not told each of them. */
import type { Key } from "@core/i18n/translate";
import { when } from "@core/when";
import { useEffect, useState } from "react";
import { useApp } from "./context";

interface Props {
  /** Milliseconds since 1970; null when nobody knows. */
  until: number | null;
  /** The sentence around `{when}`. */
  words: Key;
  /** What stands there once the moment has come; nothing if left out. */
  past?: Key;
}

export function Countdown({ until, words, past }: Props) {
  const { language } = useApp();
  const { translate } = language;
  const left = useLeft(until);
  if (until === null || left === 0) return past ? <span>{translate(past)}</span> : null;
  return (
    <span role="timer" aria-live="off">
      {translate(words, { when: when(language, until, until - left) })}
    </span>
  );
}

/** Milliseconds until then, counted down in whole seconds; 0 when the moment has come or is not known. */
export function useLeft(until: number | null): number {
  const [now, setNow] = useState(() => Date.now());
  const left = until === null ? 0 : Math.max(0, until - now);
  const waiting = left > 0;
  useEffect(() => {
    if (!waiting) return;
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [waiting]);
  return left;
}
