/** The frame at the side: mark, new conversation, search, titles by day, person. */
import { OPERATOR, type PageName } from "@core/address";
import { operates } from "@core/app";
import { HeartPulse, PanelLeft, Search, SquarePen, X } from "lucide-react";
import { type RefObject, useEffect, useState } from "react";
import { useApp, useStore, useWhole, useWords } from "../context";
import { IconButton } from "../parts/IconButton";
import { Lamp } from "../parts/Lamp";
import { PersonMenu } from "./PersonMenu";
import { SessionList } from "./SessionList";
import { UndoBar } from "./UndoBar";

interface Props {
  hidden: boolean;
  search: RefObject<HTMLInputElement | null>;
  onFold(): void;
  /** Something was chosen to be shown: a conversation, unless another page is named. */
  onNavigate(to?: PageName): void;
}

export function Sidebar({ hidden, search, onFold, onNavigate }: Props) {
  const t = useWords();
  const { chat } = useApp();
  return (
    <aside className="sidebar" id="sidebar" inert={hidden} aria-label={t("sidebar.label")}>
      <div className="side-head">
        <span className="mark">
          <Lamp size={22} />
          <span className="wordmark">{t("app.name")}</span>
        </span>
        <IconButton
          label={t("sidebar.close")}
          onClick={onFold}
          aria-controls="sidebar"
          aria-expanded={!hidden}
        >
          <PanelLeft className="mirrored" size={18} strokeWidth={1.75} />
        </IconButton>
      </div>
      <button
        type="button"
        className="new-conversation"
        onClick={() => {
          chat.startNew();
          onNavigate();
        }}
      >
        <SquarePen size={18} strokeWidth={1.75} />
        {t("sidebar.new")}
      </button>
      <SearchField field={search} />
      <SessionList onNavigate={onNavigate} />
      <UndoBar />
      <OperatorLink onNavigate={onNavigate} />
      <PersonMenu />
    </aside>
  );
}

function OperatorLink({ onNavigate }: Pick<Props, "onNavigate">) {
  const t = useWords();
  const { shell, address } = useApp();
  const shown = useWhole(address.page) === "models";
  if (!useStore(shell, ({ person }) => operates(person))) return null;
  return (
    <a
      className="side-row operator-link"
      href={OPERATOR}
      aria-current={shown ? "page" : undefined}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        onNavigate("models");
      }}
    >
      <HeartPulse size={18} strokeWidth={1.75} />
      {t("operator.link")}
    </a>
  );
}

function SearchField({ field }: { field: RefObject<HTMLInputElement | null> }) {
  const t = useWords();
  const { sessions } = useApp();
  const kept = useStore(sessions.store, (state) => state.query);
  const [query, setQuery] = useState(kept);
  useEffect(() => {
    // One request for a word, not one for each letter of it.
    const timer = setTimeout(() => sessions.search(query), 200);
    return () => clearTimeout(timer);
  }, [query, sessions]);
  const clear = () => {
    setQuery("");
    sessions.search("");
  };
  return (
    <search className="search">
      <Search size={18} strokeWidth={1.75} />
      <input
        ref={field}
        type="search"
        dir="auto"
        value={query}
        placeholder={t("sidebar.search")}
        aria-label={t("sidebar.searchLabel")}
        aria-keyshortcuts="Meta+K Control+K"
        onChange={(event) => setQuery(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          if (query) clear();
          else event.currentTarget.blur();
        }}
      />
      {query ? (
        <button type="button" className="search-clear" aria-label={t("sidebar.clearSearch")} onClick={clear}>
          <X size={16} strokeWidth={1.75} />
        </button>
      ) : (
        <kbd dir="ltr">{/Mac|iP(hone|ad)/.test(navigator.userAgent) ? "⌘ K" : "Ctrl K"}</kbd>
      )}
    </search>
  );
}
