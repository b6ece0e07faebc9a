/** What a listener hears of an answer: its words without marks, addresses or code fences. */
import type { Token, Tokens } from "marked";
import { isCitation } from "./document";
import { decodeEntities } from "./entities";

export function plainText(tokens: readonly Token[]): string {
  return tokens
    .map(block)
    .filter((text) => text !== "")
    .join("\n");
}

function block(token: Token): string {
  if (token.type === "list") {
    return (token as Tokens.List).items.map((item) => plainText(item.tokens)).join("\n");
  }
  if (token.type === "table") {
    const { header, rows } = token as Tokens.Table;
    return [header, ...rows].map((row) => row.map((cell) => inline(cell.tokens)).join(", ")).join("\n");
  }
  if (token.type === "blockquote") return plainText((token as Tokens.Blockquote).tokens);
  if (token.type === "space" || token.type === "hr" || token.type === "def") return "";
  return inline([token]).trim();
}

function inline(tokens: readonly Token[]): string {
  return tokens.map((token) => words(token)).join("");
}

function words(token: Token): string {
  if (isCitation(token)) return "";
  if (token.type === "br") return "\n";
  if ("tokens" in token && token.tokens) return inline(token.tokens);
  if (token.type === "code" || token.type === "codespan") return String(token.text);
  return "text" in token ? decodeEntities(String(token.text)) : "";
}
