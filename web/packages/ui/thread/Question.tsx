/** What the person said: plain text in a bubble, and how far it has come on its way. */
import type { Entry } from "@core/chat/conversation";
import { CircleAlert, Clock } from "lucide-react";
import { useApp, useWords } from "../context";

export function Question({ entry, uid }: { entry: Entry; uid: string }) {
  const t = useWords();
  const unsent = entry.delivery === "waiting" || entry.delivery === "refused";
  return (
    <div className="question">
      <h2 className="visually-hidden">{t("message.you")}</h2>
      <div className={unsent ? "bubble unsent" : "bubble"} dir="auto">
        {entry.content}
      </div>
      {entry.delivery === "waiting" && <Waiting entry={entry} uid={uid} />}
      {entry.delivery === "refused" && <Refused entry={entry} uid={uid} />}
    </div>
  );
}

function Waiting({ entry, uid }: { entry: Entry; uid: string }) {
  const t = useWords();
  const { chat } = useApp();
  return (
    <div className="delivery">
      <Clock size={14} strokeWidth={1.75} />
      <span>{t("message.waiting")}</span>
      <span aria-hidden="true">·</span>
      <button type="button" className="text-button" onClick={() => chat.removeUnsent(uid, entry.key)}>
        {t("message.remove")}
      </button>
    </div>
  );
}

function Refused({ entry, uid }: { entry: Entry; uid: string }) {
  const t = useWords();
  const { chat } = useApp();
  return (
    <div className="trouble" role="alert">
      <CircleAlert size={16} strokeWidth={1.75} />
      <span className="trouble-words">
        {entry.reason ? t("message.refused", { reason: entry.reason }) : t("message.unreachable")}
      </span>
      <button type="button" className="trouble-act" onClick={() => chat.retrySend(uid, entry.key)}>
        {t("message.tryAgain")}
      </button>
      <button type="button" className="trouble-act quiet" onClick={() => chat.removeUnsent(uid, entry.key)}>
        {t("message.remove")}
      </button>
    </div>
  );
}
