/** The operators' page: who may see it, what it says with and without figures, and when it reads them (M-5, M-7). */
import type { ModelHealth, UsageLine } from "@client/operator";
import { App } from "@core/app";
import { ModelsWatch } from "@core/models/operator";
import { act, cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { AppProvider } from "@ui/context";
import ModelsPage from "@ui/operator/ModelsPage";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeServer } from "./support/fake-server";

let server: FakeServer;
let app: App;

beforeEach(() => {
  window.localStorage.clear();
  server = new FakeServer();
  server.role = "operator";
  vi.stubGlobal("fetch", server.fetch);
  app = new App(window);
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const health = (change: Partial<ModelHealth>): ModelHealth => ({
  provider: "openai",
  model: "terra",
  state: "closed",
  calls: 8,
  failures: 0,
  failureRate: 0,
  retryAt: null,
  ttftP50Ms: 640,
  ttftP95Ms: 2100,
  lastError: null,
  ...change,
});
const used = (change: Partial<UsageLine>): UsageLine => ({
  key: "openai/terra",
  calls: 8,
  failures: 1,
  inputTokens: 1000,
  outputTokens: 200,
  cachedTokens: 0,
  costUsd: 0.5,
  unpriced: 0,
  ...change,
});

async function show(): Promise<void> {
  const person = await app.api.me();
  app.shell.set((shell) => ({ ...shell, person }));
  render(
    <AppProvider value={app}>
      <ModelsPage folded={false} drawer={false} onUnfold={() => undefined} />
    </AppProvider>,
  );
}

test("somebody who is no operator is told who may, and nothing is asked for", async () => {
  server.role = "visitor";
  await show();
  expect(screen.getByText(/This page is for operators/)).toBeTruthy();
  expect(server.asked.filter((path) => path.includes("admin"))).toEqual([]);
});

test("without figures the page says what will stand there", async () => {
  const nothing = { calls: 0, ttftP50Ms: null, ttftP95Ms: null };
  server.admin.models = [health({ provider: "builtin", model: "documents", ...nothing })];
  await show();
  expect(await screen.findByText(/No model is connected/)).toBeTruthy();
  expect(screen.getByText(/No model has been asked since the server started/)).toBeTruthy();
  expect(screen.getByText(/OPENAI_API_KEY/)).toBeTruthy();
});

test("the page begins with how things stand, and what needs a look stands first, in words", async () => {
  server.admin.models = [
    health({ provider: "builtin", model: "documents", calls: 0 }),
    health({ model: "gpt-6.1-terra", ttftP50Ms: 12, lastError: "provider_overloaded" }),
    health({ provider: "gemini", model: "pro", state: "cooling", lastError: "provider_rate_limited" }),
    health({
      provider: "anthropic",
      model: "sonnet",
      state: "open",
      failures: 7,
      calls: 9,
      lastError: "provider_overloaded",
      retryAt: new Date(Date.now() + 20_000).toISOString(),
    }),
  ];
  await show();
  expect(await screen.findByText("2 models do not answer; the others answer in their place.")).toBeTruthy();
  const [, ill, cooling, well, builtin] = screen.getAllByRole("row");
  expect(ill?.className).toBe("health open");
  expect(ill?.textContent).toMatch(/Not answeringnext try in (20|19) s7 of 9.*busy$/);
  expect(cooling?.textContent).toContain("Rate limited");
  expect(cooling?.textContent).toMatch(/asked to slow down$/);
  expect(well?.textContent).toBe(
    "GPT-6.1 TerraOpenAI · gpt-6.1-terraReady0 of 8< 0.1 s / 2.1 searlier: busy",
  );
  expect(builtin?.textContent).toContain("Documents alone");
});

test("the built-in answerer is no model that could be ready", async () => {
  server.admin.models = [health({}), health({ model: "luna" }), health({ provider: "builtin" })];
  await show();
  expect(await screen.findByText("All 2 models are ready.")).toBeTruthy();
});

test("a sum never passes off an unknown price as nothing", async () => {
  server.admin.usage = [
    used({}),
    used({ key: "compatible/a/b", costUsd: null, unpriced: 3 }),
    used({ key: "ollama/llama", costUsd: 0, unpriced: 47 }),
  ];
  await show();
  const table = (await screen.findByText("Usage and cost")).closest("section");
  const [, , unknown, local, total] = within(table as HTMLElement).getAllByRole("row");
  expect(unknown?.textContent).toBe("a/bOwn server811,000200unknown for 3 calls");
  expect(local?.textContent).toMatch(/unknown for 47 calls$/);
  expect(total?.textContent).toMatch(/^Total243.*unknown for 50 calls\$0.50 for the others$/);
  fireEvent.click(screen.getByRole("button", { name: "This month" }));
  expect(screen.getByRole("button", { name: "This month" }).getAttribute("aria-pressed")).toBe("true");
});

test("figures are read every five seconds while the page is seen, sums less often, and no longer after", async () => {
  vi.useFakeTimers();
  let state: DocumentVisibilityState = "visible";
  vi.spyOn(document, "visibilityState", "get").mockImplementation(() => state);
  const reads = (what: string) => server.asked.filter((path) => path.startsWith(`/api/admin/${what}`)).length;
  const watch = new ModelsWatch(app.api, document);
  const stop = watch.start();
  await vi.advanceTimersByTimeAsync(16_000);
  expect([reads("models"), reads("usage")]).toEqual([4, 2]);
  state = "hidden";
  await vi.advanceTimersByTimeAsync(20_000);
  expect(reads("models")).toBe(4);
  state = "visible";
  document.dispatchEvent(new Event("visibilitychange"));
  await vi.advanceTimersByTimeAsync(0);
  expect(reads("models")).toBe(5);
  server.online = false;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(watch.store.get()).toMatchObject({ failed: true, models: [] });
  stop();
  server.online = true;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(watch.store.get().failed).toBe(true);
});

test("the page is an address of its own, and the way back leads to the conversation", async () => {
  await act(() => app.start());
  app.address.go("models");
  expect(window.location.hash).toBe("#/operator/models");
  app.address.go("chat");
  expect(window.location.hash).toBe("");
  window.history.replaceState(null, "", "#/operator/models");
  window.dispatchEvent(new PopStateEvent("popstate"));
  expect(app.address.page.get()).toBe("models");
  window.history.replaceState(null, "", "#/c/session-1");
  window.dispatchEvent(new PopStateEvent("popstate"));
  expect(app.address.page.get()).toBe("chat");
  expect(app.chat.conversations.current.sessionId).toBe("session-1");
});
