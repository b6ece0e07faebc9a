/**
 * Who the page speaks as: a visitor the server remembers by a signed token, or someone signed in by a link.
 * Owns the token; nobody else reads or writes it.
 */
import { ConnectionLost, problemOf, record, text } from "./problem";
import type { KeyValue } from "./storage";

const TOKEN = "parlour.token";

export class Identity {
  #pending: Promise<string> | null = null;

  constructor(
    private readonly storage: KeyValue,
    private readonly fetcher: typeof fetch,
    private readonly base: string,
  ) {}

  /** The token to present; asks for a visitor's when there is none yet. Concurrent callers share one request. */
  async token(): Promise<string> {
    const kept = this.storage.get(TOKEN);
    if (kept) return kept;
    this.#pending ??= this.#post("/api/visitors", {}).finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  /** Forget `refused`, unless another request or tab has replaced it already. */
  forget(refused: string): void {
    if (this.storage.get(TOKEN) === refused) this.storage.remove(TOKEN);
  }

  /** Trade the one-time token of a sign-in link for a lasting one. */
  async signIn(oneTime: string): Promise<void> {
    await this.#post("/api/sign-in", { token: oneTime });
  }

  async #post(path: string, body: object): Promise<string> {
    let response: Response;
    try {
      response = await this.fetcher(this.base + path, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify(body),
      });
    } catch (error) {
      throw new ConnectionLost(String(error));
    }
    if (!response.ok) throw await problemOf(response);
    const token = text(record(await response.json()).token);
    this.storage.set(TOKEN, token);
    return token;
  }
}
