/** Where a box that belongs to a button stands: below it where there is room, else above; inside the window. */
export function place(box: HTMLElement, button: HTMLElement): void {
  const anchor = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const below = anchor.bottom + 4 + height <= window.innerHeight - 8;
  const fromEnd = document.documentElement.dir === "rtl" || anchor.left + width > window.innerWidth - 8;
  const left = fromEnd ? anchor.right - width : anchor.left;
  box.style.top = `${Math.max(8, below ? anchor.bottom + 4 : anchor.top - height - 4)}px`;
  box.style.left = `${Math.max(8, left)}px`;
}
