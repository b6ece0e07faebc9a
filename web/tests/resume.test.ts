/** Following a run over broken lines: nothing missing, nothing twice, wherever the line breaks (C-4). */
import { Api } from "@client/api";
import { ApiError } from "@client/problem";
import { readRun, runEvent } from "@client/sse";
import { safeStorage } from "@client/storage";
import type { Numbered, RunEvent } from "@client/types";
import { advance, emptyAnswer, firstCharacters } from "@core/chat/answer";
import { EndedEarly, type FollowOptions, follow } from "@core/chat/follow";
import { backoff } from "@core/network";
import { describe, expect, test } from "vitest";
import { done, FakeServer, frame } from "./support/fake-server";

const citation = {
  number: 1,
  passageId: "p1",
  documentId: "d1",
  title: "Title",
  documentTitle: "Document",
  quote: "Words.",
  url: null,
  page: 3,
};
const said: RunEvent[] = [
  { type: "status", stage: "searching", documents: 3 },
  { type: "text", content: "Hällo " },
  { type: "text", content: "wörld 😀😀, this is lost" },
  { type: "rewind", length: 14 },
  { type: "text", content: ", this is kept. [1]" },
  { type: "citation", citation },
  { type: "text", content: "\n\nThe end." },
  done(),
];
const whole = said.reduce(advance, emptyAnswer);

function setting(server: FakeServer) {
  const api = new Api(
    safeStorage(() => window.sessionStorage),
    server.fetch,
  );
  let answer = emptyAnswer;
  const lines: boolean[] = [];
  const options: FollowOptions = {
    first: () => api.send({ message: "Hello", clientMessageId: "c-1" }),
    runId: null,
    resume: (runId, last) => api.events(runId, last),
    onEvent: (event) => {
      answer = advance(answer, event);
    },
    onLine: (open) => lines.push(open),
    pause: async () => undefined,
    signal: new AbortController().signal,
  };
  return { options, lines, answer: () => answer };
}

function serverSaying(events: RunEvent[]): FakeServer {
  const server = new FakeServer();
  server.answer = () => events;
  return server;
}

describe("a reader whose line is cut", () => {
  const startLength = frame({
    id: "1.1",
    event: {
      type: "start",
      runId: "run-2",
      sessionId: "session-1",
      userMessageId: "user-2",
      messageId: "reply-2",
    },
  }).length;

  test.each(["closed", "broken"])(
    "gets exactly the whole answer, for every byte at which it is %s",
    async (how) => {
      const length =
        [{ id: "", event: said[0] }, ...said.map((event) => ({ id: "1.10", event }))].length * 120;
      for (let at = startLength; at < length; at += 1) {
        const server = serverSaying(said);
        let cut = true;
        server.cuts.push((_run, frames) => {
          const body = frames.join("");
          cut = at < body.length;
          return { body: body.slice(0, at), error: how === "broken" && cut };
        });
        const reader = setting(server);
        await follow(reader.options);
        expect(reader.answer(), `cut at ${at}`).toEqual(whole);
        expect(server.sends).toHaveLength(1);
        if (!cut) return;
      }
    },
  );

  test("gets the whole answer through a line that breaks after every event", async () => {
    const server = serverSaying(said);
    for (let count = 0; count < 20; count += 1) {
      server.cuts.push((_run, frames) => ({ body: frames[0] ?? "", error: count % 2 === 0 }));
    }
    const reader = setting(server);
    await follow(reader.options);
    expect(reader.answer()).toEqual(whole);
    expect(server.resumes.slice(0, 3)).toEqual(["1.1", "1.2", "1.3"]);
    expect(reader.lines).toContain(false);
  });

  test("is told when there is no run to go on with", async () => {
    const server = serverSaying(said);
    server.cuts.push(() => ({ body: "" }));
    await expect(follow(setting(server).options)).rejects.toBeInstanceOf(EndedEarly);
  });

  test("is told when the server no longer knows the run", async () => {
    const { options } = setting(new FakeServer());
    await expect(follow({ ...options, first: null, runId: "run-99" })).rejects.toBeInstanceOf(ApiError);
  });

  test("leaves a draining server and goes on elsewhere", async () => {
    const server = serverSaying(said);
    server.cuts.push((_run, frames) => ({
      body: `${frames.slice(0, 3).join("")}event: draining\ndata: {}\n\n${frames.slice(3).join("")}`,
    }));
    const reader = setting(server);
    await follow(reader.options);
    expect(reader.answer()).toEqual(whole);
    expect(server.resumes).toEqual(["1.3"]);
  });
});

test("a rewind counts characters as the server does, by code point", () => {
  expect(firstCharacters("a😀b", 2)).toBe("a😀");
  expect(firstCharacters("abc", 9)).toBe("abc");
  expect(firstCharacters("abc", 0)).toBe("");
});

test("events that are not known are left out, whatever they carry", () => {
  expect(runEvent("party", '{"a":1}')).toBeNull();
  expect(runEvent("message", "not json")).toBeNull();
  expect(runEvent("message", "null")).toBeNull();
  expect(runEvent("constructor", "{}")).toBeNull();
});

test("a stream that falls silent is given up, so that it can be resumed", async () => {
  const silent = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(": ping\n\n")),
  });
  const read = async () => {
    const events: Numbered[] = [];
    for await (const event of readRun(silent, 10)) events.push(event);
  };
  await expect(read()).rejects.toMatchObject({ name: "ConnectionLost" });
});

test("waiting grows, is spread, and has an end", () => {
  expect(backoff(0, () => 1)).toBe(250);
  expect(backoff(3, () => 0)).toBe(1_000);
  expect(backoff(30, () => 1)).toBe(8_000);
});
