/** Which models can be wished for, and what was wished for in each conversation. */
import type { Api } from "@client/api";
import type { KeyValue } from "@client/storage";
import type { Model } from "@client/types";
import { createStore } from "../store";

/** The wish that leaves the choice to the server. */
export const AUTOMATIC = "auto";

/** Who answers without any other server. */
export const BUILTIN = "builtin";

const PREFIX = "parlour.model.";
const NEW = "new";

export interface ModelsState {
  items: readonly Model[];
  /** Wishes by session; what is wished for in a conversation that has none yet stands under `new`. */
  wishes: Readonly<Record<string, string>>;
}

export interface Choice {
  /** What is in force. */
  model: Model;
  /** What was wished for and is no longer there. */
  gone: string | null;
  /** What to send as `model`: null where nobody has chosen. */
  wish: string | null;
}

export class Models {
  readonly store;

  constructor(
    private readonly api: Api,
    private readonly storage: KeyValue,
  ) {
    const kept = storage.keys(PREFIX).map((key) => [key.slice(PREFIX.length), storage.get(key) ?? ""]);
    this.store = createStore<ModelsState>({ items: [], wishes: Object.fromEntries(kept) });
  }

  /** Read what there is now. A server that can't tell leaves what was known. */
  async refresh(): Promise<void> {
    const items = await this.api.models().catch(() => null);
    if (items) this.store.set((state) => ({ ...state, items }));
  }

  choose(sessionId: string | null, id: string): void {
    const key = sessionId ?? NEW;
    this.storage.set(PREFIX + key, id);
    this.store.set((state) => ({ ...state, wishes: { ...state.wishes, [key]: id } }));
  }

  /** A message with this wish made or continued a session: what was chosen on the empty page is now the session's. */
  settle(sessionId: string, wish: string | null): void {
    const { wishes } = this.store.get();
    if (wish === null || wishes[sessionId]) return;
    this.choose(sessionId, wish);
    this.#forget(NEW);
  }

  forget(sessionId: string): void {
    this.#forget(sessionId);
  }

  #forget(key: string): void {
    this.storage.remove(PREFIX + key);
    this.store.set((state) => {
      const { [key]: _gone, ...wishes } = state.wishes;
      return { ...state, wishes };
    });
  }
}

/** Tell whether there is anything to choose. The built-in one only stands in, so beside one model it is no choice. */
export function choosable(items: readonly Model[]): boolean {
  return items.filter(({ id }) => id !== AUTOMATIC && id !== BUILTIN).length > 1;
}

/** Tell whether a language model can answer, and not only the built-in answerer. */
export function connected(items: readonly Model[]): boolean {
  return items.some(({ id, provider }) => id !== AUTOMATIC && provider !== BUILTIN);
}

/** What is in force in a conversation; `made` is the wish its session was made with, on whatever device. */
export function choiceIn(state: ModelsState, sessionId: string | null, made: string | null): Choice | null {
  const { items, wishes } = state;
  const first = items[0];
  if (!first || !choosable(items)) return null;
  const wish = wishes[sessionId ?? NEW] ?? null;
  const wanted = wish ?? made;
  const model = items.find(({ id }) => id === wanted);
  if (model) return { model, gone: null, wish };
  return { model: first, gone: wish, wish: wish && first.id };
}
