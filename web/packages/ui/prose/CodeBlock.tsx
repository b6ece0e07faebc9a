/** A block of code: its language, Copy once it is whole, colours when they have loaded. Always left to right. */
import type { Kind, Piece } from "@core/markdown/highlight";
import { Check, Copy } from "lucide-react";
import type { Tokens } from "marked";
import { useEffect, useState } from "react";
import { useWords } from "../context";
import { copyText, useMoment } from "../hooks";

const NAMES: Readonly<Record<string, string>> = {
  py: "Python",
  python: "Python",
  js: "JavaScript",
  javascript: "JavaScript",
  ts: "TypeScript",
  typescript: "TypeScript",
  jsx: "JSX",
  tsx: "TSX",
  sh: "Shell",
  bash: "Shell",
  shell: "Shell",
  console: "Shell",
  json: "JSON",
  yaml: "YAML",
  yml: "YAML",
  toml: "TOML",
  html: "HTML",
  css: "CSS",
  sql: "SQL",
  go: "Go",
  rust: "Rust",
  java: "Java",
  c: "C",
  cpp: "C++",
  csharp: "C#",
  php: "PHP",
  ruby: "Ruby",
  swift: "Swift",
  kotlin: "Kotlin",
  xml: "XML",
  dockerfile: "Dockerfile",
  ini: "INI",
  env: "Environment",
};

export function CodeBlock({ token, arriving }: { token: Tokens.Code; arriving: boolean }) {
  const t = useWords();
  const language = (token.lang ?? "").trim().split(/\s/)[0]?.toLowerCase() ?? "";
  const whole = !arriving || closed(token.raw);
  const pieces = usePieces(token.text, language, whole);
  return (
    <figure className="code" dir="ltr">
      <figcaption>
        <span>{NAMES[language] ?? (language || t("code.plain"))}</span>
        {whole && <CopyCode text={token.text} />}
      </figcaption>
      <pre tabIndex={0} aria-label={t("code.label")} role="group">
        <code>{pieces ? pieces.map(draw) : token.text}</code>
      </pre>
    </figure>
  );
}

function CopyCode({ text }: { text: string }) {
  const t = useWords();
  const [copied, showCopied] = useMoment(2_000);
  const copy = async () => (await copyText(text)) && showCopied();
  return (
    <button
      type="button"
      className="copy-code"
      onClick={copy}
      aria-label={copied ? undefined : t("code.copy")}
    >
      {copied ? <Check size={14} strokeWidth={1.75} /> : <Copy size={14} strokeWidth={1.75} />}
      <span>{copied ? t("message.copied") : t("message.copy")}</span>
    </button>
  );
}

/** The closing fence has come, though nothing follows it yet. */
function closed(raw: string): boolean {
  const fence = /^ {0,3}(`{3,}|~{3,})/.exec(raw)?.[1];
  if (!fence) return false;
  const last = raw.trimEnd().split("\n").slice(1).at(-1)?.trim() ?? "";
  return last.length >= fence.length && [...last].every((character) => character === fence[0]);
}

function usePieces(code: string, language: string, whole: boolean): Piece[] | null {
  const [pieces, setPieces] = useState<Piece[] | null>(null);
  useEffect(() => {
    setPieces(null);
    if (!whole || !language) return;
    let wanted = true;
    import("@core/markdown/highlight").then(
      ({ highlight }) => wanted && setPieces(highlight(code, language)),
      () => undefined,
    );
    return () => {
      wanted = false;
    };
  }, [code, language, whole]);
  return pieces;
}

const CLASSES: Readonly<Record<Kind, string | undefined>> = {
  plain: undefined,
  key: "code-key",
  str: "code-str",
  fn: "code-fn",
  note: "code-note",
};

function draw(piece: Piece, index: number) {
  const name = CLASSES[piece.kind];
  return name ? (
    <span key={index} className={name}>
      {piece.text}
    </span>
  ) : (
    piece.text
  );
}
