/** Names for people: of those who offer models, and of models that the server knows by their id only. */
import type { Model } from "@client/types";

const PROVIDERS: Readonly<Record<string, string>> = {
  openai: "OpenAI",
  anthropic: "Anthropic",
  gemini: "Gemini",
  ollama: "Ollama",
};

/** The name a provider goes by, or null for one that has none of its own. */
export function providerName(provider: string | null): string | null {
  return (provider && PROVIDERS[provider]) || null;
}

/** Families whose ids are made of words and version numbers, and nothing else that would tell two apart. */
const FAMILY = /^(gpt|claude|gemini)(-[a-z]+|-\d{1,2}(\.\d+)?[a-z]?)+$/;
const VERSION = /^\d/;

/** "claude-sonnet-5-5" as "Claude Sonnet 5.5"; whatever is not understood keeps the name it was given. */
export function readable(id: string): string {
  const bare = id.replace(/:latest$/, "");
  if (!FAMILY.test(bare)) return bare;
  const words = bare
    .replace(/(?<=-\d{1,2})-(?=\d{1,2}(-|$))/g, ".")
    .split("-")
    .map((word) => (VERSION.test(word) ? word : word.charAt(0).toUpperCase() + word.slice(1)));
  const [family, version, ...rest] = words;
  return family === "Gpt" ? [`GPT-${version}`, ...rest].join(" ") : words.join(" ");
}

/** A model's id without the provider in front. */
export function bareId(id: string, provider: string | null): string {
  const [prefix, ...rest] = id.split("/");
  const bare = rest.length > 0 && prefix !== undefined && (prefix in PROVIDERS || prefix === provider);
  return bare ? rest.join("/") : id;
}

/** A model's own name: as the list calls it, else from its id. */
export function modelName(items: readonly Model[], id: string, provider: string | null = null): string {
  const listed = items.find((model) => model.id === id || model.id === `${provider}/${id}`);
  return readable(listed?.name ?? bareId(id, provider));
}
