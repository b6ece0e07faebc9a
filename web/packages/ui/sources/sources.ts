/** Which of an answer's sources is lit or open, shared by its chips, its notes and its sheet. */
import type { Citation } from "@client/types";
import { createContext, useCallback, useContext, useMemo, useRef, useState } from "react";

export interface Sources {
  citations: readonly Citation[];
  byNumber: ReadonlyMap<number, Citation>;
  /** All text is there, so a mark without a source stays a mark. */
  settled: boolean;
  lit: number | null;
  open: number | null;
  idOf(number: number): string;
  light(number: number | null): void;
  /** Open, or close when it is open; `from` gets the focus back on closing. */
  toggle(number: number, from: HTMLElement): void;
  close(): void;
}

const SourcesContext = createContext<Sources | null>(null);
export const SourcesProvider = SourcesContext.Provider;

export function useSources(): Sources | null {
  return useContext(SourcesContext);
}

export function useSourcesState(key: string, citations: readonly Citation[], settled: boolean): Sources {
  const [lit, light] = useState<number | null>(null);
  const [open, setOpen] = useState<number | null>(null);
  const opener = useRef<HTMLElement | null>(null);
  const toggle = useCallback((number: number, from: HTMLElement) => {
    opener.current = from;
    setOpen((before) => (before === number ? null : number));
  }, []);
  const close = useCallback(() => {
    setOpen(null);
    opener.current?.focus();
  }, []);
  const byNumber = useMemo(() => new Map(citations.map((each) => [each.number, each])), [citations]);
  return useMemo(
    () => ({
      citations,
      byNumber,
      settled,
      lit,
      open,
      idOf: (number: number) => `source-${key}-${number}`.replace(/[^\w-]/g, "-"),
      light,
      toggle,
      close,
    }),
    [key, citations, byNumber, settled, lit, open, toggle, close],
  );
}
