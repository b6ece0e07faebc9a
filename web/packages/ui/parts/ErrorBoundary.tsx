/** Keeps an error in one part of the page from taking the rest down. */
import { Component, type ReactNode } from "react";

interface Props {
  /** What stands in place of the part that failed; `again` draws it once more. */
  fallback(again: () => void): ReactNode;
  /** A new value is a reason to try again. */
  watch?: unknown;
  children: ReactNode;
}

export class ErrorBoundary extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override componentDidUpdate(before: Props): void {
    if (this.state.failed && before.watch !== this.props.watch) this.setState({ failed: false });
  }

  override render(): ReactNode {
    return this.state.failed
      ? this.props.fallback(() => this.setState({ failed: false }))
      : this.props.children;
  }
}
