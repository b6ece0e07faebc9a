/** Sources where there is no margin: a row of chips under the answer; one opens its passage below, or as a sheet. */
import type { Citation } from "@client/types";
import { X } from "lucide-react";
import { useLayoutEffect, useRef } from "react";
import { useWords } from "../context";
import { PHONE, useMedia } from "../hooks";
import { IconButton } from "../parts/IconButton";
import { Passage, useSourceLine } from "./Passage";
import { type Sources, useSources } from "./sources";

export function SourceRow() {
  const t = useWords();
  const sources = useSources();
  const phone = useMedia(PHONE);
  if (!sources || sources.citations.length === 0) return null;
  const shown = sources.open === null ? undefined : sources.byNumber.get(sources.open);
  return (
    <div className="source-row" role="group" aria-label={t("message.sources")}>
      <ul>
        {sources.citations.map((citation) => (
          <li key={citation.number}>
            <RowChip citation={citation} sources={sources} />
          </li>
        ))}
      </ul>
      {shown &&
        (phone ? (
          <Sheet citation={shown} sources={sources} />
        ) : (
          <Opened citation={shown} sources={sources} />
        ))}
    </div>
  );
}

function RowChip({ citation, sources }: { citation: Citation; sources: Sources }) {
  const { number } = citation;
  const open = sources.open === number;
  return (
    <button
      type="button"
      className={open ? "source-pill lit" : "source-pill"}
      aria-expanded={open}
      onClick={(event) => sources.toggle(number, event.currentTarget)}
    >
      <span className="note-number">{number}</span>
      <span className="source-pill-title" dir="auto">
        {citation.title || citation.documentTitle}
      </span>
    </button>
  );
}

function Heading({ citation }: { citation: Citation }) {
  const line = useSourceLine()(citation);
  return (
    <div className="note-words">
      <span className="note-title" dir="auto">
        {citation.title || citation.documentTitle}
      </span>
      {line && (
        <span className="note-line" dir="auto">
          {line}
        </span>
      )}
    </div>
  );
}

function Opened({ citation, sources }: { citation: Citation; sources: Sources }) {
  return (
    <div className="source-opened" id={sources.idOf(citation.number)}>
      <Heading citation={citation} />
      <Passage citation={citation} />
    </div>
  );
}

function Sheet({ citation, sources }: { citation: Citation; sources: Sources }) {
  const t = useWords();
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    dialog.current?.showModal?.();
  }, []);
  return (
    <dialog
      ref={dialog}
      id={sources.idOf(citation.number)}
      className="sheet"
      aria-label={citation.title || citation.documentTitle}
      onClose={sources.close}
      // The dialog closes by itself, and only once it has can the focus go back to where it came from.
      onKeyDown={(event) => event.key === "Escape" && event.stopPropagation()}
      onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
    >
      <div className="sheet-body">
        <div className="sheet-head">
          <span className="note-number">{citation.number}</span>
          <Heading citation={citation} />
          <IconButton label={t("source.close")} onClick={() => dialog.current?.close()}>
            <X size={18} strokeWidth={1.75} />
          </IconButton>
        </div>
        <Passage citation={citation} />
      </div>
    </dialog>
  );
}
