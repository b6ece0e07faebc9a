/** The state of each model: whether it answers, how often it failed, how soon its first word comes. */
import type { ModelHealth, ModelState } from "@client/operator";
import { en } from "@core/i18n/en";
import type { Key, Translate } from "@core/i18n/translate";
import { BUILTIN } from "@core/models/models";
import { span } from "@core/when";
import { CircleCheck, CircleDashed, CirclePause, Hourglass } from "lucide-react";
import { Countdown } from "../Countdown";
import { useApp, useWords } from "../context";
import { useNames } from "../names";

const ICONS: Readonly<Record<ModelState, typeof CircleCheck>> = {
  closed: CircleCheck,
  open: CirclePause,
  half_open: CircleDashed,
  cooling: Hourglass,
};

export function HealthTable({ models, readAt }: { models: readonly ModelHealth[]; readAt: number | null }) {
  const t = useWords();
  const { language } = useApp();
  const time = readAt && new Intl.DateTimeFormat(language.locale, { timeStyle: "medium" }).format(readAt);
  return (
    <section className="card" aria-labelledby="fare">
      <div className="card-head">
        <h2 id="fare">{t("operator.now")}</h2>
        {time && <span>{t("operator.checked", { time })}</span>}
      </div>
      <Table models={models} />
      <div className="card-words">
        {models.every(unasked) && <p>{t("operator.empty")}</p>}
        {models.every(({ provider }) => provider === BUILTIN) && <p>{t("operator.setUp")}</p>}
      </div>
    </section>
  );
}

function unasked({ calls, ttftP50Ms, lastError }: ModelHealth): boolean {
  return calls === 0 && ttftP50Ms === null && lastError === null;
}

function Table({ models }: { models: readonly ModelHealth[] }) {
  const t = useWords();
  return (
    <table className="figures">
      <thead>
        <tr>
          <th scope="col">{t("operator.model")}</th>
          <th scope="col">{t("operator.state")}</th>
          <th scope="col" className="number">
            {t("operator.failures")} <small>{t("operator.window")}</small>
          </th>
          <th scope="col" className="number">
            {t("operator.firstWord")} <small>{t("operator.firstWordHelp")}</small>
          </th>
          <th scope="col">{t("operator.error")}</th>
        </tr>
      </thead>
      <tbody>
        {models.map((health) => (
          <Row key={`${health.provider}/${health.model}`} health={health} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ health }: { health: ModelHealth }) {
  const t = useWords();
  const names = useNames();
  const { provider, model, calls, failures, lastError } = health;
  return (
    <tr>
      <th scope="row">
        <bdi>{names.model(model, provider)}</bdi>
        <small>
          <bdi>{names.provider(provider)}</bdi>
        </small>
      </th>
      <td>
        <State health={health} />
      </td>
      <td className="number" data-label={t("operator.failures")}>
        {calls > 0 ? t("operator.failuresLine", { failures, calls }) : "–"}
      </td>
      <td className="number" data-label={t("operator.firstWord")}>
        {useFirstWord(health)}
      </td>
      <td className="trouble-cell" data-label={lastError ? t("operator.error") : undefined}>
        {lastError && <bdi>{reason(lastError, t)}</bdi>}
      </td>
    </tr>
  );
}

function State({ health: { state, retryAt } }: { health: ModelHealth }) {
  const t = useWords();
  const Icon = ICONS[state];
  return (
    <span className={`state ${state}`}>
      <Icon size={16} strokeWidth={1.75} />
      <span>
        {t(`state.${state}`)}
        {retryAt && state !== "closed" && (
          <small>
            <Countdown until={Date.parse(retryAt)} words="operator.retry" />
          </small>
        )}
      </span>
    </span>
  );
}

function useFirstWord({ ttftP50Ms, ttftP95Ms }: ModelHealth): string {
  const t = useWords();
  const { language } = useApp();
  if (ttftP50Ms === null) return "–";
  const half = span(language, ttftP50Ms);
  return ttftP95Ms === null ? half : t("operator.first", { half, most: span(language, ttftP95Ms) });
}

/** A known code in words, whatever else as it came. */
function reason(error: string, t: Translate): string {
  const key = `reason.${error}`;
  return Object.hasOwn(en, key) ? t(key as Key) : error;
}
