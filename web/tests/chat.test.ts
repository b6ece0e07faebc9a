/** Sending: once, in order, and never lost (W-3, C-7). */
import { Api } from "@client/api";
import type { KeyValue } from "@client/storage";
import { Chat } from "@core/chat/chat";
import { liveAnswer } from "@core/chat/conversation";
import type { Network } from "@core/network";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { done, FakeServer, json, stored } from "./support/fake-server";
import { fakeNetwork, memory } from "./support/fakes";

let server: FakeServer;
let storage: KeyValue;
let network: Network;

function go(on: boolean): void {
  server.online = on;
  network.online.set(() => on);
}

/** A page that has just been opened over what the last one left in storage. */
function page(): Chat {
  const nothing = { onSession: () => undefined, onAnswer: () => undefined };
  return new Chat(new Api(storage, server.fetch), storage, network, (work) => work(), nothing);
}

const entries = (chat: Chat) => chat.conversations.current.entries;
const outline = (chat: Chat) =>
  entries(chat).map(({ role, content, status }) => `${role} ${status}: ${content}`);
const outbox = () => storage.keys("parlour.outbox.");
const idle = (chat: Chat, count: number) =>
  vi.waitFor(() => {
    expect(
      entries(chat).filter(({ status, role }) => role === "assistant" && status === "completed"),
    ).toHaveLength(count);
  });

beforeEach(() => {
  server = new FakeServer();
  storage = memory();
  network = fakeNetwork();
});

test("a message is shown at once and answered", async () => {
  const chat = page();
  chat.boot(null);
  const { uid } = chat.conversations.current;
  chat.send(uid, "Hello", null);
  expect(outline(chat)[0]).toBe("user completed: Hello");
  await idle(chat, 1);
  expect(outline(chat)).toEqual(["user completed: Hello", "assistant completed: You said: Hello"]);
  expect(chat.conversations.current).toMatchObject({ uid, sessionId: "session-1" });
  expect(outbox()).toEqual([]);
});

describe("offline", () => {
  test("messages wait, and go out once and in order on return", async () => {
    const chat = page();
    chat.boot(null);
    const { uid } = chat.conversations.current;
    go(false);
    for (const text of ["one", "two", "three"]) chat.send(uid, text, null);
    await vi.waitFor(() =>
      expect(entries(chat).map(({ delivery }) => delivery)).toEqual(Array(3).fill("waiting")),
    );
    expect(server.sends).toEqual([]);
    go(true);
    await idle(chat, 3);
    expect(server.sends).toHaveLength(3);
    expect(server.messages.filter(({ role }) => role === "user").map(({ content }) => content)).toEqual([
      "one",
      "two",
      "three",
    ]);
    expect(new Set(server.messages.map(({ sessionId }) => sessionId)).size).toBe(1);
    expect(outline(chat).map((line) => line.split(": ").at(-1))).toEqual([
      "one",
      "one",
      "two",
      "two",
      "three",
      "three",
    ]);
  });

  test("a waiting message can be taken back", async () => {
    const chat = page();
    chat.boot(null);
    const { uid } = chat.conversations.current;
    go(false);
    chat.send(uid, "never mind", null);
    chat.removeUnsent(uid, entries(chat)[0]?.key ?? "");
    go(true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(server.sends).toEqual([]);
    expect(entries(chat)).toEqual([]);
  });

  test("what waits outlives the page", async () => {
    const before = page();
    before.boot(null);
    go(false);
    before.send(before.conversations.current.uid, "later", null);
    const after = page();
    after.boot(null);
    expect(outline(after)).toEqual(["user completed: later"]);
    go(true);
    await idle(after, 1);
    expect(server.messages.filter(({ role }) => role === "user")).toHaveLength(1);
  });
});

describe("a send that fails", () => {
  test("whose answer is lost goes out again under the same id, and is one message", async () => {
    server.cuts.push(
      () => ({ body: "", error: true }),
      () => ({ body: "" }),
    );
    const chat = page();
    chat.boot(null);
    chat.send(chat.conversations.current.uid, "Hello", null);
    await idle(chat, 1);
    expect(server.sends).toHaveLength(3);
    expect(new Set(server.sends).size).toBe(1);
    expect(server.messages.filter(({ role }) => role === "user")).toHaveLength(1);
  });

  test("says so after three attempts, keeps the text, and can be tried again", async () => {
    const busy = () => json(503, { code: "unavailable", retryable: true, detail: "Try again in a moment." });
    server.refusals.push(busy, busy, busy);
    const chat = page();
    chat.boot(null);
    const { uid } = chat.conversations.current;
    chat.send(uid, "Hello", null);
    await vi.waitFor(() => expect(entries(chat)[0]?.delivery).toBe("refused"));
    expect(entries(chat)).toHaveLength(1);
    expect(entries(chat)[0]).toMatchObject({
      content: "Hello",
      hindrance: { reason: "Try again in a moment." },
    });
    expect(outbox()).toHaveLength(1);
    chat.retrySend(uid, entries(chat)[0]?.key ?? "");
    await idle(chat, 1);
    expect(server.sends).toHaveLength(1);
  });

  test("is not repeated when the server refuses it for good, and holds nothing else back", async () => {
    server.refusals.push(() =>
      json(422, { code: "invalid_input", errors: [{ field: "message", message: "Too long.", code: "x" }] }),
    );
    const chat = page();
    chat.boot(null);
    const { uid } = chat.conversations.current;
    chat.send(uid, "bad", null);
    chat.send(uid, "good", null);
    await idle(chat, 1);
    expect(entries(chat)[0]).toMatchObject({
      content: "bad",
      delivery: "refused",
      hindrance: { reason: "Too long." },
    });
    expect(server.sends).toHaveLength(1);
  });
});

test("a page opened in mid-answer takes the run up from its start", async () => {
  const first = page();
  first.boot(null);
  first.send(first.conversations.current.uid, "Hello", null);
  await idle(first, 1);
  const second = page();
  second.boot("session-1");
  await idle(second, 1);
  expect(server.resumes).toEqual([null]);
  expect(outline(second)).toEqual(outline(first));
});

test("an answer stopped before it has a name is stopped when it gets one", async () => {
  const chat = page();
  chat.boot(null);
  const { uid } = chat.conversations.current;
  const unsubscribe = chat.conversations.store.subscribe(() => {
    if (liveAnswer(chat.conversations.current)?.id !== null) return;
    unsubscribe();
    chat.stop(uid);
  });
  chat.send(uid, "Hello", null);
  await vi.waitFor(() => expect(server.stopped).toEqual(["run-2"]));
});

test("a failed answer keeps what was said and can be asked for again", async () => {
  server.answer = () => [
    { type: "text", content: "Half of" },
    { type: "error", failure: { code: "provider_timeout", message: "It broke off.", retryable: true } },
  ];
  const chat = page();
  chat.boot(null);
  const { uid } = chat.conversations.current;
  chat.send(uid, "Hello", null);
  await vi.waitFor(() => expect(entries(chat).at(-1)?.status).toBe("failed"));
  expect(entries(chat).at(-1)).toMatchObject({ content: "Half of", failure: { message: "It broke off." } });
  server.answer = () => [{ type: "text", content: "All of it." }, done()];
  await chat.regenerate(uid, entries(chat).at(-1)?.key ?? "");
  expect(entries(chat).at(-1)).toMatchObject({ content: "All of it.", status: "completed", failure: null });
});

test("an answer that could not be asked for again comes back", async () => {
  const chat = page();
  chat.boot(null);
  const { uid } = chat.conversations.current;
  chat.send(uid, "Hello", null);
  await idle(chat, 1);
  server.online = false;
  await chat.regenerate(uid, entries(chat).at(-1)?.key ?? "");
  expect(entries(chat).at(-1)).toMatchObject({ content: "You said: Hello", status: "completed" });
  expect(entries(chat).at(-1)?.failure).not.toBeNull();
});

test("reading a conversation again loses neither its answer on the way nor what waits", async () => {
  server.messages.push(stored({ id: "user-0", sessionId: "session-1", content: "Old" }));
  const chat = page();
  chat.boot("session-1");
  await vi.waitFor(() => expect(entries(chat)).toHaveLength(1));
  go(false);
  chat.send("session-1", "New", null);
  server.online = true;
  await chat.load("session-1");
  expect(outline(chat)).toEqual(["user completed: Old", "user completed: New"]);
});

test("a token that no longer holds is replaced once, and the call goes through", async () => {
  storage.set("parlour.token", "stale");
  const asked: string[] = [];
  const guarded: typeof fetch = async (input, init) => {
    const bearer = new Headers(init?.headers).get("Authorization");
    if (bearer) asked.push(bearer);
    return bearer === "Bearer stale" ? json(401, { code: "unauthenticated" }) : server.fetch(input, init);
  };
  const api = new Api(storage, guarded);
  await Promise.all([api.sessions({}), api.sessions({})]);
  expect(asked.filter((bearer) => bearer === "Bearer token-1")).toHaveLength(2);
  expect(server.tokens).toEqual(["token-1"]);
});
