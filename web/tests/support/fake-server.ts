/** A server of one file for tests: keeps sessions and runs, streams events, and breaks lines where it is told to. */
import type { Attempt, Message, Model, Numbered, RunEvent, Spent } from "@client/types";

interface Run {
  id: string;
  sessionId: string;
  userMessageId: string;
  messageId: string;
  events: Numbered[];
}

type Cut = (run: Run, frames: string[]) => { body: string; error?: boolean };
const whole: Cut = (_run, frames) => ({ body: frames.join("") });

export class FakeServer {
  readonly sends: string[] = [];
  /** What each send and each wish for another answer said, beside its id. */
  readonly wishes: (string | undefined)[] = [];
  models: Model[] = [];
  attempts: Attempt[] = [];
  role = "visitor";
  /** What the operators' side answers, by path below `/api/admin/`. */
  readonly admin: Record<string, unknown[]> = { models: [], usage: [] };
  /** Every path that was asked for. */
  readonly asked: string[] = [];
  readonly resumes: (string | null)[] = [];
  readonly messages: Message[] = [];
  readonly stopped: string[] = [];
  readonly tokens: string[] = [];
  /** Taken one by one by each answer that streams; when none is left, streams are whole. */
  readonly cuts: Cut[] = [];
  /** Taken one by one by each send before anything else happens. */
  readonly refusals: (() => Response)[] = [];
  answer: (question: string) => RunEvent[] = (question) => [
    { type: "text", content: `You said: ${question}` },
    done(),
  ];
  online = true;
  readonly #runs = new Map<string, Run>();
  readonly #byClientId = new Map<string, Run>();
  #next = 0;

  readonly fetch: typeof fetch = async (input, init) => {
    if (!this.online) throw new TypeError("Failed to fetch");
    const url = new URL(String(input), "http://parlour.test");
    const body = init?.body ? (JSON.parse(String(init.body)) as Record<string, string>) : {};
    const headers = new Headers(init?.headers);
    return this.#route(init?.method ?? "GET", url, body, headers);
  };

  #route(method: string, url: URL, body: Record<string, string>, headers: Headers): Response {
    const parts = url.pathname.split("/").slice(2);
    const call = `${method} ${parts.map((part) => (/\d/.test(part) ? "*" : part)).join("/")}`;
    const id = parts.find((part) => /\d/.test(part)) ?? "";
    this.asked.push(`${url.pathname}${url.search}`);
    switch (call) {
      case "GET me":
        return json(200, { personId: "p-1", role: this.role, displayName: null });
      case "GET assistants":
        return json(200, { items: [], nextCursor: null });
      case "GET admin/models":
      case "GET admin/usage":
        return json(200, { items: this.admin[parts[1] ?? ""], nextCursor: null });
      case "POST visitors":
        this.tokens.push(`token-${this.tokens.length + 1}`);
        return json(201, { token: this.tokens.at(-1) });
      case "POST chat":
        return this.#send(body);
      case "GET chat/runs/*/events":
        return this.#resume(id, headers.get("Last-Event-ID"));
      case "POST chat/runs/*/stop":
        this.stopped.push(id);
        return json(200, {});
      case "POST chat/messages/*/regenerate":
        return this.#refused() ?? this.#again(id, body.model);
      case "GET models":
        return json(200, { items: this.models, nextCursor: null });
      case "GET chat/messages/*/attempts":
        return json(200, { items: this.attempts, nextCursor: null });
      case "GET chat/sessions/*/messages":
        return json(200, {
          items: this.messages.filter(({ sessionId }) => sessionId === id),
          nextCursor: null,
        });
      case "GET chat/sessions":
        return json(200, { items: [], nextCursor: null });
      default:
        return json(404, { code: "not_found", detail: "There is nothing here." });
    }
  }

  #send(body: Record<string, string>): Response {
    const refused = this.#refused();
    if (refused) return refused;
    this.wishes.push(body.model);
    const clientId = body.clientMessageId ?? "";
    this.sends.push(clientId);
    const known = this.#byClientId.get(clientId);
    const run =
      known ?? this.#begin(body.message ?? "", body.sessionId ?? `session-${this.#number()}`, clientId);
    return this.#stream(run, 0);
  }

  #refused(): Response | null {
    return this.refusals.shift()?.() ?? null;
  }

  #again(messageId: string, wish: string | undefined): Response {
    this.wishes.push(wish);
    return this.#stream(this.#begin("again", "session-1", `${messageId}-again`), 0);
  }

  #number(): number {
    this.#next += 1;
    return this.#next;
  }

  #begin(question: string, sessionId: string, clientId: string): Run {
    const number = this.#number();
    const run: Run = {
      id: `run-${number}`,
      sessionId,
      userMessageId: `user-${number}`,
      messageId: `reply-${number}`,
      events: [],
    };
    const start: RunEvent = {
      type: "start",
      runId: run.id,
      sessionId,
      userMessageId: run.userMessageId,
      messageId: run.messageId,
    };
    run.events = [start, ...this.answer(question)].map((event, index) => ({ id: `1.${index + 1}`, event }));
    this.#runs.set(run.id, run);
    this.#byClientId.set(clientId, run);
    this.messages.push(
      stored({ id: run.userMessageId, sessionId, role: "user", content: question }),
      stored({ id: run.messageId, sessionId, role: "assistant", status: "pending", runId: run.id }),
    );
    return run;
  }

  #resume(runId: string, lastEventId: string | null): Response {
    this.resumes.push(lastEventId);
    const run = this.#runs.get(runId);
    if (!run) return json(404, { code: "not_found", detail: "There is nothing here." });
    return this.#stream(run, run.events.findIndex(({ id }) => id === lastEventId) + 1);
  }

  #stream(run: Run, from: number): Response {
    const frames = run.events.slice(from).map(frame);
    const ended = run.events.at(-1)?.event.type === "done" || run.events.at(-1)?.event.type === "error";
    if (ended) frames.push("data: [DONE]\n\n");
    const { body, error } = (this.cuts.shift() ?? whole)(run, frames);
    const bytes = new TextEncoder().encode(body);
    let at = 0;
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        // Five bytes at a time, so that frames and characters are torn apart on the way.
        if (at < bytes.length) controller.enqueue(bytes.slice(at, at + 5));
        else if (error) controller.error(new TypeError("network error"));
        else controller.close();
        at += 5;
      },
    });
    return new Response(stream, { headers: { "Content-Type": "text/event-stream" } });
  }
}

export function frame({ id, event }: Numbered): string {
  const { type, ...rest } = event as RunEvent & Record<string, unknown>;
  const data = wire(event) ?? rest;
  return `id: ${id}\n${type === "text" ? "" : `event: ${type}\n`}data: ${JSON.stringify(data)}\n\n`;
}

/** What some events look like on the wire, where their parts stand side by side. */
function wire(event: RunEvent): object | null {
  if (event.type === "citation") return event.citation;
  if (event.type === "error") return event.failure;
  return event.type === "done" ? { finishReason: event.finishReason, ...event.spent } : null;
}

/** The end of an answer of which nothing was counted. */
export function done(finishReason = "stop", spent: Partial<Spent> = {}): RunEvent {
  const nothing = { usage: null, costUsd: null, latencyMs: null, ttftMs: null };
  return { type: "done", finishReason, spent: { ...nothing, ...spent } };
}

/** A refusal that names its end. */
export function limit(code: "too_many" | "over_budget", seconds: number): Response {
  return json(429, { code, retryable: true, detail: "That is too much." }, { "Retry-After": `${seconds}` });
}

export function json(status: number, body: object, headers: Record<string, string> = {}): Response {
  const type = { "Content-Type": "application/json" };
  return new Response(JSON.stringify(body), { status, headers: { ...type, ...headers } });
}

export function stored(message: Partial<Message>): Message {
  return {
    id: "message",
    sessionId: "session-1",
    parentId: null,
    role: "user",
    content: "",
    status: "completed",
    model: null,
    provider: null,
    citations: [],
    feedback: null,
    createdAt: "2026-11-21T12:00:00Z",
    ...message,
  };
}
