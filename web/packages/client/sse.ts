/** From the bytes of a response to run events. Reads frames, drops what it does not know, notices silence. */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { ConnectionLost, record, text } from "./problem";
import type { Citation, Numbered, RunEvent, Spent, Usage } from "./types";

/** The server writes at least a comment every 15 s; twice that in silence means the line is dead. */
const SILENCE_MS = 35_000;

/**
 * Yield the events of a stream until `[DONE]` or the end of the body, whichever is first. An end without
 * `done` or `error` is not an error here: the reader above knows what it has seen, and resumes.
 */
export async function* readRun(
  body: ReadableStream<Uint8Array>,
  silence: number = SILENCE_MS,
): AsyncGenerator<Numbered, void, void> {
  const frames: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (frame) => frames.push(frame) });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await soon(reader.read(), silence);
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      for (const frame of frames.splice(0)) {
        if (frame.data === "[DONE]") return;
        const event = runEvent(frame.event ?? "message", frame.data);
        if (event) yield { id: frame.id ?? null, event };
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

async function soon<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new ConnectionLost("silence")), milliseconds);
  });
  try {
    return await Promise.race([work, silence]);
  } catch (error) {
    throw error instanceof ConnectionLost ? error : new ConnectionLost(String(error));
  } finally {
    clearTimeout(timer);
  }
}

/** Turn one frame into an event, or null when its name is unknown or its data is no JSON object. */
export function runEvent(name: string, data: string): RunEvent | null {
  let body: Record<string, unknown>;
  try {
    body = record(JSON.parse(data));
  } catch {
    return null;
  }
  return Object.hasOwn(readers, name) ? (readers[name]?.(body) ?? null) : null;
}

const readers: Record<string, (body: Record<string, unknown>) => RunEvent | null> = {
  start: (body) => ({
    type: "start",
    runId: text(body.runId),
    sessionId: text(body.sessionId),
    userMessageId: text(body.userMessageId),
    messageId: text(body.messageId),
  }),
  status: (body) => ({ type: "status", stage: text(body.stage), documents: count(body.documents) }),
  meta: (body) => ({
    type: "meta",
    model: text(body.model) || null,
    provider: text(body.provider) || null,
    why: text(body.why) || null,
  }),
  citation: (body) => (count(body.number) === null ? null : { type: "citation", citation: citation(body) }),
  message: (body) => (typeof body.content === "string" ? { type: "text", content: body.content } : null),
  rewind: (body) => ({ type: "rewind", length: count(body.length) ?? 0 }),
  retract: (body) => ({ type: "retract", length: count(body.length) ?? 0 }),
  done: (body) => ({ type: "done", finishReason: text(body.finishReason) || "stop", spent: spent(body) }),
  draining: () => ({ type: "draining" }),
  error: (body) => ({
    type: "error",
    failure: {
      code: text(body.code),
      message: text(body.message),
      retryable: body.retryable !== false,
      retryAfter: count(body.retryAfter),
    },
  }),
};

function citation(body: Record<string, unknown>): Citation {
  return {
    number: count(body.number) ?? 0,
    passageId: text(body.passageId),
    documentId: text(body.documentId),
    title: text(body.title),
    documentTitle: text(body.documentTitle),
    quote: text(body.quote),
    url: text(body.url) || null,
    page: count(body.page),
  };
}

function spent(body: Record<string, unknown>): Spent {
  return {
    usage: usage(body.usage),
    costUsd: count(body.costUsd),
    latencyMs: count(body.latencyMs),
    ttftMs: count(body.ttftMs),
  };
}

function usage(value: unknown): Usage | null {
  if (typeof value !== "object" || value === null) return null;
  const body = record(value);
  return {
    inputTokens: count(body.inputTokens) ?? 0,
    outputTokens: count(body.outputTokens) ?? 0,
    cachedTokens: count(body.cachedTokens) ?? 0,
    estimated: body.estimated === true,
  };
}

function count(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
