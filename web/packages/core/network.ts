/** Whether the device has a network, and waiting that ends early when it comes back. */
import { createStore, type Store } from "./store";

export interface Network {
  readonly online: Store<boolean>;
  /** Resolve at once when online, else on return. */
  untilOnline(): Promise<void>;
  /**
   * Wait before attempt number `attempt` (from 0). A returning network cuts it short, but not below the
   * `atLeast` milliseconds that the server asked for.
   */
  pause(attempt: number, signal?: AbortSignal, atLeast?: number): Promise<void>;
}

const LONGEST_PAUSE_MS = 8_000;

/** Doubling from a quarter of a second, with jitter so that a thousand pages do not come back in one instant. */
export function backoff(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(LONGEST_PAUSE_MS, 250 * 2 ** attempt);
  return ceiling / 2 + (ceiling / 2) * random();
}

export function browserNetwork(target: Window): Network {
  const online = createStore(target.navigator.onLine);
  target.addEventListener("online", () => online.set(() => true));
  target.addEventListener("offline", () => online.set(() => false));
  return {
    online,
    untilOnline: () => (online.get() ? Promise.resolve() : change(online)),
    async pause(attempt, signal, atLeast = 0) {
      const due = Date.now() + atLeast;
      await new Promise<void>((resolve) => {
        const end = () => {
          clearTimeout(timer);
          unsubscribe();
          signal?.removeEventListener("abort", end);
          resolve();
        };
        const timer = setTimeout(end, Math.max(backoff(attempt), atLeast));
        const unsubscribe = online.subscribe(() => online.get() && Date.now() >= due && end());
        signal?.addEventListener("abort", end);
      });
    },
  };
}

function change(online: Store<boolean>): Promise<void> {
  return new Promise((resolve) => {
    const unsubscribe = online.subscribe(() => {
      unsubscribe();
      resolve();
    });
  });
}
