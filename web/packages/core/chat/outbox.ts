/**
 * What was typed and sent but not yet acknowledged. An item is written before the first attempt and taken out
 * when the server has named the run, so neither a reload nor a lost answer loses it; its client message id
 * makes a second attempt harmless. One storage key per item: two tabs never overwrite each other.
 */
import { record, text } from "@client/problem";
import type { KeyValue } from "@client/storage";

const PREFIX = "parlour.outbox.";

export interface OutboxItem {
  clientMessageId: string;
  conversation: string;
  sessionId: string | null;
  assistantId: string | null;
  /** The model that was chosen when it was written; null leaves the choice to the session. */
  model: string | null;
  text: string;
  createdAt: number;
  /** Its conversation is full: it is kept for its text, and not sent there again. */
  leftOver?: boolean;
}

export class Outbox {
  constructor(private readonly storage: KeyValue) {}

  put(item: OutboxItem): void {
    this.storage.set(keyOf(item), JSON.stringify(item));
  }

  remove(item: OutboxItem): void {
    this.storage.remove(keyOf(item));
  }

  /** Everything unacknowledged, in the order it was written. */
  all(): OutboxItem[] {
    return this.storage
      .keys(PREFIX)
      .map((key) => parse(this.storage.get(key)))
      .filter((item) => item !== null)
      .sort((a, b) => a.createdAt - b.createdAt);
  }

  of(conversation: string): OutboxItem[] {
    return this.all().filter((item) => item.conversation === conversation);
  }

  /** A new conversation has its session: what waits in it goes there. */
  settle(conversation: string, sessionId: string): void {
    for (const item of this.of(conversation)) this.put({ ...item, sessionId });
  }
}

function keyOf(item: OutboxItem): string {
  return `${PREFIX}${item.clientMessageId}`;
}

function parse(stored: string | null): OutboxItem | null {
  if (stored === null) return null;
  try {
    const item = record(JSON.parse(stored));
    if (!text(item.clientMessageId) || !text(item.text) || !text(item.conversation)) return null;
    return {
      clientMessageId: text(item.clientMessageId),
      conversation: text(item.conversation),
      sessionId: text(item.sessionId) || null,
      assistantId: text(item.assistantId) || null,
      model: text(item.model) || null,
      text: text(item.text),
      createdAt: Number(item.createdAt) || 0,
      ...(item.leftOver === true && { leftOver: true }),
    };
  } catch {
    return null;
  }
}
