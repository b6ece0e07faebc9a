/** Answering the same question once more. The answer there is comes back when the server can't or won't. */
import type { Api } from "@client/api";
import { ApiError } from "@client/problem";
import type { RunFailure, SendBody } from "@client/types";
import { newId } from "../ids";
import type { Network } from "../network";
import { emptyAnswer, settled } from "./answer";
import type { Conversations } from "./conversations";
import { retryAfter } from "./follow";
import type { RunRequest, Runs } from "./runs";

const ATTEMPTS = 3;

export class Again {
  constructor(
    private readonly api: Api,
    private readonly conversations: Conversations,
    private readonly network: Network,
    private readonly runs: Runs,
  ) {}

  async regenerate(uid: string, key: string, model: string | null): Promise<void> {
    const before = this.conversations.entry(uid, key);
    if (!before?.id || !settled(before.status)) return;
    const { id } = before;
    const wish: Pick<SendBody, "clientMessageId" | "model"> = { clientMessageId: newId() };
    if (model) wish.model = model;
    this.conversations.updateEntry(uid, key, (entry) => ({
      ...entry,
      ...emptyAnswer,
      runId: null,
      rating: null,
      createdAt: new Date().toISOString(),
    }));
    const first = (signal: AbortSignal) => this.api.regenerate(id, wish, signal);
    const error = await this.#started({ uid, key, first, runId: null });
    if (error === null) return;
    const failure = failureOf(error);
    this.conversations.updateEntry(uid, key, () => ({ ...before, failure, failedAt: Date.now() }));
  }

  /** Run, again if the line broke before the run had a name; the id of the request makes that harmless. */
  async #started(request: RunRequest): Promise<unknown | null> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.runs.run(request);
        return null;
      } catch (error) {
        if (attempt === ATTEMPTS || !worthwhile(error)) return error;
        await this.network.pause(attempt - 1, undefined, retryAfter(error));
      }
    }
  }
}

/** A limit is not tried against: the old answer comes back at once, with when to ask again. */
function worthwhile(error: unknown): boolean {
  return !(error instanceof ApiError) || (error.retryable && error.status !== 429);
}

function failureOf(error: unknown): RunFailure {
  if (!(error instanceof ApiError)) return { code: "unreachable", message: "", retryable: true };
  const { code, message, retryable, retryAfter: seconds } = error;
  return { code, message, retryable, retryAfter: seconds };
}
