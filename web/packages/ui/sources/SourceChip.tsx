/** The numbered chip after a sentence. It lights with its note, and opens the passage in place (K-4). */
import { useWords } from "../context";
import { useSources } from "./sources";

export function SourceChip({ number }: { number: number }) {
  const t = useWords();
  const sources = useSources();
  const citation = sources?.byNumber.get(number);
  if (!sources || !citation) return sources && !sources.settled ? null : `[${number}]`;
  const open = sources.open === number;
  const lit = open || sources.lit === number;
  return (
    <>
      {"\u2060"}
      <button
        type="button"
        className={lit ? "chip lit" : "chip"}
        data-chip={number}
        aria-label={t("source.chip", { number, title: citation.title || citation.documentTitle })}
        aria-expanded={open}
        aria-controls={open ? sources.idOf(number) : undefined}
        onClick={(event) => sources.toggle(number, event.currentTarget)}
        onPointerEnter={() => sources.light(number)}
        onPointerLeave={() => sources.light(null)}
        onFocus={() => sources.light(number)}
        onBlur={() => sources.light(null)}
      >
        <span aria-hidden="true">{number}</span>
      </button>
    </>
  );
}
