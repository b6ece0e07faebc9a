/** One conversation in the sidebar, with its menu and renaming in place. */
import type { Session } from "@client/types";
import { Archive, ArchiveRestore, Ellipsis, Pencil, Trash2 } from "lucide-react";
import { useRef, useState } from "react";
import { useApp, useWords } from "../context";
import { Menu } from "../parts/Menu";

interface Props {
  session: Session;
  current: boolean;
  onOpen(): void;
}

export function SessionRow({ session, current, onOpen }: Props) {
  const t = useWords();
  const [renaming, setRenaming] = useState(false);
  const acts = useActs(session, setRenaming);
  const title = session.title || t("session.untitled");
  if (renaming) return <Rename session={session} onDone={() => setRenaming(false)} />;
  return (
    <li className={current ? "session current" : "session"}>
      <a
        className="session-link"
        href={`#/c/${session.id}`}
        aria-current={current ? "page" : undefined}
        title={title}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return;
          event.preventDefault();
          onOpen();
        }}
      >
        <span dir="auto">{title}</span>
      </a>
      <Menu label={t("session.menu", { title })} className="session-more" tip={false} items={acts}>
        <Ellipsis size={16} strokeWidth={1.75} />
      </Menu>
    </li>
  );
}

export function useActs(session: Session, rename: (on: boolean) => void) {
  const t = useWords();
  const { sessions } = useApp();
  const icon = { size: 16, strokeWidth: 1.75 };
  return [
    { label: t("session.rename"), icon: <Pencil {...icon} />, act: () => rename(true) },
    session.archived
      ? {
          label: t("session.unarchive"),
          icon: <ArchiveRestore {...icon} />,
          act: () => void sessions.archive(session, false),
        }
      : {
          label: t("session.archive"),
          icon: <Archive {...icon} />,
          act: () => void sessions.archive(session, true),
        },
    {
      label: t("session.delete"),
      icon: <Trash2 {...icon} />,
      danger: true,
      act: () => void sessions.remove(session),
    },
  ];
}

function Rename({ session, onDone }: { session: Session; onDone(): void }) {
  const t = useWords();
  const { sessions } = useApp();
  const [title, setTitle] = useState(session.title ?? "");
  const kept = useRef(true);
  const finish = () => {
    if (kept.current) void sessions.rename(session, title);
    onDone();
  };
  return (
    <li className="session current">
      <input
        className="session-rename"
        dir="auto"
        // biome-ignore lint/a11y/noAutofocus: the person has just asked to write here
        autoFocus
        value={title}
        maxLength={200}
        aria-label={t("session.titleLabel")}
        onFocus={(event) => event.target.select()}
        onChange={(event) => setTitle(event.target.value)}
        onBlur={finish}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "Escape") kept.current = false;
          if (event.key === "Escape" || event.key === "Enter") event.currentTarget.blur();
        }}
      />
    </li>
  );
}
