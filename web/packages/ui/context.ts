/** How components reach the app's state and words. */
import type { App } from "@core/app";
import type { Translate } from "@core/i18n/translate";
import type { Store } from "@core/store";
import { createContext, useContext, useSyncExternalStore } from "react";

const AppContext = createContext<App | null>(null);
export const AppProvider = AppContext.Provider;

export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error("a component stands outside the app");
  return app;
}

export function useWords(): Translate {
  return useApp().language.translate;
}

/** Watch the part of a store that `select` names; it must give the same object while nothing changed. */
export function useStore<T, Part>(store: Store<T>, select: (value: T) => Part): Part {
  return useSyncExternalStore(store.subscribe, () => select(store.get()));
}

export function useWhole<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.get);
}
