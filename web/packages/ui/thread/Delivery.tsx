/** Under a question that has not gone out: what it waits for, or why it did not, and the way on. */
import { type Entry, isLeftOver } from "@core/chat/conversation";
import type { Key } from "@core/i18n/translate";
import { CircleAlert, Clock, Hourglass } from "lucide-react";
import { Countdown, useLeft } from "../Countdown";
import { useApp, useStore, useWords } from "../context";

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
const BY_THE_MODEL: readonly string[] = ["model_missing", "forbidden"];

/** A conversation is full: said once, under the last message that found no room, for all of them. */
export function LeftOver({ entry, uid }: Props) {
  const t = useWords();
  const app = useApp();
  const [count, last] = useStore(app.chat.conversations.store, ({ conversations }) => {
    const left = conversations[uid]?.entries.filter(isLeftOver) ?? [];
    return `${left.length} ${left.at(-1)?.key}`;
  }).split(" ");
  return (
    <>
      <div className="delivery">
        <span>{t("message.notSent")}</span>
        <TakeBack entry={entry} uid={uid} />
      </div>
      {last === entry.key && (
        <div className="trouble mild" role="status">
          <Hourglass size={16} strokeWidth={1.75} />
          <span className="trouble-words">{t("limit.full", { count: Number(count) })}</span>
          <button type="button" className="trouble-act" onClick={() => app.sayElsewhere(uid)}>
            {t("limit.new")}
          </button>
        </div>
      )}
    </>
  );
}

export function Refused({ entry, uid }: Props) {
  const t = useWords();
  const { chat } = useApp();
  const why = entry.hindrance;
  const due = useLeft(why?.until ?? null) === 0;
  const limit = why?.code === "too_many" || why?.code === "over_budget";
  // A limit that names no end is one of its own kind, told in the server's words.
  const known = why && (!limit || why.until !== null) && REASONS[why.code];
  return (
    <div className={limit ? "trouble mild" : "trouble"} role="alert">
      {limit ? <Hourglass size={16} strokeWidth={1.75} /> : <CircleAlert size={16} strokeWidth={1.75} />}
      <span className="trouble-words">
        {known ? t(known) : why ? t("message.refused", { reason: why.reason }) : t("message.unreachable")}{" "}
        {limit && !due && <Countdown until={why.until} words="limit.again" />}
      </span>
      {(due || !limit) && <WayOn entry={entry} uid={uid} />}
      <button type="button" className="trouble-act quiet" onClick={() => chat.removeUnsent(uid, entry.key)}>
        {t("message.remove")}
      </button>
    </div>
  );
}

/** What helps against this refusal: another model, or simply another attempt. */
function WayOn({ entry, uid }: Props) {
  const t = useWords();
  const app = useApp();
  const code = entry.hindrance?.code ?? "";
  const [words, act]: [Key, () => void] = BY_THE_MODEL.includes(code)
    ? ["limit.automatic", () => app.sayToAnyone(uid, entry.key)]
    : ["message.tryAgain", () => app.chat.retrySend(uid, entry.key)];
  return (
    <button type="button" className="trouble-act" onClick={act}>
      {t(words)}
    </button>
  );
}
