/** Takes messages from the outbox to the server: in order, once each, however often it has to try. */
import type { Api } from "@client/api";
import { ApiError } from "@client/problem";
import type { SendBody } from "@client/types";
import type { Network } from "../network";
import { answerEntry, answerKey, type Delivery } from "./conversation";
import type { Conversations } from "./conversations";
import { retryAfter } from "./follow";
import type { Outbox, OutboxItem } from "./outbox";
import type { Runs, Started } from "./runs";

/** After these many failures in a row the person is told, and decides. */
const ATTEMPTS = 3;

type Outcome = "accepted" | "unreachable" | "refused";

export class Deliveries {
  readonly #busy = new Set<string>();
  readonly #refused = new Set<string>();

  constructor(
    private readonly api: Api,
    private readonly conversations: Conversations,
    private readonly outbox: Outbox,
    private readonly network: Network,
    private readonly runs: Runs,
    private readonly onSession: (uid: string, sessionId: string) => void,
  ) {}

  /** Send what waits in a conversation, oldest first. A message goes out when the one before it was accepted. */
  async pump(uid: string): Promise<void> {
    if (this.#busy.has(uid)) return;
    this.#busy.add(uid);
    try {
      for (;;) {
        const item = this.outbox.of(uid).find((each) => !this.#refused.has(each.clientMessageId));
        if (!item) return;
        const outcome = await this.#deliver(uid, item);
        if (outcome === "unreachable") return;
        if (outcome === "refused") this.#refused.add(item.clientMessageId);
      }
    } finally {
      this.#busy.delete(uid);
    }
  }

  retry(uid: string, clientMessageId: string): void {
    this.#refused.delete(clientMessageId);
    void this.pump(uid);
  }

  async #deliver(uid: string, item: OutboxItem): Promise<Outcome> {
    for (let failures = 0; ; ) {
      if (await this.#held(uid)) failures = 0;
      if (!this.#waits(item)) return "accepted";
      const failure = await this.#attempt(uid, item);
      if (failure === null) return "accepted";
      if (!this.network.online.get()) continue;
      failures += 1;
      const outcome = verdict(failure, failures);
      if (outcome) {
        this.#mark(uid, item, "refused", failure instanceof ApiError ? failure.message : null);
        return outcome;
      }
      await this.network.pause(failures - 1, undefined, retryAfter(failure));
    }
  }

  /** Wait while there is no network; tell whether that was so. */
  async #held(uid: string): Promise<boolean> {
    if (this.network.online.get()) return false;
    for (const item of this.outbox.of(uid)) {
      if (!this.#refused.has(item.clientMessageId)) this.#mark(uid, item, "waiting");
    }
    await this.network.untilOnline();
    return true;
  }

  /** One attempt: null once the server has named the run, else what went wrong. */
  #attempt(uid: string, item: OutboxItem): Promise<unknown | null> {
    const { clientMessageId, createdAt } = item;
    this.#mark(uid, item, "sending");
    this.conversations.insertAfter(uid, clientMessageId, answerEntry(clientMessageId, createdAt));
    const sessionId = this.conversations.get(uid)?.sessionId ?? item.sessionId;
    const body: SendBody = { message: item.text, clientMessageId };
    if (sessionId) body.sessionId = sessionId;
    else if (item.assistantId) body.assistantId = item.assistantId;
    return new Promise((resolve) => {
      const first = (signal: AbortSignal) => this.api.send(body, signal);
      const onStart = (event: Started) => {
        this.#accepted(uid, item, event);
        resolve(null);
      };
      this.runs
        .run({ uid, key: answerKey(item.clientMessageId), first, runId: null, onStart })
        .then(() => resolve(null), resolve);
    });
  }

  #accepted(uid: string, item: OutboxItem, event: Started): void {
    this.outbox.remove(item);
    this.conversations.removeEntries(
      uid,
      (entry) => entry.id === event.userMessageId && entry.key !== item.clientMessageId,
    );
    this.conversations.updateEntry(uid, item.clientMessageId, (entry) => ({
      ...entry,
      id: event.userMessageId,
      delivery: "sent",
      reason: null,
    }));
    if (this.conversations.get(uid)?.sessionId !== event.sessionId) {
      this.conversations.update(uid, (conversation) => ({ ...conversation, sessionId: event.sessionId }));
      this.outbox.settle(uid, event.sessionId);
    }
    this.onSession(uid, event.sessionId);
  }

  #waits(item: OutboxItem): boolean {
    return this.outbox.all().some((each) => each.clientMessageId === item.clientMessageId);
  }

  #mark(uid: string, item: OutboxItem, delivery: Delivery, reason: string | null = null): void {
    const key = item.clientMessageId;
    if (delivery !== "sending")
      this.conversations.removeEntries(uid, (entry) => entry.key === answerKey(key));
    this.conversations.updateEntry(uid, key, (entry) => ({ ...entry, delivery, reason }));
  }
}

/** What a failure means for the message, or null when another attempt is due. */
function verdict(failure: unknown, failures: number): Outcome | null {
  if (failure instanceof ApiError && !failure.retryable) return "refused";
  return failures >= ATTEMPTS ? "unreachable" : null;
}
