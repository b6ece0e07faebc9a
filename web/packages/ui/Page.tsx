/** The whole page: sidebar beside the conversation, or over it where there is little room. */
import type { PageName } from "@core/address";
import type { App } from "@core/app";
import { CircleAlert, CircleCheck, CloudOff, X } from "lucide-react";
import { lazy, Suspense, useCallback, useEffect, useRef, useState } from "react";
import { Welcome } from "./composer/Welcome";
import { AppProvider, useApp, useStore, useWhole, useWords } from "./context";
import { DRAWER, useMedia } from "./hooks";
import { ErrorBoundary } from "./parts/ErrorBoundary";
import { IconButton } from "./parts/IconButton";
import { Sidebar } from "./sidebar/Sidebar";
import { TopBar } from "./TopBar";
import { Thread } from "./thread/Thread";

const ModelsPage = lazy(() => import("./operator/ModelsPage"));

export function Page({ app }: { app: App }) {
  return (
    <AppProvider value={app}>
      <ErrorBoundary fallback={() => <Crashed />}>
        <Frame />
      </ErrorBoundary>
    </AppProvider>
  );
}

function Frame() {
  const t = useWords();
  const app = useApp();
  const conversation = useStore(app.chat.conversations.store, (state) => state.conversations[state.open]);
  const name = useStore(app.shell, (shell) => shell.assistants[0]?.name) ?? t("assistant.fallback");
  const announcement = useStore(app.shell, (shell) => shell.announcement);
  const page = useWhole(app.address.page);
  const drawer = useMedia(DRAWER);
  const [folded, setFolded] = useState(false);
  const [drawn, setDrawn] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  const open = drawer ? drawn : !folded;
  const show = useCallback((on: boolean) => (drawer ? setDrawn(on) : setFolded(!on)), [drawer]);
  useShortcuts({
    search: () => {
      show(true);
      requestAnimationFrame(() => search.current?.select());
    },
    escape: () => {
      if (drawer && drawn) setDrawn(false);
      else if (conversation) app.chat.stop(conversation.uid);
    },
  });
  useTitle(conversation?.sessionId ?? null, page);
  if (!conversation) return null;
  const blank = conversation.sessionId === null && conversation.entries.length === 0;
  return (
    <div className={`frame${open ? "" : " folded"}`}>
      <Sidebar
        hidden={!open}
        search={search}
        onFold={() => show(false)}
        onNavigate={(to = "chat") => {
          app.address.go(to);
          if (drawer) setDrawn(false);
        }}
      />
      {drawer && drawn && (
        <button
          type="button"
          className="scrim"
          aria-label={t("sidebar.close")}
          onClick={() => setDrawn(false)}
        />
      )}
      <main className="main" id="main" inert={drawer && drawn}>
        {page === "chat" && (
          <TopBar conversation={conversation} name={name} folded={!open} onUnfold={() => show(true)} />
        )}
        <Notices />
        {page === "models" ? (
          <ErrorBoundary fallback={() => <Crashed />}>
            <Suspense fallback={null}>
              <ModelsPage folded={!open} drawer={drawer} onUnfold={() => show(true)} />
            </Suspense>
          </ErrorBoundary>
        ) : blank ? (
          <Welcome conversation={conversation} />
        ) : (
          <Thread key={conversation.uid} conversation={conversation} name={name} />
        )}
      </main>
      <div className="visually-hidden" aria-live="polite" aria-atomic="true" data-testid="announcer">
        {announcement}
      </div>
    </div>
  );
}

function Notices() {
  const t = useWords();
  const app = useApp();
  const online = useWhole(app.network.online);
  const notice = useStore(app.shell, (shell) => shell.notice);
  const failed = notice?.kind === "signInFailed";
  return (
    <div className="notices" role="status">
      {!online && (
        <p className="notice warn">
          <CloudOff size={18} strokeWidth={1.75} />
          {t("network.offline")}
        </p>
      )}
      {notice && (
        <p className={failed ? "notice danger" : "notice well"}>
          {failed ? (
            <CircleAlert size={18} strokeWidth={1.75} />
          ) : (
            <CircleCheck size={18} strokeWidth={1.75} />
          )}
          <span>{failed ? t("person.signInFailed") : t("person.signedIn", { name: notice.name })}</span>
          <IconButton label={t("session.dismiss")} onClick={() => app.dismissNotice()}>
            <X size={16} strokeWidth={1.75} />
          </IconButton>
        </p>
      )}
    </div>
  );
}

/** The window is called by what it shows. */
function useTitle(sessionId: string | null, page: PageName): void {
  const t = useWords();
  const { sessions } = useApp();
  const title = useStore(sessions.store, ({ known }) => (sessionId ? known[sessionId]?.title : null));
  const shown = page === "models" ? t("operator.title") : title;
  useEffect(() => {
    document.title = shown ? `${shown} · ${t("app.name")}` : t("app.name");
  }, [shown, t]);
}

function useShortcuts(acts: { search(): void; escape(): void }): void {
  const latest = useRef(acts);
  latest.current = acts;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return;
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        latest.current.search();
      } else if (event.key === "Escape") latest.current.escape();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
}

function Crashed() {
  const t = useWords();
  return (
    <main className="crashed">
      <p>{t("app.crashed")}</p>
      <button type="button" className="plain-button" onClick={() => window.location.reload()}>
        {t("app.reload")}
      </button>
    </main>
  );
}
