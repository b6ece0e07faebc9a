/** Markdown that arrives in pieces: the same blocks as in one piece, and safe at every prefix. */
import { MarkdownDocument, readMarkdown, withoutHalfMark } from "@core/markdown/document";
import { plainText } from "@core/markdown/plain";
import { disguised, safeLink } from "@core/markdown/urls";
import { describe, expect, test } from "vitest";
import { documents, randomMarkdown, seeded } from "./support/documents";

describe("a document that grows", () => {
  for (const [name, text] of Object.entries(documents)) {
    test.each([1, 3, 7, 40])(`${name}, in steps of %i, has the blocks of the whole at every step`, (step) => {
      const growing = new MarkdownDocument();
      for (let end = step; end < text.length + step; end += step) {
        const prefix = text.slice(0, end);
        expect(growing.read(prefix)).toEqual(readMarkdown(prefix));
      }
    });
  }

  test("random documents have the blocks of the whole at every step", () => {
    const random = seeded(20_261_121);
    for (let round = 0; round < 150; round += 1) {
      const text = randomMarkdown(random);
      const growing = new MarkdownDocument();
      for (let end = 1; end <= text.length; end += 1 + Math.floor(random() * 5)) {
        const prefix = text.slice(0, end);
        expect(growing.read(prefix), JSON.stringify(prefix)).toEqual(readMarkdown(prefix));
      }
    }
  });

  test("finished blocks keep their identity, so that a page draws only the end", () => {
    const growing = new MarkdownDocument();
    const text = "One.\n\nTwo.\n\nThree.\n\nFour.";
    const before = growing.read(text);
    const after = growing.read(`${text}\n\nFive.`);
    expect(after[0]).toBe(before[0]);
    expect(after[2]).toBe(before[2]);
  });

  test("a text that was rewound is read afresh", () => {
    const growing = new MarkdownDocument();
    growing.read("# Title\n\nOne.\n\nTwo.\n\nThree.");
    expect(growing.read("# Title\n\nElse")).toEqual(readMarkdown("# Title\n\nElse"));
  });
});

describe("citation marks", () => {
  const kinds = (text: string) => {
    const [block] = readMarkdown(text);
    return block && "tokens" in block ? (block.tokens ?? []).map((token) => token.type) : [];
  };

  test("become tokens, also side by side", () => {
    expect(kinds("So it is. [1][2]")).toEqual(["text", "citation", "citation"]);
  });

  test("stay what they are in links and code", () => {
    expect(kinds("[1](https://example.org)")).toEqual(["link"]);
    expect(kinds("`list[1]`")).toEqual(["codespan"]);
  });

  test("half written, are held back until they are whole", () => {
    expect(withoutHalfMark("It is so. [1")).toBe("It is so.");
    expect(withoutHalfMark("It is so. [")).toBe("It is so.");
    expect(withoutHalfMark("It is so. [1]")).toBe("It is so. [1]");
  });
});

describe("addresses", () => {
  test.each([
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\tscript:alert(1)",
    " javascript:alert(1)",
    "\u0001javascript:alert(1)",
    "data:text/html,<script>1</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://x/1",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://user:pass@bank.example",
    "relative/path",
    "",
  ])("%j stays text", (address) => expect(safeLink(address)).toBeNull());

  test.each([
    "https://example.org/a?b=c#d",
    "http://example.org",
    "mailto:a@example.org",
    "tel:+4912345",
    "#part",
    "/docs",
  ])("%j may be a link", (address) => expect(safeLink(address)?.href).toBeTruthy());

  test("a label that names another host is told apart", () => {
    const link = safeLink("https://evil.example/x");
    if (!link) throw new Error("expected a link");
    expect(disguised("https://bank.example/login", link)).toBe(true);
    expect(disguised("bank.example", link)).toBe(true);
    expect(disguised("www.evil.example/x", link)).toBe(false);
    expect(disguised("our documentation", link)).toBe(false);
  });
});

test("what is read aloud has words, and no marks", () => {
  const text = "## Title\n\nSome **bold** and `code`. [1]\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |";
  expect(plainText(readMarkdown(text))).toBe("Title\nSome bold and code.\none\ntwo\na, b\n1, 2");
});
