/** How the models fare and what they cost, read again and again while somebody looks. */
import type { Api } from "@client/api";
import type { ModelHealth, UsageLine } from "@client/operator";
import type { Page } from "@client/types";
import { createStore } from "../store";

const EVERY_MS = 5_000;
/** What was used changes slowly, and its sums are dearer to make. */
const USAGE_EVERY = 6;

export interface ModelsWatchState {
  models: readonly ModelHealth[] | null;
  today: readonly UsageLine[] | null;
  month: readonly UsageLine[] | null;
  /** Milliseconds since 1970 of the newest figures. */
  readAt: number | null;
  /** The last reading failed; what is shown is older. */
  failed: boolean;
}

export class ModelsWatch {
  readonly store = createStore<ModelsWatchState>({
    models: null,
    today: null,
    month: null,
    readAt: null,
    failed: false,
  });
  #readings = 0;

  constructor(
    private readonly api: Api,
    private readonly document: Document,
  ) {}

  /** Read now and every 5 s while the page is seen; gives back how to end that. */
  start(): () => void {
    const abort = new AbortController();
    const { signal } = abort;
    this.#readings = 0;
    let reading = false;
    const read = async () => {
      if (reading || this.document.visibilityState !== "visible") return;
      reading = true;
      await this.#read(signal);
      reading = false;
    };
    const timer = setInterval(() => void read(), EVERY_MS);
    this.document.addEventListener("visibilitychange", () => void read(), { signal });
    void read();
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }

  async #read(signal: AbortSignal): Promise<void> {
    const usageToo = this.#readings % USAGE_EVERY === 0;
    try {
      const [models, usage] = await Promise.all([
        this.api.admin<Page<ModelHealth>>("models", signal),
        usageToo ? this.#usage(signal) : null,
      ]);
      this.#readings += 1;
      this.#change({ models: models.items, ...usage, readAt: Date.now(), failed: false });
    } catch {
      if (!signal.aborted) this.#change({ failed: true });
    }
  }

  async #usage(signal: AbortSignal): Promise<Pick<ModelsWatchState, "today" | "month">> {
    const now = new Date();
    const since = (day: number) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), day));
    const [today, month] = await Promise.all([
      this.#used(since(now.getUTCDate()), signal),
      this.#used(since(1), signal),
    ]);
    return { today, month };
  }

  /** Days and months begin as budgets count them: by UTC. */
  async #used(begin: Date, signal: AbortSignal): Promise<readonly UsageLine[]> {
    const query = new URLSearchParams({ by: "model", from: begin.toISOString().slice(0, 10) });
    return (await this.api.admin<Page<UsageLine>>(`usage?${query}`, signal)).items;
  }

  #change(change: Partial<ModelsWatchState>): void {
    this.store.set((state) => ({ ...state, ...change }));
  }
}
