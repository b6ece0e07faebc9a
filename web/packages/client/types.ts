/** The wire shapes of the HTTP contract, as the page reads them. Nothing here knows React or the DOM. */

export type Status = "pending" | "streaming" | "completed" | "stopped" | "failed";
export type Rating = "up" | "down";

export interface Session {
  id: string;
  title: string | null;
  assistantId: string | null;
  /** The model that was wished for when the session was made; null leaves the choice to the server. */
  model?: string | null;
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
  /** Seconds until another attempt makes sense, where that is known. */
  retryAfter?: number | null;
}

/** Tokens of a reply; `estimated` says that the provider did not count them. */
export interface Usage {
  inputTokens: number;
  outputTokens: number;
  cachedTokens: number;
  estimated: boolean;
}

/** What a reply took. A cost of null is unknown, not free. */
export interface Spent {
  usage: Usage | null;
  costUsd: number | null;
  latencyMs: number | null;
  ttftMs: number | null;
}

export interface Message extends Partial<Spent> {
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
  /** One sentence on why this model answered. */
  why?: string | null;
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
  model?: string;
}

/** A model that can be wished for; the first one the server lists leaves the choice to it. */
export interface Model {
  id: string;
  name: string;
  /** Null for the choice that is left to the server. */
  provider: string | null;
  default: boolean;
  available: boolean;
  /** Why it can't be had right now, in words. */
  note: string | null;
}

/** One call to a model: a line of the ledger. `cause` is told to operators only. */
export interface Attempt {
  provider: string;
  model: string;
  status: "answered" | "failed" | "stopped" | "skipped" | "lost";
  why: string;
  startedAt: string;
  durationMs: number;
  ttftMs: number | null;
  usage: Usage | null;
  costUsd: number | null;
  /** Nobody was asked: an answer that was kept was given again. */
  cached: boolean;
  error: string | null;
  cause?: string | null;
}

/** One event of a run, after its frame was read. Events of unknown names never become one of these. */
export type RunEvent =
  | { type: "start"; runId: string; sessionId: string; userMessageId: string; messageId: string }
  | { type: "status"; stage: string; documents: number | null }
  | { type: "meta"; model: string | null; provider: string | null; why: string | null }
  | { type: "citation"; citation: Citation }
  | { type: "text"; content: string }
  | { type: "rewind"; length: number }
  | { type: "retract"; length: number }
  | { type: "done"; finishReason: string; spent: Spent }
  | { type: "draining" }
  | { type: "error"; failure: RunFailure };

/** A run event with the id a reader presents to go on after it; null when the frame carried none. */
export interface Numbered {
  id: string | null;
  event: RunEvent;
}
