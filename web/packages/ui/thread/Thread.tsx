/** A conversation to read, with the composer at its foot. */
import { settled } from "@core/chat/answer";
import { type Conversation, type Entry, liveAnswer } from "@core/chat/conversation";
import { BUILTIN } from "@core/models/models";
import { ArrowDown } from "lucide-react";
import { useLayoutEffect, useRef } from "react";
import { Composer } from "../composer/Composer";
import { useApp, useWords } from "../context";
import { Turn } from "./Turn";
import { useReading } from "./useReading";

export function Thread({ conversation, name }: { conversation: Conversation; name: string }) {
  const t = useWords();
  const { chat } = useApp();
  const { uid, entries } = conversation;
  const { scroller, content, away, toEnd } = useReading(uid, entries[0]?.key, () => void chat.loadOlder(uid));
  useShownFromOwnWords(entries.at(-1)?.key, entries.findLast(({ role }) => role === "user")?.key, toEnd);
  const resting = entries.findLast(({ role, status }) => role === "assistant" && settled(status))?.key;
  return (
    <div className="scroller" ref={scroller} tabIndex={0} role="region" aria-label={t("message.log")}>
      <div className="thread" ref={content} role="log" aria-live="off" aria-label={t("message.log")}>
        {conversation.loadingOlder && <p className="older">{t("session.older")}</p>}
        {conversation.phase === "missing" && <p className="blank-words">{t("session.missing")}</p>}
        {conversation.phase === "failed" && <LoadFailed uid={uid} />}
        {entries.map((entry) => (
          <Turn
            key={entry.key}
            entry={entry}
            uid={uid}
            name={name}
            resting={entry.key === resting}
            last={entry === entries.at(-1)}
          />
        ))}
      </div>
      <div className="dock">
        <div className="dock-column">
          {away && (
            <button type="button" className="latest" onClick={toEnd}>
              <ArrowDown size={16} strokeWidth={1.75} />
              {t("message.latest")}
            </button>
          )}
          {conversation.phase !== "missing" && <ThreadComposer conversation={conversation} onSend={toEnd} />}
        </div>
      </div>
    </div>
  );
}

function ThreadComposer({ conversation, onSend }: { conversation: Conversation; onSend(): void }) {
  const app = useApp();
  const t = useWords();
  const { uid, sessionId } = conversation;
  const rests = conversation.entries.some(restsOnDocuments);
  return (
    <>
      <Composer
        key={uid}
        sessionId={sessionId}
        live={liveAnswer(conversation) !== undefined}
        placeholder={t("composer.next")}
        onStop={() => app.chat.stop(uid)}
        onSend={(text) => {
          app.say(uid, text);
          onSend();
        }}
      />
      <p className="dock-foot">{rests && t("composer.foot")}</p>
    </>
  );
}

/** There is a source to open, or it came from whoever knows nothing but the documents. */
function restsOnDocuments({ content, citations, by }: Entry): boolean {
  return by?.provider === BUILTIN || citations.some(({ number }) => content.includes(`[${number}]`));
}

function LoadFailed({ uid }: { uid: string }) {
  const t = useWords();
  const { chat } = useApp();
  return (
    <div className="answer-page">
      <div className="trouble" role="alert">
        <span className="trouble-words">{t("session.failed")}</span>
        <button type="button" className="trouble-act" onClick={() => void chat.load(uid)}>
          {t("message.tryAgain")}
        </button>
      </div>
    </div>
  );
}

/** Whoever just wrote wants to see it, wherever they were reading. */
function useShownFromOwnWords(
  last: string | undefined,
  lastQuestion: string | undefined,
  toEnd: () => void,
): void {
  const seen = useRef(lastQuestion);
  useLayoutEffect(() => {
    if (seen.current !== lastQuestion && last !== undefined) toEnd();
    seen.current = lastQuestion;
  }, [last, lastQuestion, toEnd]);
}
