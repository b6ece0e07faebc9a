/** The wire shapes of the operators' side: how models fare, and what was used. */

export type ModelState = "closed" | "open" | "half_open" | "cooling";

/** A model's breaker and the speed of its last answers. */
export interface ModelHealth {
  provider: string;
  model: string;
  state: ModelState;
  calls: number;
  failures: number;
  failureRate: number;
  /** When it is tried again, while it rests. */
  retryAt: string | null;
  ttftP50Ms: number | null;
  ttftP95Ms: number | null;
  lastError: string | null;
}

/** Sums of a time for one model: `key` is `provider/model`. */
export interface UsageLine {
  key: string;
  /** How often it was really asked: without those who were passed over, and what was kept from before. */
  calls: number;
  failures: number;
  inputTokens: number;
  outputTokens: number;
  cachedTokens: number;
  /** Null where nothing of it has a known price. */
  costUsd: number | null;
  /** Calls that have no known price, so that the sum is short of them. */
  unpriced: number;
}
