/** Choosing a model, and what is known of who answered (M-3, M-7). */
import { Api } from "@client/api";
import { runEvent } from "@client/sse";
import type { KeyValue } from "@client/storage";
import type { Model, RunEvent } from "@client/types";
import { advance, emptyAnswer } from "@core/chat/answer";
import { entryOf } from "@core/chat/conversation";
import { languageFor } from "@core/i18n/translate";
import { choiceIn, Models } from "@core/models/models";
import { modelName, readable } from "@core/models/names";
import { dollars, span, when } from "@core/when";
import { beforeEach, describe, expect, test } from "vitest";
import { done, FakeServer, stored } from "./support/fake-server";
import { memory } from "./support/fakes";

function model(id: string, change: Partial<Model> = {}): Model {
  const provider = id.split("/")[0] ?? "";
  return { id, name: id, provider, default: false, available: true, note: null, ...change };
}

const AUTO = model("auto", { name: "Automatic" });
const OFFERED = [AUTO, model("openai/one"), model("anthropic/two", { available: false, note: "Busy." })];

describe("a choice", () => {
  let server: FakeServer;
  let storage: KeyValue;
  const models = () => new Models(new Api(storage, server.fetch), storage);
  const choice = (of: Models, sessionId: string | null, made: string | null = null) =>
    choiceIn(of.store.get(), sessionId, made);

  beforeEach(() => {
    server = new FakeServer();
    server.models = OFFERED;
    storage = memory();
  });

  test("is automatic until somebody chooses, and then nothing is sent", async () => {
    const page = models();
    await page.refresh();
    expect(choice(page, null)).toEqual({ model: AUTO, gone: null, wish: null });
  });

  test.each([[[]], [[AUTO]], [[AUTO, model("builtin")]], [[AUTO, model("openai/one"), model("builtin")]]])(
    "of %j is none",
    async (offered) => {
      server.models = offered;
      const page = models();
      await page.refresh();
      page.choose(null, "builtin");
      expect(choice(page, null)).toBeNull();
    },
  );

  test("is a session's own, begins on the empty page, and outlives the page", async () => {
    const page = models();
    await page.refresh();
    page.choose(null, "openai/one");
    page.settle("s-1", "openai/one");
    page.choose("s-2", "auto");
    const later = models();
    await later.refresh();
    expect(choice(later, "s-1")?.wish).toBe("openai/one");
    expect(choice(later, "s-2")?.wish).toBe("auto");
    expect(choice(later, null)?.wish).toBeNull();
    later.forget("s-1");
    expect(choice(models(), "s-1")).toBeNull();
    expect(storage.keys("parlour.model.")).toEqual(["parlour.model.s-2"]);
  });

  test("made elsewhere is shown, and not insisted on", async () => {
    const page = models();
    await page.refresh();
    expect(choice(page, "s-1", "openai/one")).toMatchObject({ model: { id: "openai/one" }, wish: null });
  });

  test("that is no longer offered falls back to automatic and says so", async () => {
    const page = models();
    await page.refresh();
    page.choose("s-1", "gemini/gone");
    expect(choice(page, "s-1")).toEqual({ model: AUTO, gone: "gemini/gone", wish: "auto" });
  });

  test("outlives a server that can't tell what it has", async () => {
    const page = models();
    await page.refresh();
    server.online = false;
    await page.refresh();
    expect(page.store.get().items).toEqual(OFFERED);
  });
});

describe("who answered", () => {
  const meta = (provider: string): RunEvent => ({
    type: "meta",
    provider,
    model: "m",
    why: `${provider} is best`,
  });
  const text = (content: string): RunEvent => ({ type: "text", content });
  const heard = (...events: RunEvent[]) => events.reduce(advance, emptyAnswer);

  test("is the last one named; before the first word nobody hears of another", () => {
    const answer = heard(meta("openai"), meta("anthropic"), text("Hello"));
    expect(answer.by).toEqual({ provider: "anthropic", model: "m", why: "anthropic is best" });
    expect(answer.handover).toBeNull();
  });

  test("changed in mid-answer, and the text stays", () => {
    const answer = heard(meta("openai"), text("Hello"), meta("anthropic"), text(" there"), done());
    expect(answer).toMatchObject({
      content: "Hello there",
      handover: { at: 5, from: { provider: "openai" } },
    });
  });

  test("did not change when the same is named again, or when what the first said is gone", () => {
    expect(heard(meta("openai"), text("Hello"), meta("openai")).handover).toBeNull();
    const replay = [meta("openai"), text("Hello"), meta("anthropic"), { type: "rewind", length: 0 } as const];
    expect(heard(...replay).handover).toBeNull();
  });

  test("and what it took are read from the events and from the stored message alike", () => {
    const usage = { inputTokens: 12, outputTokens: 5, cachedTokens: 0, estimated: true };
    const spent = { usage, costUsd: 0, latencyMs: 900, ttftMs: 300 };
    const event = runEvent("done", JSON.stringify({ finishReason: "filtered", ...spent }));
    const live = heard(meta("openai"), text("Hi"), event ?? done());
    const read = entryOf(
      stored({
        role: "assistant",
        content: "Hi",
        provider: "openai",
        model: "m",
        why: "openai is best",
        finishReason: "filtered",
        ...spent,
      }),
    );
    for (const answer of [live, read]) {
      expect(answer).toMatchObject({
        filtered: true,
        spent,
        by: { provider: "openai", why: "openai is best" },
      });
    }
  });

  test("took something unknown when nobody says what", () => {
    const event = runEvent("done", JSON.stringify({ finishReason: "stop", usage: null, costUsd: "1" }));
    expect(event).toEqual(done());
  });
});

test("what was taken back is gone, and stays known as taken back", () => {
  const answer = [
    { type: "text", content: "😀 Good. Bad." } as const,
    runEvent("retract", '{"length": 7, "reason": "rule"}') ?? done(),
    done("filtered"),
  ].reduce(advance, emptyAnswer);
  expect(answer).toMatchObject({ content: "😀 Good.", retracted: true, filtered: true });
});

test("a model is called by its listed name, else by its own without the provider's", () => {
  const items = [model("openai/gpt", { name: "GPT" })];
  expect(modelName(items, "gpt", "openai")).toBe("GPT");
  expect(modelName([], "anthropic/claude", "anthropic")).toBe("claude");
  expect(modelName([], "meta-llama/llama", "ollama")).toBe("meta-llama/llama");
});

test.each([
  ["claude-sonnet-5-5", "Claude Sonnet 5.5"],
  ["claude-3-5-haiku", "Claude 3.5 Haiku"],
  ["gemini-3.8-flash", "Gemini 3.8 Flash"],
  ["gpt-6.1-terra", "GPT-6.1 Terra"],
  ["gpt-4o-mini", "GPT-4o Mini"],
  ["llama4:latest", "llama4"],
  // What is not understood keeps its name: two models never look like one.
  ["claude-3-5-sonnet-20241022", "claude-3-5-sonnet-20241022"],
  ["gpt-4.1-2025-04-14", "gpt-4.1-2025-04-14"],
  ["my-own-model", "my-own-model"],
  ["qwen3:8b", "qwen3:8b"],
])("the id %s is read as %s", (id, name) => {
  expect(readable(id)).toBe(name);
});

describe("words for", () => {
  const language = languageFor(["en-US"]);
  const now = new Date(2026, 10, 21, 12, 0).getTime();

  test.each([
    [22_400, "in 23 s"],
    [20 * 60_000, "in 20 min"],
    // A line never ends between a time and its half of the day.
    [3 * 3_600_000, "at 3:00\u00a0PM"],
    [12 * 3_600_000, "on November\u00a022, 12:00\u00a0AM"],
    [-5, "in 0 s"],
  ])("a moment %i ms ahead", (ahead, words) => {
    expect(when(language, now + ahead, now).replace(/\u202f/g, " ")).toBe(words);
  });

  test("a span and a price", () => {
    expect([640, 12_400, 180_000].map((each) => span(language, each))).toEqual(["0.6 s", "12 s", "3 min"]);
    expect([0.00001234, 0.0021, 1.5].map((each) => dollars(language, each))).toEqual([
      "$0.000012",
      "$0.0021",
      "$1.50",
    ]);
  });
});
