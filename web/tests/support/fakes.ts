/** What stands in for the browser: storage that forgets, and a network that goes when it is told to. */
import type { KeyValue } from "@client/storage";
import type { Network } from "@core/network";
import { createStore } from "@core/store";

export function memory(): KeyValue {
  const values = new Map<string, string>();
  return {
    get: (key) => values.get(key) ?? null,
    set: (key, value) => void values.set(key, value),
    remove: (key) => void values.delete(key),
    keys: (prefix) => [...values.keys()].filter((key) => key.startsWith(prefix)),
  };
}

export interface FakeNetwork extends Network {
  /** What each pause was asked to last at least, in milliseconds. */
  readonly pauses: number[];
}

/** Pauses take no time, unless `pause` is replaced. */
export function fakeNetwork(): FakeNetwork {
  const online = createStore(true);
  const pauses: number[] = [];
  return {
    online,
    pauses,
    untilOnline: () =>
      new Promise((resolve) => {
        const unsubscribe = online.subscribe(() => {
          unsubscribe();
          resolve();
        });
      }),
    pause: (_attempt, _signal, atLeast = 0) => {
      pauses.push(atLeast);
      return new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}
