/** Under a settled answer: copy, answer again, helpful, not helpful. */
import type { Rating } from "@client/types";
import type { Entry } from "@core/chat/conversation";
import { Check, Copy, Info, RefreshCw, ThumbsDown, ThumbsUp } from "lucide-react";
import { useId, useState } from "react";
import { useApp, useWords } from "../context";
import { Details } from "../details/Details";
import { copyText, useMoment } from "../hooks";
import { IconButton } from "../parts/IconButton";

interface Props {
  entry: Entry;
  uid: string;
  resting: boolean;
  last: boolean;
}

export function AnswerActions({ entry, uid, resting, last }: Props) {
  const t = useWords();
  const app = useApp();
  const details = useId();
  const [open, setOpen] = useState(false);
  // An answer that was stopped before its first word can only be asked for again.
  const said = entry.content !== "";
  return (
    <>
      <div className={resting || open ? "actions at-rest" : "actions"}>
        {said && <CopyAnswer entry={entry} />}
        {last && (
          <IconButton label={t("message.regenerate")} onClick={() => app.again(uid, entry.key)}>
            <RefreshCw size={16} strokeWidth={1.75} />
          </IconButton>
        )}
        {said && <Ratings entry={entry} uid={uid} />}
        {entry.id !== null && (
          <IconButton
            label={t("answer.details")}
            aria-expanded={open}
            aria-controls={open ? details : undefined}
            onClick={() => setOpen(!open)}
          >
            <Info size={16} strokeWidth={1.75} />
          </IconButton>
        )}
      </div>
      {open && <Details id={details} entry={entry} />}
    </>
  );
}

function CopyAnswer({ entry }: { entry: Entry }) {
  const t = useWords();
  const [copied, showCopied] = useMoment(2_000);
  return (
    <IconButton
      label={copied ? t("message.copied") : t("message.copyAnswer")}
      onClick={async () => (await copyText(withSources(entry))) && showCopied()}
    >
      {copied ? <Check size={16} strokeWidth={1.75} /> : <Copy size={16} strokeWidth={1.75} />}
    </IconButton>
  );
}

function Ratings({ entry, uid }: { entry: Entry; uid: string }) {
  const t = useWords();
  const { chat } = useApp();
  const rate = (rating: Rating) => void chat.rate(uid, entry.key, entry.rating === rating ? null : rating);
  return (
    <>
      <IconButton
        label={t("message.helpful")}
        aria-pressed={entry.rating === "up"}
        onClick={() => rate("up")}
      >
        <ThumbsUp size={16} strokeWidth={1.75} />
      </IconButton>
      <IconButton
        label={t("message.notHelpful")}
        aria-pressed={entry.rating === "down"}
        onClick={() => rate("down")}
      >
        <ThumbsDown size={16} strokeWidth={1.75} />
      </IconButton>
    </>
  );
}

/** The answer as markdown, with its sources below so that the numbers in it still mean something. */
function withSources(entry: Entry): string {
  const used = entry.citations.filter(({ number }) => entry.content.includes(`[${number}]`));
  const lines = used.map(({ number, title, documentTitle, url }) => {
    const name =
      title && documentTitle && title !== documentTitle
        ? `${title}, ${documentTitle}`
        : title || documentTitle;
    return `[${number}] ${name}${url ? ` <${url}>` : ""}`;
  });
  return [entry.content, ...(lines.length > 0 ? ["", ...lines] : [])].join("\n");
}
