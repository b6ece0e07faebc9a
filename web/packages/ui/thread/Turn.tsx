/** One entry of a conversation. If it cannot be drawn, its text is still there to read (W-5). */
import type { Entry } from "@core/chat/conversation";
import { memo } from "react";
import { useWords } from "../context";
import { ErrorBoundary } from "../parts/ErrorBoundary";
import { Answer } from "./Answer";
import { Question } from "./Question";

interface Props {
  entry: Entry;
  uid: string;
  name: string;
  /** The last settled answer: its actions are seen without looking for them. */
  resting: boolean;
  /** The last entry of all: it can be asked for again. */
  last: boolean;
}

export const Turn = memo(function Turn({ entry, uid, name, resting, last }: Props) {
  return (
    <article
      className={`turn ${entry.role}`}
      data-status={entry.status}
      aria-busy={entry.status === "streaming"}
    >
      <ErrorBoundary watch={entry} fallback={(again) => <Broken entry={entry} again={again} />}>
        {entry.role === "user" ? (
          <Question entry={entry} uid={uid} />
        ) : (
          <Answer entry={entry} uid={uid} name={name} resting={resting} last={last} />
        )}
      </ErrorBoundary>
    </article>
  );
});

function Broken({ entry, again }: { entry: Entry; again: () => void }) {
  const t = useWords();
  return (
    <div className="answer-page">
      <div className="trouble">
        <span className="trouble-words">{t("message.broken")}</span>
        <button type="button" className="trouble-act" onClick={again}>
          {t("message.tryAgain")}
        </button>
      </div>
      <details className="broken-source">
        <summary>{t("message.showSource")}</summary>
        <pre dir="auto">{entry.content}</pre>
      </details>
    </div>
  );
}
