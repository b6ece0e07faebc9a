/** How far off a moment is, in the near words that a reader thinks in. */
import type { Language } from "./i18n/translate";

const MINUTE = 60_000;

/** "in 23 s", "in 12 min", "at 18:05", "on 1 December, 00:00". Neither a time nor a day is torn apart by a line's end. */
export function when({ locale, translate }: Language, moment: number, now: number): string {
  const left = Math.max(0, moment - now);
  if (left < 90_000) return translate("when.seconds", { count: Math.ceil(left / 1000) });
  if (left < 60 * MINUTE) return translate("when.minutes", { count: Math.ceil(left / MINUTE) });
  const date = new Date(moment);
  const time = whole(new Intl.DateTimeFormat(locale, { timeStyle: "short" }).format(date));
  if (date.toDateString() === new Date(now).toDateString()) return translate("when.today", { time });
  const day = whole(new Intl.DateTimeFormat(locale, { day: "numeric", month: "long" }).format(date));
  return translate("when.later", { day, time });
}

function whole(words: string): string {
  return words.replace(/\s/g, "\u00a0");
}

/** A span of time as people say it: "0.8 s", "12 s", "3 min"; `brief` is for the cells of a table. */
export function span({ locale, translate }: Language, milliseconds: number, brief = false): string {
  if (milliseconds >= 2 * MINUTE) {
    return translate("when.spanMinutes", { count: Math.round(milliseconds / MINUTE) });
  }
  const seconds = milliseconds / 1000;
  const digits = seconds < 10 ? 1 : 0;
  const figure = new Intl.NumberFormat(locale, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  if (seconds < 0.1) {
    return translate(brief ? "when.spanBrief" : "when.spanShort", { figure: figure.format(0.1) });
  }
  return translate("when.span", { figure: figure.format(seconds) });
}

/** Dollars, exact enough that a hundredth of a cent is not rounded to nothing. */
export function dollars({ locale }: Language, amount: number): string {
  const small = amount !== 0 && Math.abs(amount) < 0.1;
  return new Intl.NumberFormat(locale, {
    style: "currency",
    currency: "USD",
    ...(small && { minimumSignificantDigits: 2, maximumSignificantDigits: 2 }),
  }).format(amount);
}
