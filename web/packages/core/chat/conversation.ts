/** A conversation as the page holds it: entries in reading order, and the pure changes to them. */
import type { Message, Rating, RunFailure, Spent } from "@client/types";
import { type Answer, type Answerer, emptyAnswer, settled } from "./answer";
import type { OutboxItem } from "./outbox";

/** How far the person's own message has come on its way to the server. */
export type Delivery = "sent" | "sending" | "waiting" | "limited" | "refused";

/** Why a message did not go out: the server's word for it, its sentence, and when another attempt makes sense. */
export interface Hindrance {
  code: string;
  reason: string;
  /** Milliseconds since 1970; null when nobody knows. */
  until: number | null;
}

export interface Entry extends Answer {
  /** Stays the same while the entry becomes known to the server, so that the page never rebuilds it. */
  key: string;
  id: string | null;
  role: "user" | "assistant";
  runId: string | null;
  delivery: Delivery;
  /** What keeps a limited or refused message; null when the server could not be reached at all. */
  hindrance: Hindrance | null;
  /** When it failed, by this device's clock; null for what was read from the server. */
  failedAt: number | null;
  /** False while a broken line is being mended. */
  line: boolean;
  rating: Rating | null;
  createdAt: string;
}

export interface Conversation {
  /** Stays the same when a new conversation gets its session. */
  uid: string;
  sessionId: string | null;
  phase: "loading" | "ready" | "missing" | "failed";
  entries: readonly Entry[];
  olderCursor: string | null;
  loadingOlder: boolean;
}

export function newConversation(uid: string, sessionId: string | null): Conversation {
  const phase = sessionId ? "loading" : "ready";
  return { uid, sessionId, phase, entries: [], olderCursor: null, loadingOlder: false };
}

export function entryOf(message: Message, key: string = message.id): Entry {
  const failure: RunFailure | null = message.error ?? null;
  return {
    key,
    id: message.id,
    role: message.role === "user" ? "user" : "assistant",
    content: message.content,
    status: message.status,
    citations: message.citations ?? [],
    stage: null,
    documents: null,
    failure,
    by: message.model || message.provider ? answererOf(message) : null,
    handover: null,
    retracted: false,
    filtered: message.finishReason === "filtered",
    spent: spentOf(message),
    runId: message.runId ?? null,
    delivery: "sent",
    hindrance: null,
    failedAt: null,
    line: true,
    rating: message.feedback?.rating ?? null,
    createdAt: message.createdAt,
  };
}

function answererOf({ model, provider, why }: Message): Answerer {
  return { model, provider, why: why ?? null };
}

function spentOf({ usage = null, costUsd = null, latencyMs = null, ttftMs = null }: Message): Spent {
  return { usage, costUsd, latencyMs, ttftMs };
}

export function questionEntry(item: OutboxItem): Entry {
  return {
    ...emptyAnswer,
    key: item.clientMessageId,
    id: null,
    role: "user",
    content: item.text,
    status: "completed",
    runId: null,
    delivery: "sending",
    hindrance: null,
    failedAt: null,
    line: true,
    rating: null,
    createdAt: new Date(item.createdAt).toISOString(),
  };
}

export function answerKey(clientMessageId: string): string {
  return `${clientMessageId}:answer`;
}

export function answerEntry(clientMessageId: string, now: number): Entry {
  return {
    ...emptyAnswer,
    key: answerKey(clientMessageId),
    id: null,
    role: "assistant",
    runId: null,
    delivery: "sent",
    hindrance: null,
    failedAt: null,
    line: true,
    rating: null,
    createdAt: new Date(now).toISOString(),
  };
}

/** The entries of a freshly read page, put under what was read before it and over what is not sent yet. */
export function merged(conversation: Conversation, messages: readonly Message[]): readonly Entry[] {
  const known = new Map(conversation.entries.map((entry) => [entry.id, entry]));
  const fresh = messages
    .filter((message) => message.role === "user" || message.role === "assistant")
    .map((message) => {
      const before = known.get(message.id);
      // A run that is being followed here knows more than the page that was read a moment ago.
      return before?.runId && !settled(before.status) ? before : entryOf(message, before?.key);
    });
  const ids = new Set(fresh.map((entry) => entry.id));
  const shared = (entry: Entry) => entry.id !== null && ids.has(entry.id);
  const first = conversation.entries.findIndex(shared);
  const older = first > 0 ? conversation.entries.slice(0, first).filter((entry) => entry.id !== null) : [];
  return [
    ...older,
    ...fresh,
    ...underway(conversation.entries.slice(conversation.entries.findLastIndex(shared) + 1)),
  ];
}

/** What the page that was read can't know yet: the unsent, and an exchange accepted while it was being read. */
function underway(tail: readonly Entry[]): readonly Entry[] {
  const live = tail.some((entry) => entry.id !== null && !settled(entry.status));
  return live ? tail : tail.filter((entry) => entry.id === null);
}

export function withEntry(
  conversation: Conversation,
  key: string,
  change: (entry: Entry) => Entry,
): Conversation {
  const entries = conversation.entries.map((entry) => (entry.key === key ? change(entry) : entry));
  return { ...conversation, entries };
}

/** What a conversation says that may not grow any more. */
export const FULL = "session_full";

/** A message that its conversation has no room for. */
export function isLeftOver({ delivery, hindrance }: Entry): boolean {
  return delivery === "refused" && hindrance?.code === FULL;
}

/** The answer that is on its way, the newest one if there are several. */
export function liveAnswer(conversation: Conversation): Entry | undefined {
  return conversation.entries.findLast((entry) => entry.role === "assistant" && !settled(entry.status));
}
