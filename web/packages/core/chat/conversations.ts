/** The one place where conversations are kept and changed. */

import { createStore } from "../store";
import type { Conversation, Entry } from "./conversation";
import { withEntry } from "./conversation";

export interface ChatState {
  /** The uid of the conversation in view. */
  open: string;
  conversations: Readonly<Record<string, Conversation>>;
}

export class Conversations {
  readonly store;

  constructor(first: Conversation) {
    this.store = createStore<ChatState>({ open: first.uid, conversations: { [first.uid]: first } });
  }

  get(uid: string): Conversation | undefined {
    return this.store.get().conversations[uid];
  }

  get current(): Conversation {
    const { open, conversations } = this.store.get();
    const conversation = conversations[open];
    if (!conversation) throw new Error(`no conversation ${open}`);
    return conversation;
  }

  bySession(sessionId: string): Conversation | undefined {
    return Object.values(this.store.get().conversations).find((each) => each.sessionId === sessionId);
  }

  add(conversation: Conversation): void {
    this.store.set((state) => ({
      ...state,
      conversations: { ...state.conversations, [conversation.uid]: conversation },
    }));
  }

  show(uid: string): void {
    this.store.set((state) => (state.open === uid ? state : { ...state, open: uid }));
  }

  update(uid: string, change: (conversation: Conversation) => Conversation): void {
    this.store.set((state) => {
      const before = state.conversations[uid];
      if (!before) return state;
      return { ...state, conversations: { ...state.conversations, [uid]: change(before) } };
    });
  }

  entry(uid: string, key: string): Entry | undefined {
    return this.get(uid)?.entries.find((entry) => entry.key === key);
  }

  updateEntry(uid: string, key: string, change: (entry: Entry) => Entry): void {
    this.update(uid, (conversation) => withEntry(conversation, key, change));
  }

  removeEntries(uid: string, unwanted: (entry: Entry) => boolean): void {
    this.update(uid, (conversation) => {
      const entries = conversation.entries.filter((entry) => !unwanted(entry));
      return entries.length === conversation.entries.length ? conversation : { ...conversation, entries };
    });
  }

  /** Put an entry right behind the one named, or at the end; a second time changes nothing. */
  insertAfter(uid: string, key: string, entry: Entry): void {
    this.update(uid, (conversation) => {
      if (conversation.entries.some((each) => each.key === entry.key)) return conversation;
      const index = conversation.entries.findIndex((each) => each.key === key);
      const at = index < 0 ? conversation.entries.length : index + 1;
      return { ...conversation, entries: conversation.entries.toSpliced(at, 0, entry) };
    });
  }
}
