/** Sources in the margin, each beside the line that first used it; a note gives way to the one above it. */
import type { Citation } from "@client/types";
import { type RefObject, useLayoutEffect, useRef } from "react";
import { useWords } from "../context";
import { Passage, useSourceLine } from "./Passage";
import { type Sources, useSources } from "./sources";

const GAP = 12;

export function MarginNotes({ answer }: { answer: RefObject<HTMLElement | null> }) {
  const t = useWords();
  const sources = useSources();
  const list = useRef<HTMLOListElement>(null);
  useNotePlaces(answer, list, sources);
  if (!sources || sources.citations.length === 0) return null;
  return (
    <div className="notes" role="group" aria-label={t("message.sources")}>
      <ol ref={list}>
        {sources.citations.map((citation) => (
          <Note key={citation.number} citation={citation} sources={sources} />
        ))}
      </ol>
    </div>
  );
}

function Note({ citation, sources }: { citation: Citation; sources: Sources }) {
  const line = useSourceLine()(citation);
  const { number } = citation;
  const open = sources.open === number;
  const lit = open || sources.lit === number;
  return (
    <li
      className={`note${lit ? " lit" : ""}${open ? " open" : ""}`}
      data-note={number}
      id={sources.idOf(number)}
    >
      <button
        type="button"
        className="note-head"
        aria-expanded={open}
        onClick={(event) => sources.toggle(number, event.currentTarget)}
        onPointerEnter={() => sources.light(number)}
        onPointerLeave={() => sources.light(null)}
      >
        <span className="note-number">{number}</span>
        <span className="note-words">
          <span className="note-title" dir="auto">
            {citation.title || citation.documentTitle}
          </span>
          {line && (
            <span className="note-line" dir="auto">
              {line}
            </span>
          )}
        </span>
      </button>
      {open && <Passage citation={citation} />}
    </li>
  );
}

/** Measure after each change and whenever text above a chip reflows; places are set as styles, not as state. */
function useNotePlaces(
  answer: RefObject<HTMLElement | null>,
  list: RefObject<HTMLOListElement | null>,
  sources: Sources | null,
): void {
  const open = sources?.open;
  const count = sources?.citations.length;
  // biome-ignore lint/correctness/useExhaustiveDependencies: an opened or added note moves the others
  useLayoutEffect(() => {
    const body = answer.current;
    const notes = list.current;
    if (!body || !notes) return;
    const arrange = () => placeNotes(body, notes);
    arrange();
    const observer = new ResizeObserver(arrange);
    observer.observe(body);
    return () => observer.disconnect();
  }, [answer, list, open, count]);
}

function placeNotes(body: HTMLElement, notes: HTMLElement): void {
  const origin = notes.getBoundingClientRect().top;
  let free = 0;
  for (const note of notes.querySelectorAll<HTMLElement>("[data-note]")) {
    const chip = body.querySelector(`[data-chip="${note.dataset.note}"]`);
    const box = chip?.getBoundingClientRect();
    // Half of the note's first line of 20 px, so that its middle meets the middle of the chip's line.
    const wanted = box ? box.top + box.height / 2 - origin - 10 : free;
    const top = Math.max(wanted, free);
    note.style.insetBlockStart = `${top}px`;
    note.hidden = !chip;
    if (chip) free = top + note.offsetHeight + GAP;
  }
  notes.style.minBlockSize = `${Math.max(0, free - GAP)}px`;
}
