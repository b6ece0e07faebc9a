/** The address bar: which conversation or page it names, and keeping it in step with what is shown. */
import type { Chat } from "./chat/chat";
import { createStore } from "./store";

const SIGN_IN = "#sign-in=";
const SESSION = "#/c/";
/** Where operators see the models. */
export const OPERATOR = "#/operator/models";

/** `chat` shows the conversation in view; the others take its place. */
export type PageName = "chat" | "models";

export class Address {
  readonly page;

  constructor(
    private readonly window: Window,
    private readonly chat: Chat,
  ) {
    this.page = createStore<PageName>(pageIn(window.location.hash));
  }

  get sessionId(): string | null {
    return sessionIn(this.window.location.hash);
  }

  get oneTimeToken(): string | null {
    const { hash } = this.window.location;
    return hash.startsWith(SIGN_IN) ? decodeURIComponent(hash.slice(SIGN_IN.length)) : null;
  }

  /** Take what the address says out of the bar and out of the history. */
  clear(): void {
    this.window.history.replaceState(null, "", this.window.location.pathname);
  }

  go(page: PageName): void {
    if (this.page.get() === page) return;
    this.page.set(() => page);
    this.#say(page === "models" ? OPERATOR : this.#conversation());
  }

  /** The address and the conversation in view name the same session, whichever of the two changes. */
  follow(onSession: (sessionId: string) => void): void {
    const { conversations } = this.chat;
    let shown = conversations.current.sessionId;
    if (shown) onSession(shown);
    conversations.store.subscribe(() => {
      const { sessionId } = conversations.current;
      // Only a change of what is shown concerns the address, which may already be ahead of it.
      if (shown === sessionId) return;
      shown = sessionId;
      if (sessionId) onSession(sessionId);
      if (this.page.get() === "chat" && this.sessionId !== sessionId) this.#say(this.#conversation());
    });
    this.window.addEventListener("popstate", () => this.#moved());
  }

  #moved(): void {
    // A sign-in link pasted into an open page makes it another person's page.
    if (this.oneTimeToken) {
      this.window.location.reload();
      return;
    }
    const { sessionId } = this;
    this.page.set(() => pageIn(this.window.location.hash));
    if (this.page.get() !== "chat" || sessionId === this.chat.conversations.current.sessionId) return;
    if (sessionId) this.chat.open(sessionId);
    else this.chat.startNew();
  }

  #conversation(): string {
    const { sessionId } = this.chat.conversations.current;
    return sessionId ? SESSION + sessionId : this.window.location.pathname;
  }

  #say(address: string): void {
    this.window.history.pushState(null, "", address);
  }
}

function sessionIn(hash: string): string | null {
  return hash.startsWith(SESSION) ? hash.slice(SESSION.length) || null : null;
}

function pageIn(hash: string): PageName {
  return hash === OPERATOR ? "models" : "chat";
}
