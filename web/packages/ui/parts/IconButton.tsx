/** A button that is an icon: it always has a name, and shows it on hover and focus. */
import type { ButtonHTMLAttributes, ReactNode, Ref } from "react";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  label: string;
  children: ReactNode;
  ref?: Ref<HTMLButtonElement>;
}

export function IconButton({ label, children, className = "", ref, ...rest }: Props) {
  return (
    <button
      ref={ref}
      type="button"
      aria-label={label}
      data-tip={label}
      className={`icon-button ${className}`}
      {...rest}
    >
      {children}
    </button>
  );
}
