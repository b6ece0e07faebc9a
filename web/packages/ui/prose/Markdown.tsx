/** Markdown as React elements. Tokens in, elements out: no HTML string exists on the way (S-5). */

import { directionOf } from "@core/markdown/direction";
import { isCitation, MarkdownDocument, withoutHalfMark } from "@core/markdown/document";
import { decodeEntities } from "@core/markdown/entities";
import { disguised, safeLink } from "@core/markdown/urls";
import type { Token, Tokens } from "marked";
import { Fragment, memo, type ReactNode, useRef } from "react";
import { useWords } from "../context";
import { SourceChip } from "../sources/SourceChip";
import { CodeBlock } from "./CodeBlock";

interface Props {
  text: string;
  /** More text is on its way. */
  arriving: boolean;
}

export function Markdown({ text, arriving }: Props) {
  const document = useRef<MarkdownDocument>(null);
  document.current ??= new MarkdownDocument();
  const tokens = document.current.read(arriving ? withoutHalfMark(text) : text);
  const last = tokens.findLastIndex((token) => token.type !== "space");
  return (
    <div className={arriving ? "prose arriving" : "prose"}>
      {tokens.map((token, index) => (
        // A block keeps its place for as long as it lives, so its place is its key.
        <Block key={index} token={token} arriving={arriving && index === last} />
      ))}
    </div>
  );
}

const Block = memo(function Block({ token, arriving }: { token: Token; arriving: boolean }): ReactNode {
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading":
      return (
        <h3 dir="auto" className={`depth-${Math.min(3, (token as Tokens.Heading).depth)}`}>
          <Inline tokens={(token as Tokens.Heading).tokens} />
        </h3>
      );
    case "code":
      return <CodeBlock token={token as Tokens.Code} arriving={arriving} />;
    case "blockquote":
      return (
        <blockquote dir={directionOf(token.raw)}>{blocks((token as Tokens.Blockquote).tokens)}</blockquote>
      );
    case "list":
      return <List token={token as Tokens.List} />;
    case "table":
      return <Table token={token as Tokens.Table} />;
    case "hr":
      return <hr />;
    case "paragraph":
      return (
        <p dir="auto">
          <Inline tokens={(token as Tokens.Paragraph).tokens} />
        </p>
      );
    default:
      return <Inline tokens={[token]} />;
  }
});

function blocks(tokens: readonly Token[]): ReactNode {
  return tokens.map((token, index) => <Block key={index} token={token} arriving={false} />);
}

function List({ token }: { token: Tokens.List }) {
  const items = token.items.map((item, index) => (
    <li key={index} dir="auto" className={item.task ? "task" : undefined}>
      {item.task && (
        <input type="checkbox" checked={item.checked ?? false} readOnly disabled aria-label={item.text} />
      )}
      {blocks(item.tokens.filter((each) => each.type !== "checkbox"))}
    </li>
  ));
  return token.ordered ? (
    <ol dir={directionOf(token.raw)} start={Number(token.start) || 1}>
      {items}
    </ol>
  ) : (
    <ul dir={directionOf(token.raw)}>{items}</ul>
  );
}

function Table({ token }: { token: Tokens.Table }) {
  const cells = (row: Tokens.TableCell[], Cell: "th" | "td") =>
    row.map((cell, index) => (
      <Cell
        key={index}
        dir="auto"
        scope={Cell === "th" ? "col" : undefined}
        data-align={cell.align ?? undefined}
      >
        <Inline tokens={cell.tokens} />
      </Cell>
    ));
  return (
    <div className="table-scroll" tabIndex={0}>
      <table dir={directionOf(token.raw)}>
        <thead>
          <tr>{cells(token.header, "th")}</tr>
        </thead>
        <tbody>
          {token.rows.map((row, index) => (
            <tr key={index}>{cells(row, "td")}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Inline({ tokens }: { tokens: readonly Token[] }): ReactNode {
  return tokens.map((token, index) => {
    const next = tokens[index + 1];
    const before = next !== undefined && isCitation(next);
    return <Fragment key={index}>{piece(token, before)}</Fragment>;
  });
}

function piece(token: Token, beforeCitation: boolean): ReactNode {
  if (isCitation(token)) return <SourceChip number={token.number} />;
  switch (token.type) {
    case "strong":
      return <strong>{nested(token)}</strong>;
    case "em":
      return <em>{nested(token)}</em>;
    case "del":
      return <del>{nested(token)}</del>;
    case "codespan":
      return <InlineCode text={String(token.text)} />;
    case "br":
      return <br />;
    case "link":
      return (
        <Link href={(token as Tokens.Link).href} label={(token as Tokens.Link).text}>
          {nested(token)}
        </Link>
      );
    case "image":
      return <ImageLink token={token as Tokens.Image} />;
    default:
      return "tokens" in token && token.tokens ? nested(token) : words(token, beforeCitation);
  }
}

/** A name of ordinary length stays whole on its line; longer code may break anywhere. */
function InlineCode({ text }: { text: string }) {
  return (
    <code dir="ltr" className={text.length <= 32 ? "short" : undefined}>
      {text}
    </code>
  );
}

function nested(token: Token): ReactNode {
  return "tokens" in token && token.tokens ? <Inline tokens={token.tokens} /> : words(token, false);
}

function words(token: Token, beforeCitation: boolean): string {
  const text = decodeEntities("text" in token ? String(token.text) : token.raw);
  // The chip brings its own gap, and must not begin a line of its own.
  return beforeCitation ? text.trimEnd() : text;
}

function Link({ href, label, children }: { href: string; label: string; children: ReactNode }) {
  const link = safeLink(decodeEntities(href));
  if (!link) return <>{children}</>;
  return (
    <a
      href={link.href}
      {...(link.external ? { target: "_blank", rel: "noopener noreferrer nofollow ugc" } : {})}
    >
      {children}
      {disguised(label, link) ? ` (${link.host})` : null}
    </a>
  );
}

/** An image is a request to someone's server the moment it is drawn, so it is drawn as a link. */
function ImageLink({ token }: { token: Tokens.Image }) {
  const t = useWords();
  const link = safeLink(decodeEntities(token.href));
  const label = token.text
    ? t("message.image", { name: token.text })
    : t("message.imageOn", { host: link?.host ?? "" });
  return (
    <Link href={token.href} label={label}>
      {label}
    </Link>
  );
}
