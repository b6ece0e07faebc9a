/**
 * Follow one run to its end, over as many connections as it takes. A stream that ends without `done` or
 * `error` is a broken line: go on after the last event seen, without a gap and without a repeat.
 */
import { ApiError } from "@client/problem";
import type { Numbered, RunEvent } from "@client/types";

export interface FollowOptions {
  /** The first connection: the send itself, or null to begin with a replay of `runId`. */
  first: (() => AsyncIterable<Numbered>) | null;
  /** Known before the first connection only when a run is picked up, as after a reload. */
  runId: string | null;
  resume(runId: string, lastEventId: string | null): AsyncIterable<Numbered>;
  onEvent(event: RunEvent): void;
  /** Called with true when events flow, with false when the line broke and is being mended. */
  onLine(open: boolean): void;
  pause(attempt: number, atLeast?: number): Promise<void>;
  signal: AbortSignal;
}

/**
 * Resolve when the run has ended or the signal was given. Reject with what went wrong if the run never
 * started (the caller decides whether to send again) or the server says that it can't be followed.
 */
export async function follow(options: FollowOptions): Promise<void> {
  const reader = new Reader(options);
  for (let attempt = 0; ; ) {
    const { ended, error } = await reader.connect();
    if (ended || options.signal.aborted) return;
    if (!reader.runId || isFinal(error)) throw error ?? new EndedEarly();
    attempt = reader.takeProgress() ? 0 : attempt + 1;
    options.onLine(false);
    await options.pause(attempt, retryAfter(error));
    if (options.signal.aborted) return;
  }
}

/** The stream ended before the run had a name, so there is nothing to resume. */
export class EndedEarly extends Error {
  override readonly name = "EndedEarly";
}

function isFinal(error: unknown): boolean {
  return error instanceof ApiError && !error.retryable;
}

/** Milliseconds the server asked to be left alone for. */
export function retryAfter(error: unknown): number {
  return error instanceof ApiError ? (error.retryAfter ?? 0) * 1000 : 0;
}

class Reader {
  runId: string | null;
  #first: FollowOptions["first"];
  #lastEventId: string | null = null;
  #progress = false;

  constructor(private readonly options: FollowOptions) {
    this.runId = options.runId;
    this.#first = options.first;
  }

  /** Tell whether anything arrived since the last call. */
  takeProgress(): boolean {
    const progress = this.#progress;
    this.#progress = false;
    return progress;
  }

  /** Read one connection to its end; `ended` tells whether the run has ended with it. */
  async connect(): Promise<{ ended: boolean; error?: unknown }> {
    const first = this.#first;
    this.#first = null;
    try {
      return { ended: await this.#read(first ? first() : this.#resumed()) };
    } catch (error) {
      return { ended: false, error };
    }
  }

  #resumed(): AsyncIterable<Numbered> {
    // Without a place to go on from the server replays everything, so what is shown starts afresh.
    if (this.#lastEventId === null) this.options.onEvent({ type: "rewind", length: 0 });
    return this.options.resume(this.runId ?? "", this.#lastEventId);
  }

  async #read(stream: AsyncIterable<Numbered>): Promise<boolean> {
    for await (const { id, event } of stream) {
      if (this.options.signal.aborted) return true;
      if (!this.#progress) this.options.onLine(true);
      this.#progress = true;
      if (id) this.#lastEventId = id;
      if (event.type === "start") this.runId = event.runId;
      if (event.type === "draining") return false;
      this.options.onEvent(event);
      if (event.type === "done" || event.type === "error") return true;
    }
    return false;
  }
}
