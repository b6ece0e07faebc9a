/** How an answer came about, for whoever asks: who answered and why, tokens, cost, time, and who was asked before. */
import type { Attempt, Spent } from "@client/types";
import type { Entry } from "@core/chat/conversation";
import { dollars, span } from "@core/when";
import { type ReactNode, useEffect, useState } from "react";
import { useApp, useWords } from "../context";
import { useNames } from "../names";
import { Attempts } from "./Attempts";

export function Details({ id, entry }: { id: string; entry: Entry }) {
  const t = useWords();
  const names = useNames();
  const { by, spent } = entry;
  const attempts = useAttempts(entry.id, entry.status);
  const model = by?.model ? names.model(by.model, by.provider) : null;
  const provider = by?.provider ? names.provider(by.provider) : null;
  return (
    <section id={id} className="details" aria-label={t("answer.details")}>
      <dl>
        {(model || provider) && (
          <Line label={t("details.answeredBy")}>
            {model && provider ? t("details.by", { model, provider }) : (model ?? provider)}
          </Line>
        )}
        {by?.why && <Line label={t("details.why")}>{by.why}</Line>}
        {spent && <Figures spent={spent} />}
      </dl>
      {!by && !spent && <p className="quiet-line">{t("details.nothing")}</p>}
      {attempts === "failed" && <p className="quiet-line">{t("details.failed")}</p>}
      {Array.isArray(attempts) && telling(attempts) && <Attempts attempts={attempts} />}
    </section>
  );
}

/** One model that simply answered is told above. */
function telling(attempts: readonly Attempt[]): boolean {
  return attempts.length > 1 || attempts.some(({ cached }) => cached);
}

function Line({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        <bdi>{children}</bdi>
      </dd>
    </div>
  );
}

function Figures({ spent }: { spent: Spent }) {
  const t = useWords();
  const { language } = useApp();
  const { usage, costUsd, ttftMs, latencyMs } = spent;
  const whole = latencyMs === null ? null : span(language, latencyMs);
  const first = ttftMs === null ? null : span(language, ttftMs);
  return (
    <>
      {usage && (
        <Line label={t("details.tokens")}>
          {[
            t("details.tokensLine", { input: usage.inputTokens, output: usage.outputTokens }),
            usage.cachedTokens > 0 && t("details.cached", { count: usage.cachedTokens }),
            usage.estimated && t("details.estimated"),
          ]
            .filter(Boolean)
            .join("; ")}
        </Line>
      )}
      {(usage || costUsd !== null) && (
        <Line label={t("details.cost")}>
          {costUsd === null
            ? t("details.unknown")
            : costUsd === 0
              ? t("details.free")
              : dollars(language, costUsd)}
        </Line>
      )}
      {whole !== null && (
        <Line label={t("details.time")}>
          {first === null ? t("details.timeWhole", { whole }) : t("details.timeLine", { first, whole })}
        </Line>
      )}
    </>
  );
}

/** Read when somebody looks, and again when the answer has become another one. */
function useAttempts(messageId: string | null, status: string): readonly Attempt[] | "failed" | null {
  const { api } = useApp();
  const [read, setRead] = useState<{ of: string; found: readonly Attempt[] | "failed" } | null>(null);
  const of = `${messageId} ${status}`;
  useEffect(() => {
    if (messageId === null) return;
    let wanted = true;
    api.attempts(messageId).then(
      (found) => wanted && setRead({ of, found }),
      () => wanted && setRead({ of, found: "failed" }),
    );
    return () => {
      wanted = false;
    };
  }, [api, messageId, of]);
  return read?.of === of ? read.found : null;
}
