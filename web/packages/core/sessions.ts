/** The list of conversations in the sidebar: pages, search, archive, and deletion that can be undone. */
import type { Api } from "@client/api";
import type { Session } from "@client/types";
import { createStore } from "./store";

export interface SessionsState {
  items: readonly Session[];
  /** Every session that was seen, by id: the one in view keeps its title whatever the list shows. */
  known: Readonly<Record<string, Session>>;
  nextCursor: string | null;
  query: string;
  archived: boolean;
  phase: "loading" | "ready" | "failed";
  /** What was just put away, while it can be brought back with one press. */
  undo: { session: Session; act: "deleted" | "archived" | "unarchived" } | null;
}

export class Sessions {
  readonly store = createStore<SessionsState>({
    items: [],
    known: {},
    nextCursor: null,
    query: "",
    archived: false,
    phase: "loading",
    undo: null,
  });
  #asked = 0;

  constructor(
    private readonly api: Api,
    private readonly onGone: (sessionId: string) => void,
  ) {}

  /** Read the first page for the current search; of several answers only the newest question's counts. */
  async refresh(): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    const { query, archived } = this.store.get();
    try {
      const page = await this.api.sessions({ q: query.trim(), archived });
      if (asked !== this.#asked) return;
      this.#change({ items: page.items, nextCursor: page.nextCursor, phase: "ready" });
      this.#learn(page.items);
    } catch {
      if (asked === this.#asked && this.store.get().phase !== "ready") this.#change({ phase: "failed" });
    }
  }

  async more(): Promise<void> {
    const { nextCursor, query, archived } = this.store.get();
    if (!nextCursor) return;
    const asked = this.#asked;
    const page = await this.api.sessions({ q: query.trim(), archived, cursor: nextCursor }).catch(() => null);
    if (!page || asked !== this.#asked) return;
    this.#learn(page.items);
    this.store.set((state) => {
      const known = new Set(state.items.map((session) => session.id));
      const added = page.items.filter((session) => !known.has(session.id));
      return { ...state, items: [...state.items, ...added], nextCursor: page.nextCursor };
    });
  }

  /** Get to know a session that the list may not show: found by its address, archived, or far down. */
  async look(sessionId: string): Promise<void> {
    if (this.store.get().known[sessionId]) return;
    const session = await this.api.session(sessionId).catch(() => null);
    if (session) this.#learn([session]);
  }

  search(query: string): void {
    if (query === this.store.get().query) return;
    this.#change({ query });
    void this.refresh();
  }

  showArchived(archived: boolean): void {
    this.#change({ archived, items: [], phase: "loading", undo: null });
    void this.refresh();
  }

  /** Shown at once; the old title comes back if the server refuses. */
  async rename(session: Session, title: string): Promise<void> {
    const wanted = title.trim();
    if (!wanted || wanted === session.title) return;
    this.#replace({ ...session, title: wanted });
    await this.api.changeSession(session.id, { title: wanted }).then(
      (changed) => this.#replace(changed),
      () => this.#replace(session),
    );
  }

  async archive(session: Session, archived: boolean): Promise<void> {
    this.#drop(session);
    const act = archived ? "archived" : "unarchived";
    await this.api.changeSession(session.id, { archived }).then(
      (changed) => {
        this.#learn([changed]);
        this.#change({ undo: { session, act } });
      },
      () => this.refresh(),
    );
  }

  async remove(session: Session): Promise<void> {
    this.#drop(session);
    this.onGone(session.id);
    await this.api.deleteSession(session.id).then(
      () => this.#change({ undo: { session, act: "deleted" } }),
      () => this.refresh(),
    );
  }

  async undo(): Promise<void> {
    const { undo } = this.store.get();
    if (!undo) return;
    this.#change({ undo: null });
    if (undo.act === "deleted") await this.api.restoreSession(undo.session.id).catch(() => undefined);
    else {
      const archived = undo.act === "unarchived";
      await this.api.changeSession(undo.session.id, { archived }).catch(() => undefined);
    }
    await this.refresh();
  }

  dismissUndo(): void {
    this.#change({ undo: null });
  }

  #drop(session: Session): void {
    this.store.set((state) => ({ ...state, items: state.items.filter((each) => each.id !== session.id) }));
  }

  #learn(sessions: readonly Session[]): void {
    this.store.set((state) => ({
      ...state,
      known: { ...state.known, ...Object.fromEntries(sessions.map((session) => [session.id, session])) },
    }));
  }

  #replace(session: Session): void {
    this.#learn([session]);
    this.store.set((state) => ({
      ...state,
      items: state.items.map((each) => (each.id === session.id ? { ...each, ...session } : each)),
    }));
  }

  #change(change: Partial<SessionsState>): void {
    this.store.set((state) => ({ ...state, ...change }));
  }
}
