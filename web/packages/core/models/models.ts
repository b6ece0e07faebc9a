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

const NAMES: Readonly<Record<string, string>> = {
  openai: "OpenAI",
  anthropic: "Anthropic",
  gemini: "Google Gemini",
  ollama: "Ollama",
};

/** The name a provider goes by, or null for one that has none of its own. */
export function providerName(provider: string | null): string | null {
  return (provider && NAMES[provider]) || null;
}

/** A model's own name: as the list calls it, else its id without the provider in front. */
export function modelName(items: readonly Model[], id: string, provider: string | null = null): string {
  const listed = items.find((model) => model.id === id || model.id === `${provider}/${id}`);
  const [prefix, ...rest] = id.split("/");
  const bare = rest.length > 0 && prefix !== undefined && (prefix in NAMES || prefix === provider);
  return listed?.name ?? (bare ? rest.join("/") : id);
}
