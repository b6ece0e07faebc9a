/** Words, days, drafts and storage: the small promises the page rests on. */
import { safeStorage } from "@client/storage";
import type { Session } from "@client/types";
import { Outbox } from "@core/chat/outbox";
import { byDay, dayPart } from "@core/days";
import { Drafts } from "@core/drafts";
import { languageFor } from "@core/i18n/translate";
import { directionOf } from "@core/markdown/direction";
import { decodeEntities } from "@core/markdown/entities";
import { highlight } from "@core/markdown/highlight";
import { expect, test } from "vitest";
import { documents } from "./support/documents";

test("a message chooses its plural form and fills its holes", () => {
  const { translate, direction } = languageFor(["xx", "en-GB"]);
  expect(translate("stage.reading", { count: 1 })).toBe("Reading 1 document");
  expect(translate("stage.reading", { count: 1200 })).toBe("Reading 1,200 documents");
  expect(translate("welcome.named", { greeting: "Good morning", name: "Mara" })).toBe("Good morning, Mara");
  expect(direction).toBe("ltr");
  expect(languageFor([]).locale).toBe("en");
});

test("conversations stand under the day of their last word, by the local calendar", () => {
  const now = new Date(2026, 10, 21, 0, 30);
  const at = (date: Date): Session => ({
    id: date.toISOString(),
    title: null,
    assistantId: null,
    messageCount: 0,
    createdAt: "",
    updatedAt: "",
    lastActiveAt: date.toISOString(),
    archived: false,
  });
  const dates = [now, new Date(2026, 10, 20, 23, 59), new Date(2026, 10, 15), new Date(2026, 8, 1)];
  expect(byDay(dates.map(at), now).map(({ day }) => day)).toEqual([
    "today",
    "yesterday",
    "lastWeek",
    "earlier",
  ]);
});

test("the greeting follows the hour", () => {
  expect([3, 8, 13, 20].map(dayPart)).toEqual(["night", "morning", "afternoon", "evening"]);
});

test("storage that refuses everything still remembers while the page lives", () => {
  const storage = safeStorage(() => {
    throw new DOMException("denied", "SecurityError");
  });
  const drafts = new Drafts(storage);
  drafts.set(null, "half a thought");
  expect(drafts.get(null)).toBe("half a thought");
  drafts.set(null, "");
  expect(drafts.get(null)).toBe("");
  expect(storage.keys("parlour.")).toEqual([]);
});

test("the outbox survives a foreign hand in its storage", () => {
  const storage = safeStorage(() => window.localStorage);
  storage.set("parlour.outbox.broken", "{not json");
  storage.set("parlour.outbox.empty", "{}");
  const outbox = new Outbox(storage);
  const item = {
    clientMessageId: "c",
    conversation: "n",
    sessionId: null,
    assistantId: null,
    model: "openai/x",
    text: "Hi",
    createdAt: 1,
  };
  outbox.put(item);
  expect(outbox.all()).toEqual([item]);
  outbox.settle("n", "s-1");
  expect(outbox.all()[0]?.sessionId).toBe("s-1");
});

test("character references become characters, and only known ones", () => {
  expect(decodeEntities("a &lt;b&gt; &amp;amp; &#65;&#x1F600; &unknown; &constructor;")).toBe(
    "a <b> &amp; A😀 &unknown; &constructor;",
  );
  expect(decodeEntities("java&#x0a;script &#xd800;")).toBe("java\ufffdscript \ufffd");
});

test("a direction is that of the first letter", () => {
  expect(directionOf("1. [2] مرحبا hello")).toBe("rtl");
  expect(directionOf("- hello مرحبا")).toBe("ltr");
});

test("colouring loses no character of the code", () => {
  const code = `${documents.code}\ndef f(x): return "a # b" # note\nSELECT 'x' -- y\n/* open`;
  for (const language of ["python", "ts", "bash", "sql", "json", "css", "html", "go"]) {
    expect(
      highlight(code, language)
        ?.map(({ text }) => text)
        .join(""),
    ).toBe(code);
  }
  expect(highlight(code, "constructor")).toBeNull();
  expect(highlight("def f(x): # note", "py")).toEqual([
    { kind: "key", text: "def" },
    { kind: "plain", text: " " },
    { kind: "fn", text: "f" },
    { kind: "plain", text: "(x): " },
    { kind: "note", text: "# note" },
  ]);
});
