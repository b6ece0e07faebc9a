/**
 * Markdown that arrives piece by piece. Blocks that can no longer change are lexed once and keep their
 * identity, so a page that remembers what it drew for a block draws only the end of a growing answer.
 * No HTML is ever made: raw HTML comes out as text.
 */
import { Lexer, Marked, type Token } from "marked";

/** `[3]` in an answer: the pointer to its third source. */
export interface CitationToken {
  type: "citation";
  raw: string;
  number: number;
}

const marked = new Marked({
  gfm: true,
  tokenizer: {
    // Undefined means "not this": what looks like HTML falls through to paragraphs and text.
    html: () => undefined,
    tag: () => undefined,
  },
  extensions: [
    {
      name: "citation",
      level: "inline",
      start: (text) => /\[\d{1,3}\]/.exec(text)?.index,
      tokenizer(text) {
        const match = /^\[(\d{1,3})\](?![([])/.exec(text) ?? /^\[(\d{1,3})\](?=\[\d{1,3}\])/.exec(text);
        return match ? { type: "citation", raw: match[0], number: Number(match[1]) } : undefined;
      },
    },
  ],
});

function lex(text: string): Token[] {
  return new Lexer(marked.defaults).lex(text);
}

export class MarkdownDocument {
  #text = "";
  #finished: Token[] = [];
  /** Where the part begins that may still change. */
  #openFrom = 0;
  #tokens: readonly Token[] = [];

  /** The blocks of `text`; cheap when it continues what was given before. */
  read(text: string): readonly Token[] {
    if (text === this.#text) return this.#tokens;
    if (!text.startsWith(this.#text)) this.#restart();
    this.#text = text;
    const open = lex(text.slice(this.#openFrom));
    // A definition speaks for links anywhere before and after it, so there are no finished blocks beside one.
    if (open.some((token) => token.type === "def")) {
      this.#restart();
      this.#text = text;
      this.#tokens = lex(text);
      return this.#tokens;
    }
    this.#tokens = [...this.#finished, ...open];
    this.#finish(open);
    return this.#tokens;
  }

  #restart(): void {
    this.#finished = [];
    this.#openFrom = 0;
  }

  /** Keep two blocks open: a first half-written line may still turn out to continue the block before it. */
  #finish(open: readonly Token[]): void {
    const blocks = open.flatMap((token, index) => (token.type === "space" ? [] : [index]));
    const keepFrom = blocks.at(-2);
    if (blocks.length < 3 || keepFrom === undefined) return;
    const done = open.slice(0, keepFrom);
    const length = done.reduce((sum, token) => sum + token.raw.length, 0);
    const raw = done.map((token) => token.raw).join("");
    // The lexer normalises some whitespace; unless the pieces are the text itself, nothing is cut off.
    if (this.#text.slice(this.#openFrom, this.#openFrom + length) !== raw) return;
    this.#finished.push(...done);
    this.#openFrom += length;
  }
}

/** Lex a whole text at once. */
export function readMarkdown(text: string): readonly Token[] {
  return new MarkdownDocument().read(text);
}

/** Cut what may be the beginning of a citation mark from the end of a text that is still arriving. */
export function withoutHalfMark(text: string): string {
  return text.replace(/[ \t]*\[\d{0,3}$/, "");
}

export function isCitation(token: Token): token is Token & CitationToken {
  return token.type === "citation";
}
