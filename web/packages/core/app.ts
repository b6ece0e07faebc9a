/** The page's state put together: one object that the components are given. Knows the browser, not React. */
import { Api } from "@client/api";
import { ApiError } from "@client/problem";
import { safeStorage } from "@client/storage";
import type { Assistant, Person } from "@client/types";
import { Chat } from "./chat/chat";
import { Drafts } from "./drafts";
import { frames } from "./frames";
import { type Language, languageFor } from "./i18n/translate";
import { MarkdownDocument } from "./markdown/document";
import { plainText } from "./markdown/plain";
import { browserNetwork, type Network } from "./network";
import { Sessions } from "./sessions";
import { createStore } from "./store";
import { ThemeChoice } from "./theme";

export interface Shell {
  assistants: readonly Assistant[];
  person: Person | null;
  /** A sentence about signing in: that it worked, or why not. */
  notice: { kind: "signedIn" | "signInFailed"; name: string } | null;
  /** The last thing a screen reader was told. */
  announcement: string;
  /** The server could not be reached when the page began. */
  unreachable: boolean;
}

const SIGN_IN = "#sign-in=";
const SESSION = "#/c/";

export class App {
  readonly language: Language;
  readonly network: Network;
  readonly api: Api;
  readonly drafts: Drafts;
  readonly theme: ThemeChoice;
  readonly sessions: Sessions;
  readonly chat: Chat;
  readonly shell = createStore<Shell>({
    assistants: [],
    person: null,
    notice: null,
    announcement: "",
    unreachable: false,
  });

  constructor(private readonly window: Window) {
    const storage = safeStorage(() => window.localStorage);
    this.language = languageFor(window.navigator.languages);
    this.network = browserNetwork(window);
    this.api = new Api(storage);
    this.drafts = new Drafts(storage);
    this.theme = new ThemeChoice(storage, window.document.documentElement);
    this.sessions = new Sessions(this.api, (sessionId) => this.chat.forget(sessionId));
    this.chat = new Chat(this.api, storage, this.network, frames(window), {
      onSession: () => void this.sessions.refresh(),
      onAnswer: (uid, entry) => this.#announce(uid, entry),
    });
  }

  get assistant(): Assistant | null {
    return this.shell.get().assistants[0] ?? null;
  }

  /** Sign in when the address asks for it, then show what the address names. */
  async start(): Promise<void> {
    const { hash } = this.window.location;
    if (hash.startsWith(SIGN_IN)) await this.#signIn(decodeURIComponent(hash.slice(SIGN_IN.length)));
    this.chat.boot(sessionIn(this.window.location.hash));
    this.#followAddress();
    const { sessionId } = this.chat.conversations.current;
    if (sessionId) void this.sessions.look(sessionId);
    await this.#greet();
    this.network.online.subscribe(() => this.network.online.get() && void this.#greet());
    this.window.document.addEventListener("visibilitychange", () => this.#lookAgain());
  }

  async #signIn(token: string): Promise<void> {
    this.window.history.replaceState(null, "", this.window.location.pathname);
    try {
      await this.api.identity.signIn(token);
      const person = await this.api.me();
      this.#shell({ person, notice: { kind: "signedIn", name: person.displayName ?? person.role } });
    } catch {
      this.#shell({ notice: { kind: "signInFailed", name: "" } });
    }
  }

  async #greet(): Promise<void> {
    try {
      const [person, assistants] = await Promise.all([this.api.me(), this.api.assistants()]);
      this.#shell({ person, assistants, unreachable: false });
      await this.sessions.refresh();
    } catch (error) {
      this.#shell({ unreachable: !(error instanceof ApiError) || error.retryable });
    }
  }

  /** The address and the conversation in view name the same session, whichever of the two changes. */
  #followAddress(): void {
    const { conversations } = this.chat;
    let shown = conversations.current.sessionId;
    conversations.store.subscribe(() => {
      const { sessionId } = conversations.current;
      // Only a change of what is shown concerns the address, which may already be ahead of it.
      if (shown === sessionId) return;
      shown = sessionId;
      if (sessionId) void this.sessions.look(sessionId);
      if (sessionIn(this.window.location.hash) === sessionId) return;
      const address = sessionId ? SESSION + sessionId : this.window.location.pathname;
      this.window.history.pushState(null, "", address);
    });
    this.window.addEventListener("popstate", () => {
      const { hash } = this.window.location;
      // A sign-in link pasted into an open page makes it another person's page.
      if (hash.startsWith(SIGN_IN)) return this.window.location.reload();
      const sessionId = sessionIn(hash);
      if (sessionId === conversations.current.sessionId) return;
      if (sessionId) this.chat.open(sessionId);
      else this.chat.startNew();
    });
  }

  /** Other tabs and devices may have gone on in the meantime. */
  #lookAgain(): void {
    if (this.window.document.visibilityState !== "visible") return;
    void this.sessions.refresh();
    void this.chat.load(this.chat.conversations.current.uid);
  }

  #announce(
    uid: string,
    entry: { status: string; content: string; failure: { message: string } | null },
  ): void {
    void this.sessions.refresh();
    // The title of a new conversation is made after the answer, in the background.
    setTimeout(() => void this.sessions.refresh(), 2_000);
    if (uid !== this.chat.conversations.current.uid) return;
    const { translate } = this.language;
    const name = this.assistant?.name ?? translate("assistant.fallback");
    const text = plainText(new MarkdownDocument().read(entry.content));
    const said = {
      completed: () => translate("message.announce", { name, text }),
      stopped: () => translate("message.announceStopped"),
      failed: () => translate("message.announceFailed", { reason: entry.failure?.message ?? "" }),
    }[entry.status];
    if (said) this.#shell({ announcement: said() });
  }

  dismissNotice(): void {
    this.#shell({ notice: null });
  }

  #shell(change: Partial<Shell>): void {
    this.shell.set((state) => ({ ...state, ...change }));
  }
}

function sessionIn(hash: string): string | null {
  return hash.startsWith(SESSION) ? hash.slice(SESSION.length) || null : null;
}
