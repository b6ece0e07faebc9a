/** How an answer ended, where it did not simply end: stopped, held back, handed over, or failed with a way on. */
import type { Answerer } from "@core/chat/answer";
import type { Entry } from "@core/chat/conversation";
import type { Key } from "@core/i18n/translate";
import { CircleAlert, Hourglass, Shield } from "lucide-react";
import { Countdown, useLeft } from "../Countdown";
import { useApp, useWords } from "../context";
import { useNames } from "../names";

interface Props {
  entry: Entry;
  uid: string;
  last: boolean;
}

export function Ending({ entry, uid, last }: Props) {
  const t = useWords();
  return (
    <>
      <Handover entry={entry} />
      {(entry.filtered || entry.retracted) && (
        <p className="quiet-line with-icon">
          <Shield size={14} strokeWidth={1.75} />
          {t(entry.retracted ? "answer.retracted" : "answer.filtered")}
        </p>
      )}
      {entry.status === "stopped" && <p className="quiet-line">{t("message.stopped")}</p>}
      {entry.failure || entry.status === "failed" ? <Trouble entry={entry} uid={uid} last={last} /> : null}
    </>
  );
}

/** Who reads on should know that the voice may have changed, and no more than that. */
function Handover({ entry }: { entry: Entry }) {
  const t = useWords();
  const names = useNames();
  const { handover, by } = entry;
  if (!handover || !by) return null;
  const from = handover.from;
  // Two models of one provider are told apart by their own names.
  const name = ({ model, provider }: Answerer) =>
    from.provider === by.provider || !provider
      ? names.model(model ?? "", provider)
      : names.provider(provider);
  return <p className="quiet-line">{t("answer.handover", { from: name(from), to: name(by) })}</p>;
}

/** Trouble that passes by itself; everything else says what is wrong in the server's own words. */
const PASSING: Readonly<Record<string, Key>> = {
  provider_overloaded: "trouble.busy",
  provider_rate_limited: "trouble.busy",
  no_provider: "trouble.nobody",
  too_many: "trouble.fast",
  over_budget: "trouble.budget",
};

function Trouble({ entry, uid, last }: Props) {
  const t = useWords();
  const app = useApp();
  const { failure } = entry;
  const passing = failure && PASSING[failure.code];
  const until = failedUntil(entry);
  const left = useLeft(until);
  const missing = failure?.code === "model_missing";
  const words = passing ? t(passing) : missing ? t("trouble.model") : failure?.message || t("message.failed");
  const again = last && entry.id !== null;
  return (
    <div className={passing ? "trouble mild" : "trouble"}>
      {passing ? <Hourglass size={16} strokeWidth={1.75} /> : <CircleAlert size={16} strokeWidth={1.75} />}
      <span className="trouble-words">
        {words} {left > 0 && <Countdown until={until} words="trouble.again" />}
      </span>
      {again && left === 0 && (
        <button
          type="button"
          className="trouble-act"
          onClick={() => (missing ? app.againByAnyone(uid, entry.key) : app.again(uid, entry.key))}
        >
          {t(missing ? "limit.automatic" : "message.tryAgain")}
        </button>
      )}
    </div>
  );
}

function failedUntil({ failure, failedAt, createdAt, spent }: Entry): number | null {
  if (!failure?.retryAfter) return null;
  const from = failedAt ?? Date.parse(createdAt) + (spent?.latencyMs ?? 0);
  return from + failure.retryAfter * 1000;
}
