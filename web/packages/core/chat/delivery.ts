/** Takes messages from the outbox to the server: in order, once each, however often it has to try. */
import type { Api } from "@client/api";
import { ApiError } from "@client/problem";
import type { SendBody } from "@client/types";
import type { Network } from "../network";
import { answerEntry, answerKey, type Delivery, FULL, type Hindrance } from "./conversation";
import type { Conversations } from "./conversations";
import { retryAfter } from "./follow";
import type { Outbox, OutboxItem } from "./outbox";
import type { Runs, Started } from "./runs";

/** After these many failures in a row the person is told, and decides. */
const ATTEMPTS = 3;
/** A limit that ends sooner than this is waited for; a later end is for the person to come back to. */
const PATIENCE_MS = 10 * 60_000;

/** `held` keeps the messages behind it waiting, so that the order stands; `refused` lets them pass. */
type Outcome = "accepted" | "held" | "refused";

export class Deliveries {
  readonly #busy = new Set<string>();
  readonly #refused = new Set<string>();

  constructor(
    private readonly api: Api,
    private readonly conversations: Conversations,
    private readonly outbox: Outbox,
    private readonly network: Network,
    private readonly runs: Runs,
    private readonly onSession: (sessionId: string, model: string | null) => void,
  ) {}

  /** Send what waits in a conversation, oldest first. A message goes out when the one before it was accepted. */
  async pump(uid: string): Promise<void> {
    if (this.#busy.has(uid)) return;
    this.#busy.add(uid);
    try {
      for (;;) {
        const item = this.#waiting(uid)[0];
        if (!item) return;
        const outcome = await this.#deliver(uid, item);
        if (outcome === "held") return;
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
    let failures = 0;
    let waited = false;
    for (;;) {
      if (await this.#offline(uid)) failures = 0;
      if (!this.#waits(item)) return "accepted";
      const failure = await this.#attempt(uid, item);
      if (failure === null) return "accepted";
      if (!this.network.online.get()) continue;
      failures += 1;
      const outcome = verdict(failure, failures, waited);
      if (outcome) return this.#giveUp(uid, item, outcome, failure);
      if (isLimit(failure)) {
        // Everything that is queued behind waits too, and is seen to.
        this.#markAll(uid, "limited", hindrance(failure));
        waited = true;
      }
      await this.network.pause(failures - 1, undefined, retryAfter(failure));
    }
  }

  #giveUp(uid: string, item: OutboxItem, outcome: Outcome, failure: unknown): Outcome {
    const why = hindrance(failure);
    if (why?.code === FULL) {
      // What stands behind it would be refused as well, now and after every reload.
      this.#markAll(uid, "refused", why);
      for (const each of this.#waiting(uid)) this.outbox.put({ ...each, leftOver: true });
      return "held";
    }
    if (outcome === "held") this.#markAll(uid, "waiting");
    this.#mark(uid, item, "refused", why);
    return outcome;
  }

  /** Wait while there is no network; tell whether that was so. */
  async #offline(uid: string): Promise<boolean> {
    if (this.network.online.get()) return false;
    this.#markAll(uid, "waiting");
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
    if (item.model) body.model = item.model;
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
      hindrance: null,
    }));
    if (this.conversations.get(uid)?.sessionId !== event.sessionId) {
      this.conversations.update(uid, (conversation) => ({ ...conversation, sessionId: event.sessionId }));
      this.outbox.settle(uid, event.sessionId);
    }
    this.onSession(event.sessionId, item.model);
  }

  #waiting(uid: string): OutboxItem[] {
    return this.outbox.of(uid).filter((each) => !each.leftOver && !this.#refused.has(each.clientMessageId));
  }

  #waits(item: OutboxItem): boolean {
    return this.outbox.all().some((each) => each.clientMessageId === item.clientMessageId);
  }

  #markAll(uid: string, delivery: Delivery, why: Hindrance | null = null): void {
    for (const item of this.#waiting(uid)) this.#mark(uid, item, delivery, why);
  }

  #mark(uid: string, item: OutboxItem, delivery: Delivery, why: Hindrance | null = null): void {
    const key = item.clientMessageId;
    if (delivery !== "sending")
      this.conversations.removeEntries(uid, (entry) => entry.key === answerKey(key));
    this.conversations.updateEntry(uid, key, (entry) => ({ ...entry, delivery, hindrance: why }));
  }
}

/** A limit that names its end. */
function isLimit(failure: unknown): boolean {
  return failure instanceof ApiError && failure.status === 429 && failure.retryAfter !== null;
}

function hindrance(failure: unknown): Hindrance | null {
  if (!(failure instanceof ApiError)) return null;
  const until = failure.retryAfter === null ? null : Date.now() + failure.retryAfter * 1000;
  // Of all fields only the chosen model can be wrong by no fault of the text.
  const code = failure.fields[0]?.field === "model" ? "model_missing" : failure.code;
  return { code, reason: failure.message, until };
}

/** What a failure means for the message, or null when another attempt is due: after a limit there is one. */
function verdict(failure: unknown, failures: number, waited: boolean): Outcome | null {
  if (isLimit(failure)) return waited || retryAfter(failure) > PATIENCE_MS ? "held" : null;
  if (failure instanceof ApiError && !failure.retryable) return "refused";
  // A limit whose end nobody knows is for the person to come back to.
  if (failure instanceof ApiError && failure.status === 429) return "held";
  return failures >= ATTEMPTS ? "held" : null;
}
