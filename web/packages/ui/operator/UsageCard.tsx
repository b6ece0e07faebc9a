/** What was used and spent, today and this month, a line for each model and one for all. */
import type { UsageLine } from "@client/operator";
import { dollars } from "@core/when";
import { useState } from "react";
import { useApp, useWords } from "../context";
import { useNames } from "../names";

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
            {t("operator.answers")}
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
  const names = useNames();
  const { language } = useApp();
  const figure = (value: number) => value.toLocaleString(language.locale);
  const [provider = "", ...rest] = line.key.split("/");
  return (
    <tr>
      <th scope="row">
        {line.key === TOTAL ? (
          t("operator.total")
        ) : (
          <>
            <bdi>{names.model(rest.join("/"), provider)}</bdi>
            <small>
              <bdi>{names.provider(provider)}</bdi>
            </small>
          </>
        )}
      </th>
      <td className="number" data-label={t("operator.answers")}>
        {figure(line.attempts)}
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

/** A sum says what it is short of: a price that nobody knows is not nothing. */
function Cost({ line: { costUsd, unpriced } }: { line: UsageLine }) {
  const t = useWords();
  const { language } = useApp();
  if (costUsd === null) return unpriced > 0 ? t("operator.unpriced") : dollars(language, 0);
  return (
    <>
      {dollars(language, costUsd)}
      {unpriced > 0 && <small>{t("operator.partly", { count: unpriced })}</small>}
    </>
  );
}

const TOTAL = "";

function sum(lines: readonly UsageLine[]): UsageLine {
  const add = (of: (line: UsageLine) => number) => lines.reduce((total, line) => total + of(line), 0);
  const priced = lines.some(({ costUsd }) => costUsd !== null);
  return {
    key: TOTAL,
    attempts: add(({ attempts }) => attempts),
    answers: add(({ answers }) => answers),
    inputTokens: add(({ inputTokens }) => inputTokens),
    outputTokens: add(({ outputTokens }) => outputTokens),
    cachedTokens: add(({ cachedTokens }) => cachedTokens),
    costUsd: priced ? add(({ costUsd }) => costUsd ?? 0) : null,
    unpriced: add(({ unpriced }) => unpriced),
  };
}
