/** Limits: what is too much for now waits, goes out once and in order, and is never lost (M-8, W-3). */
import { Api } from "@client/api";
import type { KeyValue } from "@client/storage";
import { Chat } from "@core/chat/chat";
import { isLeftOver } from "@core/chat/conversation";
import { browserNetwork } from "@core/network";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { FakeServer, json, limit } from "./support/fake-server";
import { type FakeNetwork, fakeNetwork, memory } from "./support/fakes";

let server: FakeServer;
let storage: KeyValue;
let network: FakeNetwork;
let chat: Chat;
let uid: string;

beforeEach(() => {
  server = new FakeServer();
  storage = memory();
  network = fakeNetwork();
  const nothing = { onSession: () => undefined, onAnswer: () => undefined };
  chat = new Chat(new Api(storage, server.fetch), storage, network, (work) => work(), nothing);
  chat.boot(null);
  uid = chat.conversations.current.uid;
});

const entries = () => chat.conversations.current.entries;
const said = () => server.messages.filter(({ role }) => role === "user").map(({ content }) => content);
const answered = (count: number) =>
  vi.waitFor(() =>
    expect(
      entries().filter(({ role, status }) => role === "assistant" && status === "completed"),
    ).toHaveLength(count),
  );
/** Holds every pause until it is let go. */
function heldPauses(): () => void {
  let release: () => void = () => undefined;
  network.pause = (_attempt, _signal, atLeast = 0) => {
    network.pauses.push(atLeast);
    return new Promise((resolve) => {
      release = resolve;
    });
  };
  return () => release();
}

test("a message over the limit waits as long as the server says, and goes out once", async () => {
  server.refusals.push(() => limit("too_many", 23));
  const release = heldPauses();
  chat.send(uid, "Hello", null);
  await vi.waitFor(() => expect(entries()[0]?.delivery).toBe("limited"));
  expect(entries()[0]?.hindrance?.until).toBeGreaterThan(Date.now() + 20_000);
  expect(entries()).toHaveLength(1);
  expect(storage.keys("parlour.outbox.")).toHaveLength(1);
  expect(network.pauses).toEqual([23_000]);
  release();
  await answered(1);
  expect(server.sends).toHaveLength(1);
  expect(entries()[0]).toMatchObject({ delivery: "sent", hindrance: null });
});

test("what is written meanwhile waits visibly behind it, and the order stands", async () => {
  server.refusals.push(() => limit("too_many", 5));
  const release = heldPauses();
  for (const text of ["one", "two"]) chat.send(uid, text, null);
  await vi.waitFor(() => expect(entries().map(({ delivery }) => delivery)).toEqual(["limited", "limited"]));
  chat.send(uid, "three", null);
  expect(entries().at(-1)?.delivery).toBe("limited");
  release();
  await answered(3);
  expect(said()).toEqual(["one", "two", "three"]);
});

test("a second refusal is told, and the message goes out when the person asks", async () => {
  server.refusals.push(
    () => limit("too_many", 1),
    () => limit("too_many", 40),
  );
  for (const text of ["one", "two"]) chat.send(uid, text, null);
  await vi.waitFor(() => expect(entries()[0]?.delivery).toBe("refused"));
  expect(entries()[0]?.hindrance).toMatchObject({ code: "too_many" });
  expect(entries()[1]?.delivery).toBe("waiting");
  expect(server.sends).toEqual([]);
  chat.retrySend(uid, entries()[0]?.key ?? "");
  await answered(2);
  expect(said()).toEqual(["one", "two"]);
});

test("a message that is taken back lets the ones behind it go", async () => {
  server.refusals.push(() => limit("over_budget", 40_000));
  for (const text of ["one", "two"]) chat.send(uid, text, null);
  await vi.waitFor(() => expect(entries()[0]?.delivery).toBe("refused"));
  chat.removeUnsent(uid, entries()[0]?.key ?? "");
  await answered(1);
  expect(said()).toEqual(["two"]);
});

test("a spent budget is not waited for", async () => {
  server.refusals.push(() => limit("over_budget", 40_000));
  chat.send(uid, "Hello", null);
  await vi.waitFor(() => expect(entries()[0]?.delivery).toBe("refused"));
  expect(network.pauses).toEqual([]);
  expect(entries()[0]?.hindrance?.until).toBeGreaterThan(Date.now() + 30_000_000);
  expect(storage.keys("parlour.outbox.")).toHaveLength(1);
});

test("a limit that names no end is told at once, not tried against", async () => {
  server.refusals.push(() => json(429, { code: "over_budget", retryable: true, detail: "It is too small." }));
  chat.send(uid, "Hello", null);
  await vi.waitFor(() => expect(entries()[0]?.delivery).toBe("refused"));
  expect(network.pauses).toEqual([]);
  expect(entries()[0]?.hindrance).toMatchObject({ reason: "It is too small.", until: null });
});

describe("a full conversation", () => {
  const full = () => json(429, { code: "session_full", retryable: false, detail: "It is full." });
  const begun = async () => {
    chat.send(uid, "Hello", null);
    await answered(1);
    server.refusals.push(full);
    for (const text of ["one", "two"]) chat.send(uid, text, null);
    await vi.waitFor(() => expect(leftOver()).toEqual(["one", "two"]));
  };
  const leftOver = () =>
    entries()
      .filter(isLeftOver)
      .map(({ content }) => content);
  const posts = () => server.asked.filter((path) => path === "/api/chat").length;

  test("refuses what is written behind the first refusal without asking again", async () => {
    await begun();
    expect(posts()).toBe(2);
    chat.send(uid, "three", null);
    expect(leftOver()).toEqual(["one", "two", "three"]);
    network.online.set(() => false);
    network.online.set(() => true);
    await Promise.resolve();
    expect(posts()).toBe(2);
  });

  test("is not asked again after a reload either, and keeps the text", async () => {
    await begun();
    const sessionId = chat.conversations.current.sessionId;
    const later = new Chat(new Api(storage, server.fetch), storage, network, (work) => work(), {
      onSession: () => undefined,
      onAnswer: () => undefined,
    });
    later.boot(sessionId);
    await vi.waitFor(() => expect(later.conversations.current.phase).toBe("ready"));
    const left = later.conversations.current.entries.filter(isLeftOver);
    expect(left.map(({ content }) => content)).toEqual(["one", "two"]);
    expect(posts()).toBe(2);
    later.removeUnsent(later.conversations.current.uid, ...left.map(({ key }) => key));
    expect(storage.keys("parlour.outbox.")).toEqual([]);
  });
});

test("an answer that may not be asked for again yet comes back at once, with the time", async () => {
  chat.send(uid, "Hello", null);
  await answered(1);
  server.refusals.push(() => limit("too_many", 30));
  await chat.regenerate(uid, entries().at(-1)?.key ?? "");
  expect(network.pauses).toEqual([]);
  expect(entries().at(-1)).toMatchObject({
    content: "You said: Hello",
    status: "completed",
    failure: { code: "too_many", retryAfter: 30 },
  });
});

test("a model that is gone can be replaced without writing the message again", async () => {
  server.refusals.push(() =>
    json(422, { code: "invalid_input", errors: [{ field: "model", message: "Unknown.", code: "unknown" }] }),
  );
  chat.send(uid, "Hello", null, "openai/old");
  await vi.waitFor(() => expect(entries()[0]?.delivery).toBe("refused"));
  expect(entries()[0]?.hindrance?.code).toBe("model_missing");
  chat.retrySend(uid, entries()[0]?.key ?? "", "auto");
  await answered(1);
  expect(server.wishes).toEqual(["auto"]);
});

describe("a pause that the server asked for", () => {
  test("is not cut short by a returning network, and a plain one is", async () => {
    vi.useFakeTimers();
    const real = browserNetwork(window);
    const done: string[] = [];
    void real.pause(3, undefined, 5_000).then(() => done.push("asked for"));
    void real.pause(3).then(() => done.push("plain"));
    window.dispatchEvent(new Event("offline"));
    window.dispatchEvent(new Event("online"));
    await vi.advanceTimersByTimeAsync(0);
    expect(done).toEqual(["plain"]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(done).toEqual(["plain", "asked for"]);
    vi.useRealTimers();
  });
});
