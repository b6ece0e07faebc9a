/** Which addresses a model's words may turn into links: an allow-list, read the way a browser would read it. */

const SCHEMES = new Set(["http:", "https:", "mailto:", "tel:"]);

export interface SafeLink {
  href: string;
  /** Leads away from this page, so it opens beside it. */
  external: boolean;
  host: string | null;
}

/** Give the link that `address` may become, or null when it has to stay text. */
export function safeLink(address: string): SafeLink | null {
  const trimmed = address.trim();
  if (hasControl(trimmed)) return null;
  if (/^#[\w-]*$/.test(trimmed)) return { href: trimmed, external: false, host: null };
  if (/^\/(?![/\\])/.test(trimmed) && !trimmed.includes("\\")) {
    return { href: trimmed, external: true, host: null };
  }
  if (!/^[a-z]+:/i.test(trimmed)) return null;
  try {
    const url = new URL(trimmed);
    if (!SCHEMES.has(url.protocol)) return null;
    if (url.protocol.startsWith("http") && (url.username || url.password)) return null;
    return { href: url.href, external: true, host: url.host || null };
  } catch {
    return null;
  }
}

/** Browsers drop tabs and newlines inside an address, which hides `java\tscript:` from a naive check. */
function hasControl(text: string): boolean {
  return [...text].some((character) => (character.codePointAt(0) ?? 0) < 0x20);
}

/** Tell whether a link's text names another host than the one it leads to. */
export function disguised(label: string, link: SafeLink): boolean {
  const named = /^(?:https?:\/\/)?((?:[\w-]+\.)+[a-z]{2,})(?:[/:?#]|$)/i.exec(label.trim());
  if (!named?.[1] || !link.host) return false;
  return bare(named[1]) !== bare(link.host);
}

function bare(host: string): string {
  return host
    .toLowerCase()
    .replace(/^www\./, "")
    .replace(/:\d+$/, "");
}
