/** A source opened in place: the passage as a quotation, where it stands, and the way to its page. */
import type { Citation } from "@client/types";
import { safeLink } from "@core/markdown/urls";
import { ArrowUpRight } from "lucide-react";
import { useWords } from "../context";
import { Markdown } from "../prose/Markdown";
import { SourcesProvider } from "./sources";

export function useSourceLine(): (citation: Citation) => string {
  const t = useWords();
  return ({ title, documentTitle, page }) => {
    const document = documentTitle === title ? "" : documentTitle;
    if (page === null) return document;
    return t("source.page", { document: documentTitle || title, page });
  };
}

export function Passage({ citation }: { citation: Citation }) {
  const t = useWords();
  const link = citation.url ? safeLink(citation.url) : null;
  return (
    <div className="passage">
      <blockquote tabIndex={0} aria-label={citation.title || citation.documentTitle}>
        {/* Marks in a quotation belong to its document, and point at nothing here. */}
        <SourcesProvider value={null}>
          <Markdown text={citation.quote} arriving={false} />
        </SourcesProvider>
      </blockquote>
      {link && (
        <a className="passage-link" href={link.href} target="_blank" rel="noopener noreferrer nofollow ugc">
          {t("source.open")}
          <ArrowUpRight size={14} strokeWidth={1.75} />
        </a>
      )}
    </div>
  );
}
