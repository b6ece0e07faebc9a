/**
 * Every word of the interface goes through `translate`. A language is one catalogue with the English keys;
 * a message is a string with `{name}` holes, or its plural forms chosen by `{count}`.
 */
import { en } from "./en";

export type Key = keyof typeof en;
export type Params = Readonly<Record<string, string | number>>;
type Plural = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };
export type Catalogue = Readonly<Record<Key, string | Plural>>;
export type Translate = (key: Key, params?: Params) => string;

export interface Language {
  locale: string;
  direction: "ltr" | "rtl";
  translate: Translate;
}

const catalogues: Readonly<Record<string, Catalogue>> = { en };
const rightToLeft = new Set(["ar", "fa", "he", "ur"]);

/** Choose the first language asked for that there is a catalogue of. */
export function languageFor(wanted: readonly string[]): Language {
  const locale = wanted.find((each) => catalogues[base(each)]) ?? "en";
  const catalogue = catalogues[base(locale)] ?? en;
  const plurals = new Intl.PluralRules(locale);
  return {
    locale,
    direction: rightToLeft.has(base(locale)) ? "rtl" : "ltr",
    translate: (key, params = {}) => fill(form(catalogue[key], plurals, params.count), params, locale),
  };
}

function base(locale: string): string {
  return locale.toLowerCase().split("-")[0] ?? "en";
}

function form(
  message: string | Plural,
  plurals: Intl.PluralRules,
  count: string | number | undefined,
): string {
  if (typeof message === "string") return message;
  return message[plurals.select(Number(count ?? 0))] ?? message.other;
}

function fill(message: string, params: Params, locale: string): string {
  return message.replace(/\{(\w+)\}/g, (hole, name: string) => {
    const value = params[name];
    return typeof value === "number" ? value.toLocaleString(locale) : (value ?? hole);
  });
}
