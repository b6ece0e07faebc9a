/** What was used and spent, today and this month, a line for each model and one for all. */
import type { UsageLine } from "@client/operator";
import { dollars } from "@core/when";
import { useState } from "react";
import { useApp, useWords } from "../context";
import { ModelCell } from "./HealthTable";

type Period = "today" | "month";
const PERIODS: readonly Period[] = ["today", "month"];

export function UsageCard(lines: Record<Period, readonly UsageLine[]>) {
  const t = useWords();
  const [period, setPeriod] = useState<Period>("today");
  const shown = lines[period];
  return (
    <section className="card" aria-labelledby="spent">
      <div className="card-head">
        <h2 id="spent">{t("operator.spent")}</h2>
        <div className="segments">
          {PERIODS.map((each) => (
            <button key={each} type="button" aria-pressed={each === period} onClick={() => setPeriod(each)}>
              {t(`operator.${each}`)}
            </button>
          ))}
        </div>
      </div>
      {shown.length === 0 ? (
        <p className="card-words">{t("operator.spentEmpty")}</p>
      ) : (
        <Table lines={shown} />
      )}
    </section>
  );
}

function Table({ lines }: { lines: readonly UsageLine[] }) {
  const t = useWords();
  return (
    <table className="figures">
      <thead>
        <tr>
          <th scope="col">{t("operator.model")}</th>
          <th scope="col" className="number">
            {t("operator.calls")}
          </th>
          <th scope="col" className="number">
            {t("operator.failures")}
          </th>
          <th scope="col" className="number">
            {t("operator.read")}
          </th>
          <th scope="col" className="number">
            {t("operator.written")}
          </th>
          <th scope="col" className="number">
            {t("operator.cost")}
          </th>
        </tr>
      </thead>
      <tbody>
        {lines.map((line) => (
          <Line key={line.key} line={line} />
        ))}
      </tbody>
      {lines.length > 1 && (
        <tfoot>
          <Line line={sum(lines)} />
        </tfoot>
      )}
    </table>
  );
}

function Line({ line }: { line: UsageLine }) {
  const t = useWords();
  const { language } = useApp();
  const figure = (value: number) => value.toLocaleString(language.locale);
  const [provider = "", ...rest] = line.key.split("/");
  return (
    <tr>
      {line.key === TOTAL ? (
        <th scope="row">{t("operator.total")}</th>
      ) : (
        <ModelCell provider={provider} model={rest.join("/")} />
      )}
      <td className="number" data-label={t("operator.calls")}>
        {figure(line.calls)}
      </td>
      <td className="number" data-label={t("operator.failures")}>
        {figure(line.failures)}
      </td>
      <td className="number" data-label={t("operator.read")}>
        {figure(line.inputTokens)}
      </td>
      <td className="number" data-label={t("operator.written")}>
        {figure(line.outputTokens)}
      </td>
      <td className="number" data-label={t("operator.cost")}>
        <Cost line={line} />
      </td>
    </tr>
  );
}

/** A sum says first what it is short of: a price that nobody knows is not nothing. */
function Cost({ line: { costUsd, unpriced } }: { line: UsageLine }) {
  const t = useWords();
  const { language } = useApp();
  const known = dollars(language, costUsd ?? 0);
  if (unpriced === 0) return known;
  return (
    <span>
      {t("operator.unpriced", { count: unpriced })}
      {costUsd ? <small>{t("operator.priced", { amount: known })}</small> : null}
    </span>
  );
}

const TOTAL = "";

function sum(lines: readonly UsageLine[]): UsageLine {
  const add = (of: (line: UsageLine) => number) => lines.reduce((total, line) => total + of(line), 0);
  const priced = lines.some(({ costUsd }) => costUsd !== null);
  return {
    key: TOTAL,
    calls: add(({ calls }) => calls),
    failures: add(({ failures }) => failures),
    inputTokens: add(({ inputTokens }) => inputTokens),
    outputTokens: add(({ outputTokens }) => outputTokens),
    cachedTokens: add(({ cachedTokens }) => cachedTokens),
    costUsd: priced ? add(({ costUsd }) => costUsd ?? 0) : null,
    unpriced: add(({ unpriced }) => unpriced),
  };
}
