/** Everyone who was asked for one answer, in order: a line each, with a mark and the words for it. */
import type { Attempt } from "@client/types";
import { en } from "@core/i18n/en";
import type { Key } from "@core/i18n/translate";
import { dollars, span } from "@core/when";
import { useApp, useWords } from "../context";
import { useNames } from "../names";

export function Attempts({ attempts }: { attempts: readonly Attempt[] }) {
  const t = useWords();
  return (
    <>
      <h3 className="attempts-head">{t("details.attempts")}</h3>
      <ol className="attempts">
        {attempts.map((attempt, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the lines of a ledger never move
          <Line key={`${attempt.startedAt} ${index}`} attempt={attempt} />
        ))}
      </ol>
    </>
  );
}

function Line({ attempt }: { attempt: Attempt }) {
  const names = useNames();
  const { provider, model, status, cause } = attempt;
  const from = names.provider(provider);
  const name = names.model(model, provider);
  return (
    <li className={`attempt ${status}`}>
      <span className="attempt-name">
        {name.startsWith(from) ? (
          <bdi>{name}</bdi>
        ) : (
          <>
            <bdi>{from}</bdi> <small dir="auto">{name}</small>
          </>
        )}
      </span>{" "}
      <span className="attempt-words">
        <bdi>{useOutcome(attempt)}</bdi>
      </span>
      {cause && (
        <code className="attempt-cause" dir="ltr">
          {cause}
        </code>
      )}
    </li>
  );
}

/** How it went. Why one was asked after another follows from that; why one was not asked is told here only. */
function useOutcome({ status, why, error, ttftMs, costUsd, cached }: Attempt): string {
  const t = useWords();
  const { language } = useApp();
  if (status === "skipped" && why) return t("attempt.skippedFor", { why });
  if (status === "failed") {
    const reason = reasonKey(error);
    if (!reason) return t("attempt.failedPlain");
    return t(ttftMs === null ? "attempt.failed" : "attempt.broke", { reason: t(reason) });
  }
  if (cached) return t("attempt.cached");
  const figures = [
    ttftMs !== null && t("attempt.firstWord", { first: span(language, ttftMs) }),
    costUsd !== null && costUsd > 0 && dollars(language, costUsd),
  ];
  return [t(`attempt.${status}`), ...figures].filter(Boolean).join(", ");
}

function reasonKey(error: string | null): Key | null {
  const key = `reason.${error}`;
  return Object.hasOwn(en, key) ? (key as Key) : null;
}
