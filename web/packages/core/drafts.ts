/** What is typed but not sent, kept per conversation over reloads. */
import type { KeyValue } from "@client/storage";

const PREFIX = "parlour.draft.";
const NEW = "new";

export class Drafts {
  constructor(private readonly storage: KeyValue) {}

  get(sessionId: string | null): string {
    return this.storage.get(PREFIX + (sessionId ?? NEW)) ?? "";
  }

  set(sessionId: string | null, text: string): void {
    const key = PREFIX + (sessionId ?? NEW);
    if (text) this.storage.set(key, text);
    else this.storage.remove(key);
  }
}
