/** What the person said: plain text in a bubble, and how far it has come on its way. */
import { type Entry, isLeftOver } from "@core/chat/conversation";
import { useWords } from "../context";
import { LeftOver, Limited, Refused, Waiting } from "./Delivery";

export function Question({ entry, uid }: { entry: Entry; uid: string }) {
  const t = useWords();
  const Undeliverable = isLeftOver(entry) ? LeftOver : Refused;
  const unsent = entry.delivery !== "sent" && entry.delivery !== "sending";
  return (
    <div className="question">
      <h2 className="visually-hidden">{t("message.you")}</h2>
      <div className={unsent ? "bubble unsent" : "bubble"} dir="auto">
        {entry.content}
      </div>
      {entry.delivery === "waiting" && <Waiting entry={entry} uid={uid} />}
      {entry.delivery === "limited" && <Limited entry={entry} uid={uid} />}
      {entry.delivery === "refused" && <Undeliverable entry={entry} uid={uid} />}
    </div>
  );
}
