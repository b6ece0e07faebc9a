/** The bar above a conversation: its title with a menu, the assistant, and whether the line holds. */
import type { Session } from "@client/types";
import { type Conversation, liveAnswer } from "@core/chat/conversation";
import { BookOpen, ChevronDown, Menu as MenuIcon, PanelLeft, SquarePen } from "lucide-react";
import { useState } from "react";
import { useApp, useStore, useWords } from "./context";
import { DRAWER, useAfter, useMedia } from "./hooks";
import { IconButton } from "./parts/IconButton";
import { Menu } from "./parts/Menu";
import { useActs } from "./sidebar/SessionRow";

interface Props {
  conversation: Conversation;
  name: string;
  folded: boolean;
  onUnfold(): void;
}

export function TopBar({ conversation, name, folded, onUnfold }: Props) {
  const t = useWords();
  const { chat, sessions } = useApp();
  const drawer = useMedia(DRAWER);
  const { sessionId } = conversation;
  const session = useStore(sessions.store, (state) => (sessionId ? state.known[sessionId] : undefined));
  const begun = conversation.entries.length > 0 || sessionId !== null;
  return (
    <header className="bar">
      {(folded || drawer) && (
        <IconButton
          label={t("sidebar.open")}
          onClick={onUnfold}
          aria-controls="sidebar"
          aria-expanded={false}
        >
          {drawer ? (
            <MenuIcon size={20} strokeWidth={1.75} />
          ) : (
            <PanelLeft className="mirrored" size={18} strokeWidth={1.75} />
          )}
        </IconButton>
      )}
      <div className="bar-title">
        {session ? (
          <Title session={session} />
        ) : begun ? (
          <h1 className="bar-plain">{t("session.untitled")}</h1>
        ) : (
          <AssistantName name={name} />
        )}
        {begun && drawer && (
          <span className="bar-under" dir="auto">
            {name}
          </span>
        )}
      </div>
      <Line conversation={conversation} />
      {begun && !drawer && <AssistantName name={name} />}
      {drawer && (
        <IconButton label={t("sidebar.new")} onClick={() => chat.startNew()} data-end>
          <SquarePen size={20} strokeWidth={1.75} />
        </IconButton>
      )}
    </header>
  );
}

function AssistantName({ name }: { name: string }) {
  return (
    <span className="bar-assistant">
      <BookOpen size={16} strokeWidth={1.75} />
      <span dir="auto">{name}</span>
    </span>
  );
}

function Title({ session }: { session: Session }) {
  const t = useWords();
  const { sessions } = useApp();
  const [renaming, setRenaming] = useState(false);
  const acts = useActs(session, setRenaming);
  const title = session.title || t("session.untitled");
  if (renaming) {
    return (
      <input
        className="bar-rename"
        dir="auto"
        // biome-ignore lint/a11y/noAutofocus: the person has just asked to write here
        autoFocus
        defaultValue={session.title ?? ""}
        maxLength={200}
        aria-label={t("session.titleLabel")}
        onFocus={(event) => event.target.select()}
        onBlur={(event) => {
          void sessions.rename(session, event.target.value);
          setRenaming(false);
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "Escape") event.currentTarget.value = session.title ?? "";
          if (event.key === "Escape" || event.key === "Enter") event.currentTarget.blur();
        }}
      />
    );
  }
  return (
    <h1 className="bar-heading">
      <Menu label={t("session.menu", { title })} className="bar-button" tip={false} spoken items={acts}>
        <span dir="auto">{title}</span>
        <ChevronDown size={16} strokeWidth={1.75} />
      </Menu>
    </h1>
  );
}

/** Nothing for the first 3 s: most broken lines are mended before anyone would notice. */
function Line({ conversation }: { conversation: Conversation }) {
  const t = useWords();
  const app = useApp();
  const online = useStore(app.network.online, (value) => value);
  const live = liveAnswer(conversation);
  const due = useAfter(online && live !== undefined && !live.line, 3_000);
  return (
    <span className="bar-line" role="status">
      {due && t("network.reconnecting")}
    </span>
  );
}
