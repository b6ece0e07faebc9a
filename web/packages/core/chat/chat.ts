/** Everything a person can do in a conversation. The page calls this and watches `conversations.store`. */
import type { Api } from "@client/api";
import { ApiError } from "@client/problem";
import type { KeyValue } from "@client/storage";
import type { Rating } from "@client/types";
import { newId } from "../ids";
import type { Network } from "../network";
import { Again } from "./again";
import { settled } from "./answer";
import {
  type Conversation,
  type Entry,
  entryOf,
  FULL,
  type Hindrance,
  isLeftOver,
  merged,
  newConversation,
  questionEntry,
} from "./conversation";
import { Conversations } from "./conversations";
import { Deliveries } from "./delivery";
import { Outbox, type OutboxItem } from "./outbox";
import { Runs, type Schedule } from "./runs";

export interface ChatEvents {
  /** A message of this session was accepted, with this wish: the session exists, and is the newest. */
  onSession(sessionId: string, model: string | null): void;
  /** An answer came to its end. */
  onAnswer(uid: string, entry: Entry): void;
}

export class Chat {
  readonly conversations = new Conversations(fresh());
  readonly #outbox: Outbox;
  readonly #runs: Runs;
  readonly #deliveries: Deliveries;
  readonly #again: Again;
  readonly #loading = new Set<string>();

  constructor(
    private readonly api: Api,
    storage: KeyValue,
    private readonly network: Network,
    schedule: Schedule,
    private readonly events: ChatEvents,
  ) {
    this.#outbox = new Outbox(storage);
    this.#runs = new Runs(api, this.conversations, network, schedule, (uid, key) => this.#settled(uid, key));
    this.#again = new Again(api, this.conversations, network, this.#runs);
    this.#deliveries = new Deliveries(
      api,
      this.conversations,
      this.#outbox,
      network,
      this.#runs,
      (sessionId, model) => events.onSession(sessionId, model),
    );
    network.online.subscribe(() => network.online.get() && this.#pumpAll());
  }

  /** Show a session, or with null a new conversation; then send what an earlier visit left in the outbox. */
  boot(sessionId: string | null): void {
    const waiting = this.#outbox.all();
    for (const item of waiting) this.#adopt(item);
    const unsent = waiting.find((item) => item.sessionId === null);
    if (sessionId) this.open(sessionId);
    else if (unsent) this.conversations.show(unsent.conversation);
    this.#pumpAll();
  }

  open(sessionId: string): void {
    const known = this.conversations.bySession(sessionId);
    if (!known) this.conversations.add(newConversation(sessionId, sessionId));
    const uid = known?.uid ?? sessionId;
    this.conversations.show(uid);
    if (this.conversations.get(uid)?.phase !== "missing") void this.load(uid);
  }

  startNew(): void {
    const blank = Object.values(this.conversations.store.get().conversations).find(
      (each) => each.sessionId === null && each.entries.length === 0,
    );
    const conversation = blank ?? fresh();
    if (!blank) this.conversations.add(conversation);
    this.conversations.show(conversation.uid);
  }

  /** Read the newest page and take up the answers that are on their way in it. */
  async load(uid: string): Promise<void> {
    const sessionId = this.conversations.get(uid)?.sessionId;
    if (!sessionId || this.#loading.has(uid)) return;
    this.#loading.add(uid);
    try {
      const page = await this.api.messages(sessionId, null);
      this.conversations.update(uid, (conversation) => ({
        ...conversation,
        phase: "ready",
        entries: merged(conversation, page.items),
        olderCursor: conversation.phase === "ready" ? conversation.olderCursor : page.nextCursor,
      }));
      this.#followLive(uid);
    } catch (error) {
      const missing = error instanceof ApiError && error.status === 404;
      this.conversations.update(uid, (conversation) =>
        conversation.phase === "ready"
          ? conversation
          : { ...conversation, phase: missing ? "missing" : "failed" },
      );
    } finally {
      this.#loading.delete(uid);
    }
  }

  async loadOlder(uid: string): Promise<void> {
    const before = this.conversations.get(uid);
    if (!before?.sessionId || !before.olderCursor || before.loadingOlder) return;
    this.conversations.update(uid, (conversation) => ({ ...conversation, loadingOlder: true }));
    const page = await this.api.messages(before.sessionId, before.olderCursor).catch(() => null);
    this.conversations.update(uid, (conversation) => {
      if (!page) return { ...conversation, loadingOlder: false };
      const known = new Set(conversation.entries.map((entry) => entry.id));
      const older = page.items.filter((message) => !known.has(message.id)).map((message) => entryOf(message));
      const entries = [...older, ...conversation.entries];
      return { ...conversation, entries, olderCursor: page.nextCursor, loadingOlder: false };
    });
  }

  /** Hand over a message; `model` null leaves the choice of who answers to the session. */
  send(uid: string, text: string, assistantId: string | null, model: string | null = null): void {
    const conversation = this.conversations.get(uid);
    if (!conversation) return;
    const item: OutboxItem = {
      clientMessageId: newId(),
      conversation: uid,
      sessionId: conversation.sessionId,
      assistantId,
      model,
      text,
      createdAt: Math.max(Date.now(), (this.#outbox.all().at(-1)?.createdAt ?? 0) + 1),
      // Behind what found no room there is none either.
      ...(conversation.entries.some(isLeftOver) && { leftOver: true }),
    };
    this.#outbox.put(item);
    this.#show(uid, item);
    void this.#deliveries.pump(uid);
  }

  /** Try a refused message again, with another model when one is named. */
  retrySend(uid: string, key: string, model?: string): void {
    const item = this.#outbox.of(uid).find((each) => each.clientMessageId === key);
    if (item && model) this.#outbox.put({ ...item, model });
    this.#deliveries.retry(uid, key);
  }

  /** Take back messages that have not gone out. */
  removeUnsent(uid: string, ...keys: string[]): void {
    for (const item of this.#outbox.of(uid)) {
      if (keys.includes(item.clientMessageId)) this.#outbox.remove(item);
    }
    this.conversations.removeEntries(uid, (entry) => keys.includes(entry.key));
    // What stood behind it may have waited for it only.
    void this.#deliveries.pump(uid);
  }

  stop(uid: string): void {
    void this.#runs.stop(uid);
  }

  regenerate(uid: string, key: string, model: string | null = null): Promise<void> {
    return this.#again.regenerate(uid, key, model);
  }

  async rate(uid: string, key: string, rating: Rating | null): Promise<void> {
    const before = this.conversations.entry(uid, key);
    if (!before?.id) return;
    this.conversations.updateEntry(uid, key, (entry) => ({ ...entry, rating }));
    await this.api.rate(before.id, rating).catch(() => {
      this.conversations.updateEntry(uid, key, (entry) => ({ ...entry, rating: before.rating }));
    });
  }

  /** The session is gone: stop listening, and leave its page if it is the one in view. */
  forget(sessionId: string): void {
    const conversation = this.conversations.bySession(sessionId);
    if (!conversation) return;
    this.#runs.leave(conversation.uid);
    if (this.conversations.current.uid === conversation.uid) this.startNew();
  }

  #adopt(stored: OutboxItem): void {
    const uid = stored.sessionId ?? stored.conversation;
    const item = { ...stored, conversation: uid };
    this.#outbox.put(item);
    if (!this.conversations.get(uid)) this.conversations.add(newConversation(uid, stored.sessionId));
    this.#show(uid, item);
  }

  #show(uid: string, item: OutboxItem): void {
    const delivery = this.network.online.get() ? "sending" : "waiting";
    const full = item.leftOver && ({ delivery: "refused", hindrance: LEFT_OVER } as const);
    this.conversations.update(uid, (conversation) => {
      // What a limit keeps is waited for by everything behind it.
      const ahead = conversation.entries.find((entry) => entry.delivery === "limited");
      const held = ahead && { delivery: ahead.delivery, hindrance: ahead.hindrance };
      const entry = { ...questionEntry(item), delivery, ...held, ...full } as const;
      return { ...conversation, entries: [...conversation.entries, entry] };
    });
  }

  #followLive(uid: string): void {
    for (const entry of this.conversations.get(uid)?.entries ?? []) {
      if (entry.role !== "assistant" || settled(entry.status) || !entry.runId) continue;
      if (this.#runs.following(entry.key)) continue;
      void this.#runs.run({ uid, key: entry.key, first: null, runId: entry.runId });
    }
  }

  #settled(uid: string, key: string): void {
    const entry = this.conversations.entry(uid, key);
    if (entry) this.events.onAnswer(uid, entry);
  }

  #pumpAll(): void {
    for (const uid of new Set(this.#outbox.all().map((item) => item.conversation))) {
      void this.#deliveries.pump(uid);
    }
  }
}

const LEFT_OVER: Hindrance = { code: FULL, reason: "", until: null };

function fresh(): Conversation {
  return newConversation(`new-${newId()}`, null);
}
