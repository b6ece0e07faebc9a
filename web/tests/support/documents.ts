/** Markdown to try the reader on: what models write, what attackers write, and what chance writes. */

export const documents: Readonly<Record<string, string>> = {
  page: "# Title\n\nA paragraph with *emphasis*, **weight** and `code`. [1]\nA second line.\n\nAnother one. [2][3]\n",
  lists:
    "1. one\n\n2. two\n   - a\n   - b\n\n     more of b\n3. three\n\n- [ ] open\n- [x] done\n\n* other\n\nAfter.\n\n1. one\n\n2\n",
  code: "Before\n\n```python\nx = [1]\n\n# not a heading\n```\n\nBetween\n\n~~~\n```\n~~~\n\n    indented\n\n    more\n\nAfter",
  table: "| a | b |\n|---|:-:|\n| 1 | `x|y` |\n| 2 | [3] |\n\nAfter\n\na | b\n- | -\n1 | 2\nnot a row",
  quotes: "> one\n> two\nlazy\n\n> > nested\n\n> - list\n>\n> para\n\n---\n\nSetext\n===\n\nOther\n---\n",
  definitions:
    "See [docs] and [x][docs].\n\nMore.\n\nYet more.\n\n[docs]: https://example.org 'Docs'\n\nAfter [docs].",
  hostile:
    "<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) ![b](https://sink.example/?d=1)\n\n<div>\n\n**x**\n\n</div>\n\n<!-- open\n\nstill <b>text</b>\n\n<https://example.org>",
  rightToLeft: "نعم، يمكنك ذلك. [1]\n\n- أولاً\n- ثانياً\n\n`code` ثم **مهم**؟",
};

/** A small generator of repeatable randomness (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const PIECES = [
  "word",
  " ",
  " ",
  "\n",
  "\n\n",
  "\n\n",
  "- ",
  "* ",
  "1. ",
  "2",
  ". ",
  "# ",
  "> ",
  "```",
  "`",
  "|",
  "---",
  "===",
  "**",
  "_",
  "[1]",
  "[",
  "]",
  "(",
  ")",
  "https://a.example",
  "<b>",
  "</b>",
  "<script>",
  "<!--",
  "-->",
  "    ",
  "\t",
  "\\",
  "&lt;",
  "!",
  "~~",
  "+ ",
  ":-",
  "é",
  "😀",
  "\r\n",
];

export function randomMarkdown(random: () => number): string {
  const length = 10 + Math.floor(random() * 60);
  return Array.from({ length }, () => PIECES[Math.floor(random() * PIECES.length)]).join("");
}
