/** How an answer came about, for whoever asks: who answered and why, tokens, cost, time, and who was asked before. */
import type { Attempt, Spent } from "@client/types";
import type { Answerer } from "@core/chat/answer";
import type { Entry } from "@core/chat/conversation";
import { dollars, span } from "@core/when";
import { type ReactNode, useEffect, useState } from "react";
import { useApp, useWords } from "../context";
import { useNames } from "../names";
import { Attempts } from "./Attempts";

export function Details({ id, entry }: { id: string; entry: Entry }) {
  const t = useWords();
  const { by, spent, content, status } = entry;
  const unasked = unheard(entry);
  const attempts = useAttempts(unasked ? null : entry.id, status);
  // Who was asked last and said nothing has not answered; the attempts tell of them.
  const said = content !== "";
  const nothing = unasked
    ? "details.unasked"
    : !said && status === "failed"
      ? "details.nobody"
      : !by && !spent && "details.nothing";
  return (
    // biome-ignore lint/a11y/useSemanticElements: it holds no fields; a region for each answer would be too many
    <div id={id} role="group" className="details" aria-label={t("answer.details")}>
      {!unasked && (
        <dl>
          {said && by && <Speaker by={by} failed={status === "failed"} />}
          {spent && <Figures spent={spent} />}
        </dl>
      )}
      {nothing && <p className="quiet-line">{t(nothing)}</p>}
      {attempts === "failed" && <p className="quiet-line">{t("details.failed")}</p>}
      {Array.isArray(attempts) && telling(attempts) && <Attempts attempts={attempts} />}
    </div>
  );
}

function Speaker({ by, failed }: { by: Answerer; failed: boolean }) {
  const t = useWords();
  const names = useNames();
  const model = by.model ? names.model(by.model, by.provider) : null;
  const provider = by.provider ? names.provider(by.provider) : null;
  return (
    <>
      {(model || provider) && (
        <Line label={t(failed ? "details.begunBy" : "details.answeredBy")}>
          {model && provider ? t("details.by", { model, provider }) : (model ?? provider)}
        </Line>
      )}
      {by.why && <Line label={t("details.why")}>{by.why}</Line>}
    </>
  );
}

/** A rule answered in place of a model: there is nothing to read. */
function unheard({ filtered, by }: Entry): boolean {
  return filtered && !by?.model && !by?.provider;
}

/** One model that simply answered is told above. */
function telling(attempts: readonly Attempt[]): boolean {
  return attempts.length > 1 || attempts.some(({ cached, status }) => cached || status !== "answered");
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
