/** For operators: how each model fares right now, and what was used and spent. Loaded when it is opened. */
import type { ModelHealth } from "@client/operator";
import { operates } from "@core/app";
import { BUILTIN } from "@core/models/models";
import { ModelsWatch } from "@core/models/operator";
import { Menu as MenuIcon, PanelLeft } from "lucide-react";
import { useEffect, useMemo } from "react";
import { useApp, useStore, useWhole, useWords } from "../context";
import { IconButton } from "../parts/IconButton";
import { HealthTable } from "./HealthTable";
import "./operator.css";
import { UsageCard } from "./UsageCard";

interface Props {
  folded: boolean;
  drawer: boolean;
  onUnfold(): void;
}

export default function ModelsPage({ folded, drawer, onUnfold }: Props) {
  const t = useWords();
  const { shell } = useApp();
  const person = useStore(shell, (state) => state.person);
  return (
    <div className="scroller operator-scroller">
      <header className="bar operator-bar">
        {(folded || drawer) && (
          <IconButton
            label={t("sidebar.open")}
            onClick={onUnfold}
            aria-controls="sidebar"
            aria-expanded={false}
          >
            {drawer ? (
              <MenuIcon size={20} strokeWidth={1.75} />
            ) : (
              <PanelLeft className="mirrored" size={18} strokeWidth={1.75} />
            )}
          </IconButton>
        )}
      </header>
      <div className="operator">
        <h1 className="page-title">{t("operator.title")}</h1>
        {operates(person) ? <Watched /> : person && <p className="page-words">{t("operator.forbidden")}</p>}
      </div>
    </div>
  );
}

function Watched() {
  const t = useWords();
  const app = useApp();
  const watch = useMemo(() => new ModelsWatch(app.api, document), [app]);
  useEffect(() => watch.start(), [watch]);
  const { models, today, month, readAt, failed } = useWhole(watch.store);
  return (
    <>
      <p className="page-words" role="status">
        {failed ? t("operator.failed") : models && <Standing models={models} />}
      </p>
      {models && <HealthTable models={models} readAt={readAt} />}
      {today && month && <UsageCard today={today} month={month} />}
    </>
  );
}

/** One sentence on how things stand, before any figure. The built-in answerer is no model, and always ready. */
function Standing({ models: listed }: { models: readonly ModelHealth[] }) {
  const t = useWords();
  const models = listed.filter(({ provider }) => provider !== BUILTIN);
  const resting = models.filter(({ state }) => state !== "closed").length;
  if (models.length === 0) return t("operator.none");
  if (resting === 0) return t("operator.well", { count: models.length });
  return resting === models.length ? t("operator.allResting") : t("operator.resting", { count: resting });
}
