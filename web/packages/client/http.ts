/** One authenticated request to the server: bearer token, one renewal after a 401, errors as two classes. */
import type { Identity } from "./identity";
import { ConnectionLost, problemOf } from "./problem";

export interface Call {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  body?: object;
  accept?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

export class Http {
  constructor(
    private readonly identity: Identity,
    private readonly fetcher: typeof fetch,
    private readonly base: string,
  ) {}

  /** Send, and give back a response that is known to be good. */
  async send(path: string, call: Call = {}): Promise<Response> {
    const token = await this.identity.token();
    let response = await this.#once(path, call, token);
    if (response.status === 401) {
      this.identity.forget(token);
      response = await this.#once(path, call, await this.identity.token());
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  /** Send, and read the JSON answer. The shape is the contract's; the caller names it. */
  async json<T>(path: string, call: Call = {}): Promise<T> {
    const response = await this.send(path, call);
    try {
      return (await response.json()) as T;
    } catch (error) {
      throw new ConnectionLost(String(error));
    }
  }

  async #once(path: string, call: Call, token: string): Promise<Response> {
    const headers: Record<string, string> = {
      Authorization: `Bearer ${token}`,
      Accept: call.accept ?? "application/json",
      ...call.headers,
    };
    if (call.body) headers["Content-Type"] = "application/json";
    try {
      return await this.fetcher(this.base + path, {
        method: call.method ?? "GET",
        headers,
        body: call.body ? JSON.stringify(call.body) : null,
        signal: call.signal ?? null,
        cache: "no-store",
      });
    } catch (error) {
      if (call.signal?.aborted) throw error;
      throw new ConnectionLost(String(error));
    }
  }
}
