/** Components where only the drawn page can tell: hostile words, an error in one message, Enter while composing. */
import { App } from "@core/app";
import { answerEntry } from "@core/chat/conversation";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { Composer } from "@ui/composer/Composer";
import { AppProvider } from "@ui/context";
import { ErrorBoundary } from "@ui/parts/ErrorBoundary";
import { Markdown } from "@ui/prose/Markdown";
import { Turn } from "@ui/thread/Turn";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { documents } from "./support/documents";

beforeEach(() => {
  window.localStorage.clear();
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("no network in a unit test")));
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const inApp = (children: ReactNode) => <AppProvider value={new App(window)}>{children}</AppProvider>;

const HOSTILE = [
  documents.hostile ?? "",
  '![x" onerror="alert(1)](https://ok.example/a.png)',
  '[a](https://ok.example "t" onmouseover=1)',
  "[x](JaVaScRiPt:alert(1)) [y](java&#x09;script:alert(1)) [z](&#106;avascript:alert(1))",
  "<svg onload=alert(1)><iframe src=javascript:alert(1)></iframe><form action=//evil.example><input></form>",
  "<style>@import '//evil.example'</style><base href=//evil.example><meta http-equiv=refresh content=0>",
  "[ref]\n\n[ref]: javascript:alert(1)",
  "```html\n<script>alert(1)</script>\n```",
];

describe("what a model may never draw", () => {
  test.each(HOSTILE)("%j, at every prefix", (text) => {
    const { container, rerender } = render(inApp(<Markdown text="" arriving />));
    const app = new App(window);
    for (let end = 1; end <= text.length; end += 1) {
      rerender(
        <AppProvider value={app}>
          <Markdown text={text.slice(0, end)} arriving={end < text.length} />
        </AppProvider>,
      );
      expect(
        container.querySelectorAll("img,script,style,iframe,form,object,base,meta,link,svg image"),
      ).toHaveLength(0);
      for (const element of container.querySelectorAll("*")) {
        expect(element.getAttributeNames().filter((name) => name.startsWith("on"))).toEqual([]);
      }
      for (const link of container.querySelectorAll("a")) {
        expect(link.getAttribute("href")).toMatch(/^(https?:|mailto:|tel:|#|\/(?!\/))/);
        expect(link.getAttribute("rel")).toContain("noopener");
      }
    }
  });
});

test("an image becomes a link that names it", () => {
  render(inApp(<Markdown text="![a map](https://sink.example/?d=1)" arriving={false} />));
  expect(screen.getByRole("link", { name: "Image: a map" }).getAttribute("href")).toBe(
    "https://sink.example/?d=1",
  );
});

test("a link whose words name another host shows where it leads", () => {
  render(inApp(<Markdown text="[https://bank.example](https://evil.example/x)" arriving={false} />));
  expect(screen.getByRole("link").textContent).toContain("(evil.example)");
});

test("an error in one message leaves its text and the others", () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const broken = { ...answerEntry("c", 0), content: "still here", status: "completed" as const };
  Object.defineProperty(broken, "citations", {
    get: () => {
      throw new Error("drawn wrong");
    },
  });
  const whole = { ...answerEntry("d", 0), content: "the other", status: "completed" as const };
  render(
    inApp(
      [broken, whole].map((entry) => (
        <Turn key={entry.key} entry={entry} uid="u" name="Parlour" resting={false} last={false} />
      )),
    ),
  );
  expect(screen.getByText("This message could not be shown.")).toBeTruthy();
  expect(screen.getByText("still here")).toBeTruthy();
  expect(screen.getByText("the other")).toBeTruthy();
});

test("a part that failed is drawn again on request", () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  let wrong = true;
  const Part = () => {
    if (wrong) throw new Error("drawn wrong");
    return <p>whole</p>;
  };
  render(
    <ErrorBoundary
      fallback={(again) => (
        <button type="button" onClick={again}>
          Again
        </button>
      )}
    >
      <Part />
    </ErrorBoundary>,
  );
  wrong = false;
  fireEvent.click(screen.getByText("Again"));
  expect(screen.getByText("whole")).toBeTruthy();
});

describe("the composer", () => {
  const draw = () => {
    const onSend = vi.fn();
    render(inApp(<Composer sessionId={null} live={false} placeholder="Ask" onSend={onSend} />));
    return { onSend, field: screen.getByRole("textbox") as HTMLTextAreaElement };
  };

  test("sends with Enter, and not while an input method composes or with Shift", () => {
    const { onSend, field } = draw();
    fireEvent.change(field, { target: { value: "  こんにちは " } });
    fireEvent.keyDown(field, { key: "Enter", isComposing: true });
    fireEvent.keyDown(field, { key: "Enter", keyCode: 229 });
    fireEvent.keyDown(field, { key: "Enter", shiftKey: true });
    expect(onSend).not.toHaveBeenCalled();
    fireEvent.keyDown(field, { key: "Enter" });
    expect(onSend).toHaveBeenCalledExactlyOnceWith("こんにちは");
    expect(field.value).toBe("");
  });

  test("counts as the server does, and says when it is too much", () => {
    const { onSend, field } = draw();
    fireEvent.change(field, { target: { value: "😀".repeat(10_000) } });
    expect(screen.getByText("10,000 of 10,000")).toBeTruthy();
    fireEvent.change(field, { target: { value: "😀".repeat(10_001) } });
    expect(screen.getByRole("alert").textContent).toContain("10,001 characters is over the limit");
    fireEvent.keyDown(field, { key: "Enter" });
    expect(onSend).not.toHaveBeenCalled();
  });

  test("refuses what no database keeps", () => {
    const { onSend, field } = draw();
    fireEvent.change(field, { target: { value: "half \ud800 pair" } });
    fireEvent.keyDown(field, { key: "Enter" });
    expect(onSend).not.toHaveBeenCalled();
    expect(screen.getByRole("alert")).toBeTruthy();
  });
});
