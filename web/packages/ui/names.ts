/** What models and those who offer them are called. */
import type { Model } from "@client/types";
import { BUILTIN } from "@core/models/models";
import { modelName, providerName, readable } from "@core/models/names";
import { useCallback, useMemo } from "react";
import { useApp, useStore, useWords } from "./context";

/** Servers that the operator has set up, whatever stands behind them. */
const OWN: readonly string[] = ["compatible", "openai_compatible"];

export interface Names {
  provider(id: string): string;
  model(id: string, provider: string | null): string;
  /** A model of the list. */
  listed(model: Model): string;
}

export function useNames(): Names {
  const t = useWords();
  const { models } = useApp();
  const items = useStore(models.store, (state) => state.items);
  const provider = useCallback(
    (id: string) => {
      if (id === BUILTIN) return t("model.builtin");
      return OWN.includes(id) ? t("model.own") : (providerName(id) ?? id);
    },
    [t],
  );
  return useMemo(
    () => ({
      provider,
      model: (id, from) => (from === BUILTIN ? t("model.answerer") : modelName(items, id, from)),
      listed: (model) => (model.provider === BUILTIN ? t("model.answerer") : readable(model.name)),
    }),
    [provider, items, t],
  );
}
