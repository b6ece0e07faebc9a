/** What a reader has of an answer so far, and how each run event changes it. Pure: the same events, the same answer. */
import type { Citation, RunEvent, RunFailure, Spent, Status } from "@client/types";

/** Who answers, and why they were chosen. */
export interface Answerer {
  model: string | null;
  provider: string | null;
  why: string | null;
}

/** Another model went on with what was already said. */
export interface Handover {
  /** So many characters of the text are the first model's. */
  at: number;
  from: Answerer;
}

export interface Answer {
  content: string;
  status: Status;
  citations: readonly Citation[];
  stage: string | null;
  documents: number | null;
  failure: RunFailure | null;
  by: Answerer | null;
  handover: Handover | null;
  /** Something that was shown was taken back by a rule. */
  retracted: boolean;
  /** The answer, or its end, was held back by a rule. */
  filtered: boolean;
  spent: Spent | null;
}

export const emptyAnswer: Answer = {
  content: "",
  status: "pending",
  citations: [],
  stage: null,
  documents: null,
  failure: null,
  by: null,
  handover: null,
  retracted: false,
  filtered: false,
  spent: null,
};

export function advance(answer: Answer, event: RunEvent): Answer {
  switch (event.type) {
    case "status":
      return { ...answer, stage: event.stage, documents: event.documents ?? answer.documents };
    case "citation":
      return { ...answer, citations: withCitation(answer.citations, event.citation) };
    case "text":
      return { ...answer, content: answer.content + event.content, status: "streaming" };
    case "meta":
      return { ...answer, ...answeredBy(answer, event) };
    case "rewind":
      return { ...shortened(answer, event.length), retracted: event.length > 0 && answer.retracted };
    case "retract":
      return { ...shortened(answer, event.length), retracted: true };
    case "done":
      return {
        ...answer,
        status: event.finishReason === "stopped" ? "stopped" : "completed",
        filtered: event.finishReason === "filtered",
        spent: event.spent,
        stage: null,
      };
    case "error":
      return { ...answer, status: "failed", failure: event.failure, stage: null };
    default:
      return answer;
  }
}

/** The first word decides: before it a change of mind concerns nobody, after it two have answered. */
function answeredBy(answer: Answer, next: Answerer): Pick<Answer, "by" | "handover"> {
  const { by: from, content, handover } = answer;
  const by = { model: next.model, provider: next.provider, why: next.why };
  const another = from !== null && (from.model !== by.model || from.provider !== by.provider);
  return { by, handover: another && content !== "" ? { at: content.length, from } : handover };
}

/** Text that is gone takes the note on who said it along. */
function shortened(answer: Answer, length: number): Answer {
  const content = firstCharacters(answer.content, length);
  const { handover } = answer;
  return { ...answer, content, handover: handover && handover.at <= content.length ? handover : null };
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
