/** Small hooks over the browser. */
import {
  type RefObject,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";

/** Two columns beside the sidebar need this much page; narrower, the sidebar is a drawer. */
export const DRAWER = "(max-width: 899.98px)";
/** From here on sources stand in the margin. */
export const MARGIN = "(min-width: 1280px)";
/** Up to here a source opens as a sheet. */
export const PHONE = "(max-width: 599.98px)";

export function useMedia(query: string): boolean {
  const subscribe = useCallback(
    (changed: () => void) => {
      const media = window.matchMedia(query);
      media.addEventListener("change", changed);
      return () => media.removeEventListener("change", changed);
    },
    [query],
  );
  return useSyncExternalStore(subscribe, () => window.matchMedia(query).matches);
}

/** True for a while after `show()`, as for "Copied". */
export function useMoment(milliseconds: number): [boolean, () => void] {
  const [shown, setShown] = useState(0);
  useEffect(() => {
    if (shown === 0) return;
    const timer = setTimeout(() => setShown(0), milliseconds);
    return () => clearTimeout(timer);
  }, [shown, milliseconds]);
  return [shown > 0, useCallback(() => setShown((count) => count + 1), [])];
}

/** True once `active` has held for as long as given. */
export function useAfter(active: boolean, milliseconds: number): boolean {
  const [due, setDue] = useState(false);
  useEffect(() => {
    setDue(false);
    if (!active) return;
    const timer = setTimeout(() => setDue(true), milliseconds);
    return () => clearTimeout(timer);
  }, [active, milliseconds]);
  return active && due;
}

/** Call `outside` when something is pressed that is not in `ref`. */
export function usePressOutside(
  ref: RefObject<HTMLElement | null>,
  active: boolean,
  outside: () => void,
): void {
  const latest = useRef(outside);
  latest.current = outside;
  useEffect(() => {
    if (!active) return;
    const pressed = (event: PointerEvent) => {
      if (!ref.current?.contains(event.target as Node)) latest.current();
    };
    document.addEventListener("pointerdown", pressed, true);
    return () => document.removeEventListener("pointerdown", pressed, true);
  }, [ref, active]);
}

/** Where a box that scrolls goes on out of sight: "above", "below", both of them, or nothing. */
export function useEdges(ref: RefObject<HTMLElement | null>): string {
  const [edges, setEdges] = useState("");
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box || typeof ResizeObserver === "undefined") return;
    const look = () => {
      const above = box.scrollTop > 1 && "above";
      const below = box.scrollHeight - box.clientHeight - box.scrollTop > 1 && "below";
      setEdges([above, below].filter(Boolean).join(" "));
    };
    const watch = new ResizeObserver(look);
    watch.observe(box);
    box.addEventListener("scroll", look, { passive: true });
    return () => {
      watch.disconnect();
      box.removeEventListener("scroll", look);
    };
  }, [ref]);
  return edges;
}

/** Put text on the clipboard, also where the page came without TLS and the modern way is closed. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "visually-hidden";
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    return copied;
  }
}
