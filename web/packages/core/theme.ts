/** Light, dark, or as the system says. The boot script reads the same key before the first paint. */
import type { KeyValue } from "@client/storage";
import { createStore } from "./store";

export type Theme = "light" | "dark" | "system";
const KEY = "parlour.theme";

export class ThemeChoice {
  readonly store;

  constructor(
    private readonly storage: KeyValue,
    private readonly root: HTMLElement,
  ) {
    const kept = storage.get(KEY);
    this.store = createStore<Theme>(kept === "light" || kept === "dark" ? kept : "system");
  }

  choose(theme: Theme): void {
    this.store.set(() => theme);
    if (theme === "system") {
      this.storage.remove(KEY);
      delete this.root.dataset.theme;
    } else {
      this.storage.set(KEY, theme);
      this.root.dataset.theme = theme;
    }
  }
}
