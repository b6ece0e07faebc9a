/** The calls of the HTTP contract that the page makes, one method each. */
import { Http } from "./http";
import { Identity } from "./identity";
import { ConnectionLost } from "./problem";
import { readRun } from "./sse";
import type { KeyValue } from "./storage";
import type {
  Assistant,
  Attempt,
  Message,
  Model,
  Numbered,
  Page,
  Person,
  Rating,
  SendBody,
  Session,
} from "./types";

const EVENTS = "text/event-stream";

export interface SessionQuery {
  q?: string;
  cursor?: string;
  archived?: boolean;
}

export class Api {
  readonly identity: Identity;
  readonly #http: Http;

  constructor(storage: KeyValue, fetcher: typeof fetch = (...call) => fetch(...call), base = "") {
    this.identity = new Identity(storage, fetcher, base);
    this.#http = new Http(this.identity, fetcher, base);
  }

  me(): Promise<Person> {
    return this.#http.json("/api/me");
  }

  async assistants(): Promise<Assistant[]> {
    return (await this.#http.json<Page<Assistant>>("/api/assistants")).items;
  }

  /** What can be wished for, and whether it can be had right now. */
  async models(): Promise<Model[]> {
    return (await this.#http.json<Page<Model>>("/api/models")).items;
  }

  /** Every call that one answer took, in the order they were made. */
  async attempts(messageId: string): Promise<Attempt[]> {
    return (await this.#http.json<Page<Attempt>>(`/api/chat/messages/${messageId}/attempts`)).items;
  }

  /** The operators' side of the contract: read by pages that the others never load. */
  admin<T>(path: string, signal?: AbortSignal): Promise<T> {
    return this.#http.json(`/api/admin/${path}`, { signal });
  }

  sessions(query: SessionQuery): Promise<Page<Session>> {
    const search = new URLSearchParams({ limit: "50" });
    if (query.q) search.set("q", query.q);
    if (query.cursor) search.set("cursor", query.cursor);
    if (query.archived) search.set("archived", "true");
    return this.#http.json(`/api/chat/sessions?${search}`);
  }

  session(id: string): Promise<Session> {
    return this.#http.json(`/api/chat/sessions/${id}`);
  }

  changeSession(id: string, change: { title?: string; archived?: boolean }): Promise<Session> {
    return this.#http.json(`/api/chat/sessions/${id}`, { method: "PATCH", body: change });
  }

  async deleteSession(id: string): Promise<void> {
    await this.#http.send(`/api/chat/sessions/${id}`, { method: "DELETE" });
  }

  async restoreSession(id: string): Promise<void> {
    await this.#http.send(`/api/chat/sessions/${id}/restore`, { method: "POST" });
  }

  /** A page of messages in the order they were said, newest page first. */
  messages(sessionId: string, before: string | null): Promise<Page<Message>> {
    const search = new URLSearchParams({ limit: "50" });
    if (before) search.set("before", before);
    return this.#http.json(`/api/chat/sessions/${sessionId}/messages?${search}`);
  }

  send(body: SendBody, signal?: AbortSignal): AsyncGenerator<Numbered> {
    return this.#stream("/api/chat", { method: "POST", body: { ...body, stream: true }, signal });
  }

  regenerate(
    messageId: string,
    wish: Pick<SendBody, "clientMessageId" | "model">,
    signal?: AbortSignal,
  ): AsyncGenerator<Numbered> {
    const body = { ...wish, stream: true };
    return this.#stream(`/api/chat/messages/${messageId}/regenerate`, { method: "POST", body, signal });
  }

  /** Follow a run: from its start, or from the event after `lastEventId`. */
  events(runId: string, lastEventId: string | null, signal?: AbortSignal): AsyncGenerator<Numbered> {
    // Some proxies strip the header, so the address says it too.
    const after = lastEventId ? `?after=${encodeURIComponent(lastEventId)}` : "";
    const headers: Record<string, string> = lastEventId ? { "Last-Event-ID": lastEventId } : {};
    return this.#stream(`/api/chat/runs/${runId}/events${after}`, { headers, signal });
  }

  async stop(runId: string): Promise<void> {
    await this.#http.send(`/api/chat/runs/${runId}/stop`, { method: "POST" });
  }

  async rate(messageId: string, rating: Rating | null): Promise<void> {
    await this.#http.send(`/api/chat/messages/${messageId}/feedback`, { method: "PUT", body: { rating } });
  }

  async *#stream(path: string, call: Parameters<Http["send"]>[1]): AsyncGenerator<Numbered> {
    const response = await this.#http.send(path, { ...call, accept: EVENTS });
    if (!response.body) throw new ConnectionLost("an answer without a body");
    yield* readRun(response.body);
  }
}
