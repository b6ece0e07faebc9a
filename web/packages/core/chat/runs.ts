/** The answers that are on their way: follows each run, and lets the page see it at most once a frame. */
import type { Api } from "@client/api";
import { ApiError } from "@client/problem";
import type { Numbered, RunEvent } from "@client/types";
import type { Network } from "../network";
import { advance, emptyAnswer, settled } from "./answer";
import { entryOf, liveAnswer } from "./conversation";
import type { Conversations } from "./conversations";
import { follow } from "./follow";

export type Schedule = (work: () => void) => void;
export type Started = Extract<RunEvent, { type: "start" }>;

export interface RunRequest {
  uid: string;
  key: string;
  first: ((signal: AbortSignal) => AsyncIterable<Numbered>) | null;
  runId: string | null;
  onStart?(event: Started): void;
}

export class Runs {
  readonly #aborts = new Map<string, AbortController>();
  readonly #stopWanted = new Set<string>();

  constructor(
    private readonly api: Api,
    private readonly conversations: Conversations,
    private readonly network: Network,
    private readonly schedule: Schedule,
    private readonly onSettled: (uid: string, key: string) => void,
  ) {}

  following(key: string): boolean {
    return this.#aborts.has(key);
  }

  /** Follow to the end. Rejects only when the run never started; later trouble ends in the entry's state. */
  async run(request: RunRequest): Promise<void> {
    const abort = new AbortController();
    this.#aborts.set(request.key, abort);
    let started = request.runId !== null;
    try {
      await this.#follow(request, abort.signal, () => {
        started = true;
      });
    } catch (error) {
      if (!started) throw error;
      await this.#readStored(request);
    } finally {
      this.#aborts.delete(request.key);
      this.#stopWanted.delete(request.key);
    }
    if (!abort.signal.aborted && started) this.onSettled(request.uid, request.key);
  }

  /** Ask the server to end the newest answer of a conversation; one that has no name yet ends when it gets one. */
  async stop(uid: string): Promise<void> {
    const conversation = this.conversations.get(uid);
    const live = conversation && liveAnswer(conversation);
    if (!live) return;
    if (live.runId) await this.#stopRun(live.runId);
    else this.#stopWanted.add(live.key);
  }

  /** Stop listening, for instance because the conversation was deleted. The runs themselves go on. */
  leave(uid: string): void {
    for (const entry of this.conversations.get(uid)?.entries ?? []) this.#aborts.get(entry.key)?.abort();
  }

  #follow(request: RunRequest, signal: AbortSignal, onStarted: () => void): Promise<void> {
    const { uid, key, first } = request;
    let working = emptyAnswer;
    let scheduled = false;
    const flush = () => {
      scheduled = false;
      const failedAt = working.failure ? Date.now() : null;
      this.conversations.updateEntry(uid, key, (entry) => ({ ...entry, ...working, failedAt, line: true }));
    };
    const onEvent = (event: RunEvent) => {
      if (event.type === "start") {
        onStarted();
        this.#name(request, event);
      }
      working = advance(working, event);
      if (event.type !== "text") return flush();
      if (!scheduled) this.schedule(() => scheduled && flush());
      scheduled = true;
    };
    return follow({
      first: first && (() => first(signal)),
      runId: request.runId,
      resume: (runId, lastEventId) => this.api.events(runId, lastEventId, signal),
      onEvent,
      onLine: (line) => this.conversations.updateEntry(uid, key, (entry) => ({ ...entry, line })),
      pause: (attempt, atLeast) => this.network.pause(attempt, signal, atLeast),
      signal,
    });
  }

  #name(request: RunRequest, event: Started): void {
    const { uid, key } = request;
    // A reload between the send and its acknowledgement may have shown the stored message already.
    this.conversations.removeEntries(uid, (entry) => entry.id === event.messageId && entry.key !== key);
    this.conversations.updateEntry(uid, key, (entry) => ({
      ...entry,
      id: event.messageId,
      runId: event.runId,
    }));
    request.onStart?.(event);
    if (this.#stopWanted.has(key)) void this.#stopRun(event.runId);
  }

  async #stopRun(runId: string): Promise<void> {
    for (let attempt = 0; attempt < 4; attempt += 1) {
      try {
        return await this.api.stop(runId);
      } catch (error) {
        if (error instanceof ApiError && !error.retryable) return;
        await this.network.pause(attempt);
      }
    }
  }

  /** The log of a run is gone after a while; what it became is the stored message. */
  async #readStored(request: RunRequest): Promise<void> {
    const { uid, key } = request;
    const conversation = this.conversations.get(uid);
    const id = this.conversations.entry(uid, key)?.id;
    const page = conversation?.sessionId
      ? await this.api.messages(conversation.sessionId, null).catch(() => null)
      : null;
    const stored = page?.items.find((message) => message.id === id);
    this.conversations.updateEntry(uid, key, (entry) =>
      stored && settled(stored.status)
        ? entryOf(stored, key)
        : { ...entry, status: "failed", line: true, failure: entry.failure },
    );
  }
}
