/** The conversations by day, or what a search found, or why there is nothing to show. */
import { byDay } from "@core/days";
import { ArrowLeft } from "lucide-react";
import { useApp, useStore, useWhole, useWords } from "../context";
import { SessionRow } from "./SessionRow";

export function SessionList({ onNavigate }: { onNavigate(): void }) {
  const t = useWords();
  const app = useApp();
  const { items, nextCursor, query, archived, phase } = useWhole(app.sessions.store);
  const page = useWhole(app.address.page);
  const open = useStore(app.chat.conversations.store, (state) => state.conversations[state.open]?.sessionId);
  const current = page === "chat" ? open : null;
  return (
    <nav className="sessions" aria-label={t("sidebar.label")}>
      {archived && (
        <button type="button" className="side-row" onClick={() => app.sessions.showArchived(false)}>
          <ArrowLeft className="mirrored" size={18} strokeWidth={1.75} />
          {t("sidebar.back")}
        </button>
      )}
      {byDay(items, new Date()).map(({ day, sessions }) => (
        <section key={day}>
          <h2 className="day">{t(`day.${day}`)}</h2>
          <ul>
            {sessions.map((session) => (
              <SessionRow
                key={session.id}
                session={session}
                current={session.id === current}
                onOpen={() => {
                  app.chat.open(session.id);
                  onNavigate();
                }}
              />
            ))}
          </ul>
        </section>
      ))}
      {items.length === 0 && <Nothing query={query.trim()} archived={archived} phase={phase} />}
      {nextCursor && (
        <button type="button" className="side-row" onClick={() => void app.sessions.more()}>
          {t("sidebar.more")}
        </button>
      )}
    </nav>
  );
}

function Nothing({ query, archived, phase }: { query: string; archived: boolean; phase: string }) {
  const t = useWords();
  const { sessions } = useApp();
  if (phase === "loading") return null;
  if (phase === "failed") {
    return (
      <p className="side-words">
        {t("sidebar.failed")}{" "}
        <button type="button" className="text-button" onClick={() => void sessions.refresh()}>
          {t("message.tryAgain")}
        </button>
      </p>
    );
  }
  if (query) return <p className="side-words">{t("sidebar.noMatch", { query })}</p>;
  return <p className="side-words">{t(archived ? "sidebar.archivedEmpty" : "sidebar.empty")}</p>;
}
