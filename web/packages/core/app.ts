/** The page's state put together: one object that the components are given. Knows the browser, not React. */
import { Api } from "@client/api";
import { ApiError } from "@client/problem";
import { safeStorage } from "@client/storage";
import type { Assistant, Person } from "@client/types";
import { Address } from "./address";
import { Chat } from "./chat/chat";
import { isLeftOver } from "./chat/conversation";
import { Drafts } from "./drafts";
import { frames } from "./frames";
import { type Language, languageFor } from "./i18n/translate";
import { MarkdownDocument } from "./markdown/document";
import { plainText } from "./markdown/plain";
import { AUTOMATIC, choiceIn, Models } from "./models/models";
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

const OPERATORS: readonly string[] = ["operator", "owner"];

export class App {
  readonly language: Language;
  readonly network: Network;
  readonly api: Api;
  readonly drafts: Drafts;
  readonly theme: ThemeChoice;
  readonly sessions: Sessions;
  readonly models: Models;
  readonly address: Address;
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
    this.models = new Models(this.api, storage);
    this.sessions = new Sessions(this.api, (sessionId) => {
      this.chat.forget(sessionId);
      this.models.forget(sessionId);
    });
    this.chat = new Chat(this.api, storage, this.network, frames(window), {
      onSession: (sessionId, model) => {
        this.models.settle(sessionId, model);
        void this.sessions.refresh();
      },
      onAnswer: (uid, entry) => this.#announce(uid, entry),
    });
    this.address = new Address(window, this.chat);
  }

  get assistant(): Assistant | null {
    return this.shell.get().assistants[0] ?? null;
  }

  /** Say something in a conversation, to the model that is chosen there. */
  say(uid: string, text: string): void {
    this.chat.send(uid, text, this.assistant?.id ?? null, this.#wish(uid));
  }

  /** Have the same question answered once more, by the model that is chosen now. */
  again(uid: string, key: string): void {
    void this.chat.regenerate(uid, key, this.#wish(uid));
  }

  /** Send what its model kept from going out, and leave the choice to the server from now on. */
  sayToAnyone(uid: string, key: string): void {
    this.#chooseAutomatic(uid);
    this.chat.retrySend(uid, key, AUTOMATIC);
  }

  /** Have an answer given by whomever the server chooses, now and from now on. */
  againByAnyone(uid: string, key: string): void {
    this.#chooseAutomatic(uid);
    this.again(uid, key);
  }

  /** Take what a full conversation has no room for along into a new one, to be looked at and sent from there. */
  sayElsewhere(uid: string): void {
    const left = this.chat.conversations.get(uid)?.entries.filter(isLeftOver) ?? [];
    const texts = [this.drafts.get(null), ...left.map(({ content }) => content)];
    this.drafts.set(null, texts.filter(Boolean).join("\n\n"));
    this.chat.startNew();
    this.chat.removeUnsent(uid, ...left.map(({ key }) => key));
  }

  #chooseAutomatic(uid: string): void {
    this.models.choose(this.chat.conversations.get(uid)?.sessionId ?? null, AUTOMATIC);
  }

  #wish(uid: string): string | null {
    const sessionId = this.chat.conversations.get(uid)?.sessionId ?? null;
    return choiceIn(this.models.store.get(), sessionId, null)?.wish ?? null;
  }

  /** Sign in when the address asks for it, then show what the address names. */
  async start(): Promise<void> {
    const oneTime = this.address.oneTimeToken;
    if (oneTime) await this.#signIn(oneTime);
    this.chat.boot(this.address.sessionId);
    this.address.follow((sessionId) => void this.sessions.look(sessionId));
    await this.#greet();
    this.network.online.subscribe(() => this.network.online.get() && void this.#greet());
    this.window.document.addEventListener("visibilitychange", () => this.#lookAgain());
  }

  async #signIn(token: string): Promise<void> {
    this.address.clear();
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
      // What there is to choose decides what is suggested, so all of it is there at once.
      const [person, assistants] = await Promise.all([
        this.api.me(),
        this.api.assistants(),
        this.models.refresh(),
      ]);
      this.#shell({ person, assistants, unreachable: false });
      await this.sessions.refresh();
    } catch (error) {
      this.#shell({ unreachable: !(error instanceof ApiError) || error.retryable });
    }
  }

  /** Other tabs and devices may have gone on in the meantime. */
  #lookAgain(): void {
    if (this.window.document.visibilityState !== "visible") return;
    void this.sessions.refresh();
    void this.models.refresh();
    void this.chat.load(this.chat.conversations.current.uid);
  }

  #announce(
    uid: string,
    entry: { status: string; content: string; failure: { message: string } | null },
  ): void {
    void this.sessions.refresh();
    // What failed here may be marked as away there.
    if (entry.status === "failed") void this.models.refresh();
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

/** Tell whether somebody sees how the server is doing, and not only their own conversations. */
export function operates(person: Person | null): boolean {
  return person !== null && OPERATORS.includes(person.role);
}
