/** Where the person writes. The text is a draft that outlives the page until it is sent (W-3). */
import { ArrowUp, Square } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { useApp, useWhole, useWords } from "../context";
import { ModelSelect } from "./ModelSelect";

/** Characters the server takes at most, counted as it counts them: by code point, after trimming. */
const LIMIT = 10_000;

interface Props {
  sessionId: string | null;
  live: boolean;
  placeholder: string;
  roomy?: boolean;
  onSend(text: string): void;
  onStop?(): void;
}

export function Composer({ sessionId, live, placeholder, roomy = false, onSend, onStop }: Props) {
  const t = useWords();
  const app = useApp();
  const online = useWhole(app.network.online);
  const [text, setText] = useState(() => app.drafts.get(sessionId));
  const field = useRef<HTMLTextAreaElement>(null);
  const reasonId = useId();
  const { count, reason } = useVerdict(text);
  // Offline nothing can be stopped, and what is written waits its turn, so the place is free for sending.
  const stopping = live && (online || text.trim() === "");
  const ready = count > 0 && reason === null && !stopping;

  useLayoutEffect(() => grow(field.current), []);
  useEffect(() => {
    if (window.matchMedia("(pointer: fine)").matches) field.current?.focus({ preventScroll: true });
  }, []);

  const write = (value: string) => {
    setText(value);
    app.drafts.set(sessionId, value);
  };
  const send = () => {
    if (!ready) return;
    onSend(text.trim());
    write("");
    requestAnimationFrame(() => grow(field.current));
    field.current?.focus();
  };
  return (
    <form
      className={roomy ? "composer roomy" : "composer"}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        rows={1}
        dir="auto"
        value={text}
        placeholder={placeholder}
        aria-label={t("composer.label")}
        aria-invalid={reason !== null}
        aria-describedby={reason ? reasonId : undefined}
        enterKeyHint="send"
        onChange={(event) => {
          write(event.target.value);
          grow(event.target);
        }}
        onKeyDown={(event) => {
          if (!isSend(event)) return;
          event.preventDefault();
          send();
        }}
      />
      <ModelSelect sessionId={sessionId} />
      {stopping ? (
        <button type="button" className="stop" onClick={onStop}>
          <Square size={12} fill="currentColor" strokeWidth={0} />
          {t("composer.stop")}
        </button>
      ) : (
        <button
          type="submit"
          className="send"
          aria-label={t("composer.send")}
          disabled={!ready}
          data-tip={t("composer.send")}
        >
          <ArrowUp size={18} strokeWidth={2} />
        </button>
      )}
      {(reason || count >= LIMIT * 0.9) && (
        <p
          id={reasonId}
          className={reason ? "composer-note wrong" : "composer-note"}
          role={reason ? "alert" : undefined}
        >
          {reason ?? t("composer.counter", { count, limit: LIMIT })}
        </p>
      )}
    </form>
  );
}

function useVerdict(text: string): { count: number; reason: string | null } {
  const t = useWords();
  const trimmed = text.trim();
  const count = trimmed.length < LIMIT * 0.9 ? trimmed.length : [...trimmed].length;
  if (count > LIMIT) return { count, reason: t("composer.tooLong", { count, limit: LIMIT }) };
  if (trimmed.includes("\u0000") || !wellFormed(trimmed)) return { count, reason: t("composer.forbidden") };
  return { count, reason: null };
}

/** Half of a surrogate pair is no character, and no database would keep it. */
function wellFormed(text: string): boolean {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}

/** Enter sends, with Shift it is a new line; while an input method composes, Enter belongs to it. */
function isSend(event: KeyboardEvent): boolean {
  const composing = event.nativeEvent.isComposing || event.keyCode === 229;
  return event.key === "Enter" && !event.shiftKey && !composing;
}

/** As high as its text, up to the limit that the style sets. */
function grow(field: HTMLTextAreaElement | null): void {
  if (!field) return;
  field.style.blockSize = "auto";
  field.style.blockSize = `${field.scrollHeight}px`;
}
