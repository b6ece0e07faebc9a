"""Reading a folder of Markdown and text files. One bad file is reported and never spoils the others."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

MARKDOWN = frozenset({".md", ".markdown"})
PLAIN_TEXT = frozenset({".txt", ".text"})
# A book of 300 pages is about 1 MB of text; more in one file is a dump, not a document.
MAX_FILE_BYTES = 5_000_000
MAX_FILES = 20_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether a file changed: nanoseconds of its last change, and its size in bytes."""

    changed_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be used, and why, in words for the operator."""

    path: Path
    reason: str


def scan(folder: Path) -> tuple[dict[Path, Stamp], list[Unreadable]]:
    """Find the documents in ``folder`` and below, in a steady order, without opening them.

    Hidden files and folders are left out, and so is a link that leads out of the folder: whoever may put a
    link there should not thereby publish ``/etc``.
    """
    root = folder.resolve()
    found: dict[Path, Stamp] = {}
    bad: list[Unreadable] = []
    for place, folders, names in os.walk(folder, onerror=lambda error: _note(bad, error)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or path.suffix.lower() not in MARKDOWN | PLAIN_TEXT:
                continue
            if len(found) >= MAX_FILES:
                bad.append(Unreadable(folder, f"Only the first {MAX_FILES:,} files are used."))
                return found, bad
            stamp = _stamp(path, root, bad)
            if stamp is not None:
                found[path] = stamp
    return found, bad


def read(path: Path) -> str:
    """Return the text of a file; raises :class:`OSError` or, for what is not text, :class:`ValueError`."""
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _clean(raw.decode("utf-16"))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Old Windows editors; latin-1 takes the few bytes that cp1252 leaves undefined.
        text = raw.decode("cp1252") if _defined(raw) else raw.decode("latin-1")
    if "\0" in text:
        raise ValueError("The file is not text.")
    return _clean(text)


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _defined(raw: bytes) -> bool:
    return not any(byte in raw for byte in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d"))


def _note(bad: list[Unreadable], error: OSError) -> None:
    bad.append(Unreadable(Path(error.filename or "."), f"The folder can't be read: {error.strerror}."))


def _stamp(path: Path, root: Path, bad: list[Unreadable]) -> Stamp | None:
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            bad.append(Unreadable(path, "The link leads out of the folder."))
            return None
        about = path.stat()
    except OSError as error:
        bad.append(Unreadable(path, f"The file can't be read: {error.strerror}."))
        return None
    if not stat.S_ISREG(about.st_mode):
        bad.append(Unreadable(path, "This is not a regular file."))
        return None
    if about.st_size > MAX_FILE_BYTES:
        bad.append(
            Unreadable(path, f"The file has {about.st_size:,} bytes; the limit is {MAX_FILE_BYTES:,}.")
        )
        return None
    return Stamp(about.st_mtime_ns, about.st_size)
