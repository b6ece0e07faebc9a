/** The direction of a text: that of its first letter, as `dir="auto"` decides it. */
const RIGHT_TO_LEFT =
  /\p{Script=Arabic}|\p{Script=Hebrew}|\p{Script=Syriac}|\p{Script=Thaana}|\p{Script=Nko}/u;

/**
 * For boxes whose children set their own direction: the browser skips such children when it looks for a
 * letter, so a list or a table would never learn which side its marks and columns belong to.
 */
export function directionOf(text: string): "ltr" | "rtl" {
  const letter = /\p{L}/u.exec(text)?.[0] ?? "";
  return RIGHT_TO_LEFT.test(letter) ? "rtl" : "ltr";
}
