/** What a reader has of an answer so far, and how each run event changes it. Pure: the same events, the same answer. */
import type { Citation, RunEvent, RunFailure, Status } from "@client/types";

export interface Answer {
  content: string;
  status: Status;
  citations: readonly Citation[];
  stage: string | null;
  documents: number | null;
  failure: RunFailure | null;
}

export const emptyAnswer: Answer = {
  content: "",
  status: "pending",
  citations: [],
  stage: null,
  documents: null,
  failure: null,
};

export function advance(answer: Answer, event: RunEvent): Answer {
  switch (event.type) {
    case "status":
      return { ...answer, stage: event.stage, documents: event.documents ?? answer.documents };
    case "citation":
      return { ...answer, citations: withCitation(answer.citations, event.citation) };
    case "text":
      return { ...answer, content: answer.content + event.content, status: "streaming" };
    case "rewind":
      return { ...answer, content: firstCharacters(answer.content, event.length) };
    case "done":
      return { ...answer, status: event.finishReason === "stopped" ? "stopped" : "completed", stage: null };
    case "error":
      return { ...answer, status: "failed", failure: event.failure, stage: null };
    default:
      return answer;
  }
}

export function settled(status: Status): boolean {
  return status === "completed" || status === "stopped" || status === "failed";
}

/** The server counts characters as code points; JavaScript counts UTF-16 units. */
export function firstCharacters(text: string, count: number): string {
  let units = 0;
  for (let seen = 0; seen < count && units < text.length; seen += 1) {
    units += (text.codePointAt(units) ?? 0) > 0xffff ? 2 : 1;
  }
  return text.slice(0, units);
}

function withCitation(citations: readonly Citation[], added: Citation): readonly Citation[] {
  const others = citations.filter((citation) => citation.number !== added.number);
  return [...others, added].sort((a, b) => a.number - b.number);
}
