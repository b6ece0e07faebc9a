/** What was just put away, and the way to bring it back. It stays until it is used, dismissed or replaced. */
import { X } from "lucide-react";
import { useApp, useStore, useWords } from "../context";
import { IconButton } from "../parts/IconButton";

const WORDS = {
  deleted: "session.deleted",
  archived: "session.archivedNow",
  unarchived: "session.unarchivedNow",
} as const;

export function UndoBar() {
  const t = useWords();
  const { sessions } = useApp();
  const undo = useStore(sessions.store, (state) => state.undo);
  return (
    <div role="status">
      {undo && (
        <div className="undo">
          <span dir="auto">{t(WORDS[undo.act], { title: undo.session.title || t("session.untitled") })}</span>
          <button type="button" className="text-button" onClick={() => void sessions.undo()}>
            {t("session.undo")}
          </button>
          <IconButton label={t("session.dismiss")} onClick={() => sessions.dismissUndo()}>
            <X size={14} strokeWidth={1.75} />
          </IconButton>
        </div>
      )}
    </div>
  );
}
