/** The wire shapes of the HTTP contract, as the page reads them. Nothing here knows React or the DOM. */

export type Status = "pending" | "streaming" | "completed" | "stopped" | "failed";
export type Rating = "up" | "down";

export interface Session {
  id: string;
  title: string | null;
  assistantId: string | null;
  messageCount: number;
  createdAt: string;
  updatedAt: string;
  lastActiveAt: string;
  archived: boolean;
}

export interface Citation {
  number: number;
  passageId: string;
  documentId: string;
  title: string;
  documentTitle: string;
  quote: string;
  url: string | null;
  page: number | null;
}

export interface RunFailure {
  code: string;
  message: string;
  retryable: boolean;
}

export interface Message {
  id: string;
  sessionId: string;
  parentId: string | null;
  role: "user" | "assistant" | "system" | "tool";
  content: string;
  status: Status;
  model: string | null;
  provider: string | null;
  citations: Citation[] | null;
  feedback: { rating: Rating | null } | null;
  createdAt: string;
  runId?: string | null;
  finishReason?: string | null;
  error?: RunFailure | null;
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export interface Suggestion {
  title: string;
  text: string;
}

export interface Assistant {
  id: string;
  name: string;
  description: string | null;
  greeting: string | null;
  suggestions: Suggestion[];
  restsOn: string | null;
}

export interface Person {
  personId: string;
  role: string;
  displayName: string | null;
}

export interface SendBody {
  message: string;
  clientMessageId: string;
  sessionId?: string;
  assistantId?: string;
}

/** One event of a run, after its frame was read. Events of unknown names never become one of these. */
export type RunEvent =
  | { type: "start"; runId: string; sessionId: string; userMessageId: string; messageId: string }
  | { type: "status"; stage: string; documents: number | null }
  | { type: "meta"; model: string | null; provider: string | null }
  | { type: "citation"; citation: Citation }
  | { type: "text"; content: string }
  | { type: "rewind"; length: number }
  | { type: "done"; finishReason: string }
  | { type: "draining" }
  | { type: "error"; failure: RunFailure };

/** A run event with the id a reader presents to go on after it; null when the frame carried none. */
export interface Numbered {
  id: string | null;
  event: RunEvent;
}
