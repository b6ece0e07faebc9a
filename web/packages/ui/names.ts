/** What models and those who offer them are called. */
import { BUILTIN, modelName, providerName } from "@core/models";
import { useCallback, useMemo } from "react";
import { useApp, useStore, useWords } from "./context";

export interface Names {
  provider(id: string): string;
  model(id: string, provider: string | null): string;
}

export function useNames(): Names {
  const t = useWords();
  const { models } = useApp();
  const items = useStore(models.store, (state) => state.items);
  const provider = useCallback(
    (id: string) => {
      if (id === BUILTIN) return t("model.builtin");
      return id === "compatible" ? t("model.compatible") : (providerName(id) ?? id);
    },
    [t],
  );
  return useMemo(() => ({ provider, model: (id, from) => modelName(items, id, from) }), [provider, items]);
}
