/** The model selector, the details of an answer, and the states that name a time, as they are drawn (W-1, W-6). */
import type { Attempt, Model } from "@client/types";
import { App } from "@core/app";
import { answerEntry, type Entry, newConversation } from "@core/chat/conversation";
import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { ModelSelect } from "@ui/composer/ModelSelect";
import { Welcome } from "@ui/composer/Welcome";
import { AppProvider } from "@ui/context";
import { Thread } from "@ui/thread/Thread";
import { Turn } from "@ui/thread/Turn";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeServer } from "./support/fake-server";

function model(id: string, name: string, change: Partial<Model> = {}): Model {
  const provider = id.split("/")[0] ?? "";
  return { id, name, provider, default: false, available: true, note: null, ...change };
}

const AUTOMATIC = "AutomaticChooses by the task of each message";

let server: FakeServer;
let app: App;

beforeEach(() => {
  window.localStorage.clear();
  server = new FakeServer();
  server.models = [
    model("auto", "Automatic", { provider: null }),
    model("openai/terra", "Terra"),
    model("anthropic/sonnet", "Sonnet", { available: false, note: "Not answering at the moment." }),
    model("gemini/pro", "Pro"),
  ];
  vi.stubGlobal("fetch", server.fetch);
  app = new App(window);
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

describe("the model selector", () => {
  const draw = async () => {
    await app.models.refresh();
    render(
      <AppProvider value={app}>
        <ModelSelect sessionId={null} />
      </AppProvider>,
    );
  };
  const open = async () => {
    await draw();
    fireEvent.click(screen.getByRole("button"));
    return screen.getByRole("listbox", { name: "Choose a model" });
  };
  const active = (list: HTMLElement) =>
    document.getElementById(list.getAttribute("aria-activedescendant") ?? "")?.textContent;

  test("is not there with one model", async () => {
    server.models = [
      model("auto", "Automatic"),
      model("openai/terra", "Terra"),
      model("builtin", "Documents"),
    ];
    await draw();
    expect(screen.queryByRole("button")).toBeNull();
  });

  test("names what is in force, and offers Automatic first", async () => {
    const list = await open();
    expect(screen.getByRole("button").getAttribute("aria-label")).toBe("Model: Automatic model");
    const options = within(list).getAllByRole("option");
    expect(options.map((option) => option.getAttribute("aria-selected"))).toEqual([
      "true",
      "false",
      "false",
      "false",
    ]);
    expect(options[0]?.textContent).toBe(AUTOMATIC);
  });

  test("stands under who offers it, each named once, whatever the order it was listed in", async () => {
    server.models.push(
      model("openai/gpt-6-luna", "gpt-6-luna"),
      model("compatible/mine", "mine"),
      model("builtin", "builtin"),
    );
    const list = await open();
    const groups = within(list).getAllByRole("group");
    const names = (group: HTMLElement) =>
      within(group)
        .getAllByRole("option")
        .map((each) => each.textContent);
    expect(
      groups.map((each) => document.getElementById(each.getAttribute("aria-labelledby") ?? "")?.textContent),
    ).toEqual(["OpenAI", "Anthropic", "Gemini", "Own server", "Documents"]);
    expect(names(groups[0] as HTMLElement)).toEqual(["Terra", "GPT-6 Luna"]);
    expect(names(groups[4] as HTMLElement)).toEqual([
      "Documents aloneFinds passages, without a language model",
    ]);
    fireEvent.keyDown(list, { key: "t" });
    fireEvent.keyDown(list, { key: "ArrowDown" });
    expect(active(list)).toBe("GPT-6 Luna");
  });

  test("goes by arrows, ends and first letters, round the ends", async () => {
    const list = await open();
    const keys: [string, string][] = [
      ["ArrowDown", "Terra"],
      ["End", "Pro"],
      ["ArrowDown", AUTOMATIC],
      ["ArrowUp", "Pro"],
      ["Home", AUTOMATIC],
      ["t", "Terra"],
    ];
    for (const [key, expected] of keys) {
      fireEvent.keyDown(list, { key });
      expect(active(list), key).toBe(expected);
    }
  });

  test("chooses with Enter, closes, and gives the focus back", async () => {
    const list = await open();
    fireEvent.keyDown(list, { key: "End" });
    fireEvent.keyDown(list, { key: "Enter" });
    expect(screen.queryByRole("listbox")).toBeNull();
    const button = screen.getByRole("button", { name: "Model: Pro" });
    expect(document.activeElement).toBe(button);
    expect(app.models.store.get().wishes).toEqual({ new: "gemini/pro" });
  });

  test("shows what can't be had with its reason, and does not choose it", async () => {
    const list = await open();
    const away = within(list).getByRole("option", { name: /Sonnet.*Not answering/ });
    expect(away.getAttribute("aria-disabled")).toBe("true");
    fireEvent.keyDown(list, { key: "s" });
    fireEvent.keyDown(list, { key: "Enter" });
    fireEvent.click(away);
    expect(screen.getByRole("listbox")).toBeTruthy();
    expect(app.models.store.get().wishes).toEqual({});
  });

  test("leaves with Escape without choosing", async () => {
    const list = await open();
    fireEvent.keyDown(list, { key: "End" });
    fireEvent.keyDown(list, { key: "Escape" });
    expect(screen.queryByRole("listbox")).toBeNull();
    expect(app.models.store.get().wishes).toEqual({});
  });

  test("says when what was chosen is no longer offered", async () => {
    app.models.choose(null, "openai/old");
    await draw();
    expect(screen.getByRole("status").textContent).toContain("“old” is no longer offered.");
    expect(screen.getByRole("button").getAttribute("aria-label")).toBe("Model: Automatic model");
  });
});

const answered = (change: Partial<Entry>): Entry => ({
  ...answerEntry("c", 0),
  id: "m-1",
  content: "Hello",
  status: "completed",
  by: { provider: "gemini", model: "gemini/pro", why: "It is a general question." },
  ...change,
});
const draw = (entry: Entry) =>
  render(
    <AppProvider value={app}>
      <Turn entry={entry} uid="u" name="Parlour" resting last />
    </AppProvider>,
  );
const attempt = (change: Partial<Attempt>): Attempt => ({
  provider: "openai",
  model: "terra",
  status: "failed",
  why: "",
  startedAt: "2026-11-21T12:00:00Z",
  durationMs: 500,
  ttftMs: null,
  usage: null,
  costUsd: null,
  cached: false,
  error: "provider_overloaded",
  ...change,
});

describe("the details of an answer", () => {
  const details = (entry: Entry) => {
    draw(entry);
    fireEvent.click(screen.getByRole("button", { name: "How this answer came about" }));
    return screen.getByRole("group", { name: "How this answer came about" });
  };
  const usage = { inputTokens: 1200, outputTokens: 30, cachedTokens: 0, estimated: true };

  test("are read when somebody asks, and say who was asked before", async () => {
    server.attempts = [
      attempt({}),
      attempt({
        provider: "gemini",
        model: "pro",
        status: "answered",
        error: null,
        ttftMs: 700,
        costUsd: 0.0021,
      }),
    ];
    const panel = details(answered({}));
    await waitFor(() => expect(panel.textContent).toContain("did not answer: busy"));
    expect(panel.textContent).toContain("answered, first word 0.7 s, $0.0021");
    expect(panel.textContent).toContain("It is a general question.");
  });

  test("have one line for each, without saying twice why the next one was asked", async () => {
    server.attempts = [
      attempt({ status: "skipped", error: null, why: "OpenAI rests until it is tried again" }),
      attempt({ provider: "anthropic", model: "sonnet", why: "General questions go to Anthropic." }),
      attempt({
        provider: "gemini",
        model: "pro",
        status: "answered",
        error: null,
        why: "Anthropic is busy.",
      }),
    ];
    const panel = details(answered({}));
    const lines = await within(panel).findAllByRole("listitem");
    expect(lines.map((line) => line.textContent)).toEqual([
      "OpenAI terra was passed over: OpenAI rests until it is tried again",
      "Anthropic sonnet did not answer: busy",
      "Gemini pro answered",
    ]);
  });

  test("of an answer that failed before its first word name nobody as who gave it", async () => {
    server.attempts = [attempt({})];
    const panel = details(answered({ content: "", status: "failed", failure: null }));
    await within(panel).findByText("did not answer: busy");
    expect(panel.textContent).not.toContain("Answered by");
    expect(panel.textContent).toContain("Nobody answered.");
  });

  test("of an answer that broke off say who began it", () => {
    const panel = details(answered({ status: "failed", failure: null }));
    expect(panel.textContent).toContain("Begun bypro, Gemini");
  });

  test("of a message that was held back ask nobody, since no model was asked", () => {
    const spent = { usage: null, costUsd: null, latencyMs: 2, ttftMs: 1 };
    const panel = details(answered({ filtered: true, by: null, spent }));
    expect(panel.textContent).toBe("Your message was held back by the rules here; no model was asked.");
    expect(server.asked.filter((path) => path.includes("attempts"))).toEqual([]);
  });

  test("of an answer that was held back tell who was asked", async () => {
    server.attempts = [attempt({ status: "answered", error: null })];
    const panel = details(answered({ filtered: true }));
    expect(panel.textContent).toContain("Answered bypro, Gemini");
    await waitFor(() => expect(server.asked).toContain("/api/chat/messages/m-1/attempts"));
  });

  test("keep silent about a single attempt", async () => {
    server.attempts = [attempt({ status: "answered", error: null })];
    const panel = details(answered({}));
    await waitFor(() => expect(server.asked).toContain("/api/chat/messages/m-1/attempts"));
    expect(within(panel).queryByRole("list")).toBeNull();
  });

  test.each([
    [null, "Unknown: there is no price for this model"],
    [0, "Free"],
    [0.0021, "$0.0021"],
  ])("tell a cost of %j as %s", (costUsd, words) => {
    const panel = details(answered({ spent: { usage, costUsd, latencyMs: 4200, ttftMs: 700 } }));
    expect(panel.textContent).toContain(words);
    expect(panel.textContent).toContain("1,200 read, 30 written; estimated");
    expect(panel.textContent).toContain("first word after 0.7 s, whole after 4.2 s");
  });
});

describe("what is said of documents", () => {
  const assistant = {
    id: "default",
    name: "Parlour",
    description: null,
    greeting: null,
    restsOn: "Answers come from 3 documents.",
    suggestions: [
      { title: "Connect a model", text: "How?" },
      { title: "Build with it", text: "How?" },
    ],
  };
  const suggested = async (...models: Model[]) => {
    server.models = models;
    await app.models.refresh();
    app.shell.set((shell) => ({ ...shell, assistants: [assistant] }));
    render(
      <AppProvider value={app}>
        <Welcome conversation={newConversation("u", null)} />
      </AppProvider>,
    );
    return within(screen.getByRole("list", { name: "Suggestions" }))
      .getAllByRole("listitem")
      .map((item) => item.textContent);
  };
  const foot = (change: Partial<Entry>) => {
    const conversation = { ...newConversation("u", null), entries: [answered(change)] };
    app.shell.set((shell) => ({ ...shell, assistants: [assistant] }));
    render(
      <AppProvider value={app}>
        <Thread conversation={conversation} name="Parlour" />
      </AppProvider>,
    );
    return screen.queryByText(/Answers come from your documents/) !== null;
  };

  test("connecting a model is suggested only where none is", async () => {
    const builtin = model("builtin", "builtin");
    expect(await suggested(server.models[0] as Model, builtin)).toHaveLength(2);
    cleanup();
    expect(await suggested(model("openai/terra", "Terra"), builtin)).toEqual(["Build with itHow?"]);
  });

  test("the foot tells of sources only where there is one to open", () => {
    const citation = {
      number: 1,
      passageId: "p",
      documentId: "d",
      title: "Herons",
      documentTitle: "Birds",
      quote: "They wait.",
      url: null,
      page: null,
    };
    expect(foot({})).toBe(false);
    cleanup();
    expect(foot({ citations: [citation] })).toBe(false);
    cleanup();
    expect(foot({ content: "They wait. [1]", citations: [citation] })).toBe(true);
    cleanup();
    expect(foot({ by: { provider: "builtin", model: "builtin", why: null } })).toBe(true);
  });
});

describe("an answer says quietly", () => {
  test("that another model went on", () => {
    draw(answered({ handover: { at: 2, from: { provider: "openai", model: "terra", why: null } } }));
    expect(screen.getByText("OpenAI broke off. Gemini went on from there.")).toBeTruthy();
  });

  test("that a rule held it back, or took a part of it back", () => {
    draw(answered({ filtered: true }));
    expect(screen.getByText("Held back by the rules of this place.")).toBeTruthy();
    cleanup();
    draw(answered({ filtered: true, retracted: true }));
    expect(screen.getByText(/was taken back/)).toBeTruthy();
  });

  test("when a busy model can be asked again, and offers it then", () => {
    vi.useFakeTimers();
    const failure = { code: "provider_rate_limited", message: "Slow down.", retryable: true, retryAfter: 20 };
    draw(answered({ content: "", status: "failed", failure, failedAt: Date.now() }));
    expect(screen.getByRole("timer").textContent).toBe("Ask again in 20 s.");
    expect(screen.queryByRole("button", { name: "Try again" })).toBeNull();
    vi.advanceTimersByTime(21_000);
    vi.useRealTimers();
    return waitFor(() => expect(screen.getByRole("button", { name: "Try again" })).toBeTruthy());
  });

  test("that its model is gone, and offers to choose automatically", () => {
    const failure = { code: "model_missing", message: "", retryable: false };
    draw(answered({ content: "", status: "failed", failure }));
    expect(screen.getByRole("button", { name: "Let Parlour choose" })).toBeTruthy();
  });
});
