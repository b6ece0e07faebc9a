/** A button that opens a menu: arrow keys, Home, End, first letters by the browser's focus, Esc, and back to the button. */
import {
  type KeyboardEvent,
  type ReactNode,
  useCallback,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { usePressOutside } from "../hooks";
import { place } from "./place";

export interface MenuItem {
  label: string;
  icon?: ReactNode;
  danger?: boolean;
  /** Begins another group. */
  apart?: boolean;
  /** Set on items of which one is chosen; absent on plain acts. */
  checked?: boolean;
  act(): void;
}

interface Props {
  items: readonly MenuItem[];
  heading?: string;
  label: string;
  className?: string;
  tip?: boolean;
  /** The button's own words name it, rather than `label`. */
  spoken?: boolean;
  children: ReactNode;
}

export function Menu({
  items,
  heading,
  label,
  className = "icon-button",
  tip = true,
  spoken,
  children,
}: Props) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const wrap = useRef<HTMLDivElement>(null);
  const close = useCallback((refocus: boolean) => {
    setOpen(false);
    if (refocus) button.current?.focus();
  }, []);
  usePressOutside(wrap, open, () => close(false));
  return (
    <div className="menu-anchor" ref={wrap}>
      <button
        ref={button}
        type="button"
        className={className}
        aria-label={spoken ? undefined : label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        data-tip={tip && !open ? label : undefined}
        onClick={() => setOpen(!open)}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown" || open) return;
          event.preventDefault();
          setOpen(true);
        }}
      >
        {children}
      </button>
      {open && (
        <MenuList
          id={id}
          items={items}
          heading={heading}
          label={label}
          button={button.current}
          close={close}
        />
      )}
    </div>
  );
}

interface ListProps extends Pick<Props, "items" | "label"> {
  heading: string | undefined;
  id: string;
  button: HTMLElement | null;
  close(refocus: boolean): void;
}

function MenuList({ id, items, heading, label, button, close }: ListProps) {
  const list = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!list.current || !button) return;
    list.current.showPopover?.();
    place(list.current, button);
    choices(list.current)[0]?.focus();
  }, [button]);
  return (
    <div
      ref={list}
      id={id}
      role="menu"
      aria-label={label}
      tabIndex={-1}
      popover="manual"
      className="menu"
      onKeyDown={(event) => steer(event, close)}
      onBlur={(event) => {
        const next = event.relatedTarget;
        if (next && next !== button && !event.currentTarget.contains(next)) close(false);
      }}
    >
      {heading && (
        <div className="menu-heading" aria-hidden="true">
          {heading}
        </div>
      )}
      {items.map((item) => (
        <button
          key={item.label}
          type="button"
          {...(item.checked === undefined
            ? { role: "menuitem" }
            : { role: "menuitemradio", "aria-checked": item.checked })}
          tabIndex={-1}
          className={`menu-item${item.danger ? " danger" : ""}${item.apart ? " apart" : ""}`}
          onClick={() => {
            close(true);
            item.act();
          }}
        >
          {item.icon}
          <span>{item.label}</span>
          {item.checked && (
            <span className="menu-check" aria-hidden="true">
              ✓
            </span>
          )}
        </button>
      ))}
    </div>
  );
}

function choices(list: HTMLElement): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>("button")];
}

function steer(event: KeyboardEvent<HTMLDivElement>, close: (refocus: boolean) => void): void {
  const all = choices(event.currentTarget);
  const at = all.indexOf(document.activeElement as HTMLElement);
  const targets: Record<string, number> = {
    ArrowDown: (at + 1) % all.length,
    ArrowUp: (at - 1 + all.length) % all.length,
    Home: 0,
    End: all.length - 1,
  };
  if (event.key === "Escape" || event.key === "Tab") {
    if (event.key === "Escape") event.preventDefault();
    event.stopPropagation();
    close(true);
  } else if (event.key in targets) {
    event.preventDefault();
    all[targets[event.key] ?? 0]?.focus();
  }
}
