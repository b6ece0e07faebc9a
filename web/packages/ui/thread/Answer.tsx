/** What the assistant said, set like a page: name, text with its sources beside it, and what can be done with it. */
import type { Citation } from "@client/types";
import { settled } from "@core/chat/answer";
import type { Entry } from "@core/chat/conversation";
import type { Key } from "@core/i18n/translate";
import { type KeyboardEvent, useMemo, useRef } from "react";
import { useApp, useWords } from "../context";
import { MARGIN, useAfter, useMedia } from "../hooks";
import { Lamp } from "../parts/Lamp";
import { Markdown } from "../prose/Markdown";
import { MarginNotes } from "../sources/MarginNotes";
import { SourceRow } from "../sources/SourceRow";
import { type Sources, SourcesProvider, useSourcesState } from "../sources/sources";
import { AnswerActions } from "./AnswerActions";
import { Ending } from "./Ending";

interface Props {
  entry: Entry;
  uid: string;
  name: string;
  resting: boolean;
  last: boolean;
}

export function Answer({ entry, uid, name, resting, last }: Props) {
  const margin = useMedia(MARGIN);
  const done = settled(entry.status);
  const body = useRef<HTMLDivElement>(null);
  const sources = useSourcesState(entry.key, useUsed(entry), done);
  const waiting = !done && entry.content === "";
  return (
    <SourcesProvider value={sources}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: Esc closes the source that is open inside */}
      <div className="answer" onKeyDown={(event) => closeOnEscape(event, sources)}>
        <div className="answer-page">
          <h2 className="speaker">
            <Lamp size={16} breathing={waiting} />
            <span dir="auto">{name}</span>
            <Said at={entry.createdAt} />
          </h2>
          <div ref={body}>{entry.content && <Markdown text={entry.content} arriving={!done} />}</div>
          {waiting && <Progress entry={entry} />}
          {!margin && done && <SourceRow />}
          <Ending entry={entry} uid={uid} last={last} />
          {done && (entry.content !== "" || last) && (
            <AnswerActions entry={entry} uid={uid} resting={resting} last={last} />
          )}
        </div>
        {margin && <MarginNotes answer={body} />}
      </div>
    </SourcesProvider>
  );
}

/** When it was said: near words for today, the day for what is older. Seen on hover, always read. */
function Said({ at }: { at: string }) {
  const { language } = useApp();
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  const format: Intl.DateTimeFormatOptions = today
    ? { timeStyle: "short" }
    : { dateStyle: "medium", timeStyle: "short" };
  return (
    <time dateTime={at} className="said">
      {new Intl.DateTimeFormat(language.locale, format).format(date)}
    </time>
  );
}

/** Sources stand beside what used them, so one that the text does not point to has no place. */
function useUsed(entry: Entry): readonly Citation[] {
  const { content, citations } = entry;
  return useMemo(
    () => citations.filter(({ number }) => content.includes(`[${number}]`)),
    [content, citations],
  );
}

function closeOnEscape(event: KeyboardEvent, sources: Sources): void {
  if (event.key !== "Escape" || sources.open === null) return;
  event.preventDefault();
  event.stopPropagation();
  sources.close();
}

const STAGES: Readonly<Record<string, Key>> = {
  routing: "stage.routing",
  searching: "stage.searching",
  waiting: "stage.waiting",
};

/** Nothing but the lamp at first; a line on what is happening when it takes longer than 4 s. */
function Progress({ entry }: { entry: Entry }) {
  const t = useWords();
  const due = useAfter(true, 4_000);
  if (!due) return <div className="progress" />;
  const reading = entry.documents !== null && entry.documents > 0;
  const words = reading
    ? t("stage.reading", { count: entry.documents ?? 0 })
    : t(STAGES[entry.stage ?? ""] ?? "stage.working");
  return (
    <div className="progress" role="status">
      {words}
    </div>
  );
}
