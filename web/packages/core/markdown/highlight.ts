/**
 * Colours for code: comments, strings, key words and the names of functions. A few lines per family of
 * languages, loaded only when a finished block needs it; it colours, it does not parse.
 */

export type Kind = "plain" | "key" | "str" | "fn" | "note";

export interface Piece {
  kind: Kind;
  text: string;
}

interface Family {
  notes: string;
  strings: string;
  words: ReadonlySet<string>;
}

const words = (list: string): ReadonlySet<string> => new Set(list.split(" "));
const C_NOTES = "\\/\\/[^\\n]*|\\/\\*[\\s\\S]*?(?:\\*\\/|$)";
const HASH_NOTES = "#[^\\n]*";
const QUOTES = "\"(?:\\\\.|[^\"\\\\\\n])*\"?|'(?:\\\\.|[^'\\\\\\n])*'?";

const script: Family = {
  notes: C_NOTES,
  strings: `${QUOTES}|\`(?:\\\\.|[^\`\\\\])*\`?`,
  words: words(
    "abstract as async await break case catch class const continue default delete do else enum export extends false finally for from function get if implements import in instanceof interface let new null of private protected public readonly return satisfies set static super switch this throw true try type typeof undefined var void while yield",
  ),
};
const python: Family = {
  notes: HASH_NOTES,
  strings: `[rbfuRBFU]{0,2}(?:"""[\\s\\S]*?(?:"""|$)|'''[\\s\\S]*?(?:'''|$)|${QUOTES})`,
  words: words(
    "False None True and as assert async await break case class continue def del elif else except finally for from global if import in is lambda match nonlocal not or pass raise return self try while with yield",
  ),
};
const shell: Family = {
  notes: "(?<![\\w$])#[^\\n]*",
  strings: QUOTES,
  words: words(
    "case do done elif else esac export fi for function if in local return set source then until while sudo",
  ),
};
const compiled: Family = {
  notes: C_NOTES,
  strings: QUOTES,
  words: words(
    "abstract async await bool boolean break byte case catch chan char class const continue crate defer default do double else enum extends extern false final finally float fn for foreach func go if impl implements import in int interface internal let long loop match mod mut namespace new nil null override package private protected pub public range return self short static string struct super switch this throw throws trait true try type union unsafe unsigned use using var virtual void volatile where while",
  ),
};
const sql: Family = {
  notes: "--[^\\n]*|\\/\\*[\\s\\S]*?(?:\\*\\/|$)",
  strings: QUOTES,
  words: words(
    "add all alter and as asc begin between by case check column commit constraint create cross default delete desc distinct drop else end exists foreign from full group having if in index inner insert into is join key left like limit not null offset on or order outer primary references returning right rollback select set table then transaction union unique update using values view when where with",
  ),
};
const data: Family = {
  notes: `${HASH_NOTES}|\\/\\/[^\\n]*`,
  strings: QUOTES,
  words: words("true false null yes no on off"),
};
const style: Family = {
  notes: "\\/\\*[\\s\\S]*?(?:\\*\\/|$)",
  strings: QUOTES,
  words: words("important from to and not only"),
};
const markup: Family = { notes: "<!--[\\s\\S]*?(?:-->|$)", strings: QUOTES, words: words("") };

const families: Readonly<Record<string, Family>> = {
  js: script,
  jsx: script,
  javascript: script,
  ts: script,
  tsx: script,
  typescript: script,
  vue: script,
  py: python,
  python: python,
  python3: python,
  sh: shell,
  bash: shell,
  shell: shell,
  zsh: shell,
  console: shell,
  dockerfile: shell,
  makefile: shell,
  powershell: shell,
  c: compiled,
  cpp: compiled,
  "c++": compiled,
  cs: compiled,
  csharp: compiled,
  java: compiled,
  go: compiled,
  rust: compiled,
  rs: compiled,
  kotlin: compiled,
  swift: compiled,
  php: compiled,
  ruby: python,
  rb: python,
  dart: compiled,
  scala: compiled,
  sql: sql,
  postgresql: sql,
  sqlite: sql,
  json: data,
  json5: data,
  yaml: data,
  yml: data,
  toml: data,
  ini: data,
  env: data,
  properties: data,
  css: style,
  scss: style,
  less: style,
  html: markup,
  xml: markup,
  svg: markup,
};

/** Cut code into coloured pieces, or give null for a language that is not known. Their texts join to `code`. */
export function highlight(code: string, language: string): Piece[] | null {
  const family = Object.hasOwn(families, language) ? families[language] : undefined;
  if (!family) return null;
  const pattern = new RegExp(`(${family.notes})|(${family.strings})|([A-Za-z_$][\\w$]*)`, "g");
  const fold = family === sql;
  const pieces: Piece[] = [];
  let from = 0;
  for (const match of code.matchAll(pattern)) {
    const [whole, note, string] = match;
    const kind = note
      ? "note"
      : string
        ? "str"
        : wordKind(whole, code[match.index + whole.length], family, fold);
    if (kind === "plain") continue;
    if (match.index > from) pieces.push({ kind: "plain", text: code.slice(from, match.index) });
    pieces.push({ kind, text: whole });
    from = match.index + whole.length;
  }
  if (from < code.length) pieces.push({ kind: "plain", text: code.slice(from) });
  return pieces;
}

function wordKind(word: string, next: string | undefined, family: Family, fold: boolean): Kind {
  if (family.words.has(fold ? word.toLowerCase() : word)) return "key";
  return next === "(" ? "fn" : "plain";
}
