/** Where a box that belongs to a button stands: below it where there is room, else above; inside the window. */
export function place(box: HTMLElement, button: HTMLElement): void {
  const anchor = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const below = anchor.bottom + 4 + height <= window.innerHeight - 8;
  box.style.top = `${Math.max(8, below ? anchor.bottom + 4 : anchor.top - height - 4)}px`;
  alongside(box, anchor, width);
}

/** The same for a box that must not cover what its button is a part of: where there is more room, and no higher. */
export function placeOutside(box: HTMLElement, button: HTMLElement, whole: HTMLElement): void {
  const { top, bottom } = whole.getBoundingClientRect();
  const [above, below] = [top - 12, window.innerHeight - bottom - 12];
  const down = box.offsetHeight <= below || below >= above;
  box.style.setProperty("--room", `${Math.max(160, down ? below : above)}px`);
  box.style.top = `${Math.max(8, down ? bottom + 4 : top - box.offsetHeight - 4)}px`;
  alongside(box, button.getBoundingClientRect(), box.offsetWidth);
}

function alongside(box: HTMLElement, anchor: DOMRect, width: number): void {
  const fromEnd = document.documentElement.dir === "rtl" || anchor.left + width > window.innerWidth - 8;
  box.style.left = `${Math.max(8, fromEnd ? anchor.right - width : anchor.left)}px`;
}
