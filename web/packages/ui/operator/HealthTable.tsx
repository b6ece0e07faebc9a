/** The state of each model: whether it answers, how often it failed, how soon its first word comes. */
import type { ModelHealth, ModelState } from "@client/operator";
import { en } from "@core/i18n/en";
import type { Key, Translate } from "@core/i18n/translate";
import { BUILTIN } from "@core/models/models";
import { bareId } from "@core/models/names";
import { span } from "@core/when";
import { CircleAlert, CircleCheck, CircleDashed, Hourglass } from "lucide-react";
import { Countdown } from "../Countdown";
import { useApp, useWords } from "../context";
import { useNames } from "../names";
import "./figures.css";

const ICONS: Readonly<Record<ModelState, typeof CircleCheck>> = {
  closed: CircleCheck,
  open: CircleAlert,
  half_open: CircleDashed,
  cooling: Hourglass,
};

/** What needs a look stands first. */
const ORDER: readonly ModelState[] = ["open", "half_open", "cooling", "closed"];

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

/** By state, and else in the order of the server, with the one that is no model last. */
function inOrder(models: readonly ModelHealth[]): readonly ModelHealth[] {
  const rank = ({ state, provider }: ModelHealth) => ORDER.indexOf(state) * 2 + Number(provider === BUILTIN);
  return models.toSorted((a, b) => rank(a) - rank(b));
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
        {inOrder(models).map((health) => (
          <Row key={`${health.provider}/${health.model}`} health={health} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ health }: { health: ModelHealth }) {
  const t = useWords();
  const { provider, model, state, calls, failures, lastError } = health;
  const first = useFirstWord(health);
  return (
    <tr className={`health ${state}`}>
      <ModelCell provider={provider} model={model} />
      <td>
        <State health={health} />
      </td>
      <td className="number" data-label={t("operator.failures")} data-none={calls === 0 || undefined}>
        <bdi>{calls > 0 ? t("operator.failuresLine", { failures, calls }) : "–"}</bdi>
      </td>
      <td className="number" data-label={t("operator.firstWord")} data-none={first === null || undefined}>
        <bdi>{first ?? "–"}</bdi>
      </td>
      <td
        className="trouble-cell"
        data-label={t("operator.error")}
        data-none={lastError === null || undefined}
      >
        <bdi>{lastError === null ? "–" : told(lastError, state, t)}</bdi>
      </td>
    </tr>
  );
}

/** A model by its name, with who offers it and the id that it is set up by. */
export function ModelCell({ provider, model }: { provider: string; model: string }) {
  const t = useWords();
  const names = useNames();
  const name = names.model(model, provider);
  const id = bareId(model, provider);
  const from = names.provider(provider);
  const same = provider === BUILTIN || id === name;
  return (
    <th scope="row">
      <bdi>{name}</bdi>
      <small>
        <bdi>{same ? from : t("operator.id", { provider: from, id })}</bdi>
      </small>
    </th>
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

function useFirstWord({ ttftP50Ms, ttftP95Ms }: ModelHealth): string | null {
  const t = useWords();
  const { language } = useApp();
  if (ttftP50Ms === null) return null;
  const half = span(language, ttftP50Ms, true);
  return ttftP95Ms === null ? half : t("operator.first", { half, most: span(language, ttftP95Ms, true) });
}

/** A known code in words, whatever else as it came; of a model that is well again it is a thing of the past. */
function told(error: string, state: ModelState, t: Translate): string {
  const key = `reason.${error}`;
  const reason = Object.hasOwn(en, key) ? t(key as Key) : error;
  return state === "closed" ? t("operator.earlier", { reason }) : reason;
}
