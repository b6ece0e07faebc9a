/** Under a question that has not gone out: what it waits for, or why it did not, and the way on. */
import type { Entry } from "@core/chat/conversation";
import type { Key } from "@core/i18n/translate";
import { AUTOMATIC } from "@core/models";
import { CircleAlert, Clock, Hourglass } from "lucide-react";
import { Countdown, useLeft } from "../Countdown";
import { useApp, useWords } from "../context";

interface Props {
  entry: Entry;
  uid: string;
}

export function Waiting({ entry, uid }: Props) {
  const t = useWords();
  return (
    <div className="delivery">
      <Clock size={14} strokeWidth={1.75} />
      <span>{t("message.waiting")}</span>
      <TakeBack entry={entry} uid={uid} />
    </div>
  );
}

/** A limit is being waited for: the message goes out by itself. */
export function Limited({ entry, uid }: Props) {
  return (
    <div className="delivery">
      <Hourglass size={14} strokeWidth={1.75} />
      <Countdown until={entry.hindrance?.until ?? null} words="limit.waiting" past="limit.waitingNow" />
      <TakeBack entry={entry} uid={uid} />
    </div>
  );
}

function TakeBack({ entry, uid }: Props) {
  const t = useWords();
  const { chat } = useApp();
  return (
    <>
      <span aria-hidden="true">·</span>
      <button type="button" className="text-button" onClick={() => chat.removeUnsent(uid, entry.key)}>
        {t("message.remove")}
      </button>
    </>
  );
}

const REASONS: Readonly<Record<string, Key>> = {
  too_many: "limit.held",
  over_budget: "limit.budget",
  model_missing: "limit.model",
};

export function Refused({ entry, uid }: Props) {
  const t = useWords();
  const { chat, models } = useApp();
  const why = entry.hindrance;
  const known = why && REASONS[why.code];
  const due = useLeft(why?.until ?? null) === 0;
  const limit = why?.code === "too_many" || why?.code === "over_budget";
  const automatic = () => {
    models.choose(chat.conversations.get(uid)?.sessionId ?? null, AUTOMATIC);
    chat.retrySend(uid, entry.key, AUTOMATIC);
  };
  return (
    <div className={limit ? "trouble mild" : "trouble"} role="alert">
      {limit ? <Hourglass size={16} strokeWidth={1.75} /> : <CircleAlert size={16} strokeWidth={1.75} />}
      <span className="trouble-words">
        {known ? t(known) : why ? t("message.refused", { reason: why.reason }) : t("message.unreachable")}{" "}
        {limit && !due && <Countdown until={why.until} words="limit.again" />}
      </span>
      {why?.code === "model_missing" ? (
        <button type="button" className="trouble-act" onClick={automatic}>
          {t("limit.automatic")}
        </button>
      ) : (
        (due || !limit) && (
          <button type="button" className="trouble-act" onClick={() => chat.retrySend(uid, entry.key)}>
            {t("message.tryAgain")}
          </button>
        )
      )}
      <button type="button" className="trouble-act quiet" onClick={() => chat.removeUnsent(uid, entry.key)}>
        {t("message.remove")}
      </button>
    </div>
  );
}
