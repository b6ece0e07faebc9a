"""Knowledge: searching the passages of some folders, and noticing when their files change.

The folders are the only state. Files are read and big folders searched in threads, so that they never hold
up anybody's tokens.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from parlour.features.knowledge.files import MARKDOWN, Stamp, Unreadable, read, scan
from parlour.features.knowledge.index import Index
from parlour.features.knowledge.ranking import rank
from parlour.features.knowledge.split import passages
from parlour.vocabulary.citation import Passage

# Below this fit nothing is worth showing to a model. The built-in model asks for more before it speaks.
THRESHOLD = 0.2

# Seconds between two looks at the files: an editor who saves and asks gets the new text, and a busy server
# does not spend its time on counting files. A look that takes long makes the next one wait longer.
RESCAN_SECONDS = 2.0
_RESCAN_SHARE = 20

SHORT_TEXT = 4_000  # characters; reading them costs about as much as the search itself

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Folder:
    """One folder: its name in document ids, and what was read from it, by file and stamp."""

    path: Path
    name: str
    documents: dict[Path, tuple[Stamp, tuple[Passage, ...]]] = field(default_factory=dict)
    unreadable: dict[Path, tuple[Stamp, Unreadable]] = field(default_factory=dict)
    skipped: list[Unreadable] = field(default_factory=list)


class Knowledge:
    """What may be looked up. Make one with :meth:`load`; it keeps itself up to date."""

    def __init__(self, folders: Sequence[Path], *, rescan_seconds: float = RESCAN_SECONDS) -> None:
        """Name the folders; nothing is read before :meth:`refresh`."""
        self._folders = _named(folders)
        self._rescan_seconds = rescan_seconds
        self._next_look = 0.0
        self._looking = asyncio.Lock()
        self._index = Index(())

    @classmethod
    async def load(cls, folders: Sequence[Path], *, rescan_seconds: float = RESCAN_SECONDS) -> "Knowledge":
        """Read all documents of ``folders`` and return them ready to be searched.

        A file that can't be read is told in :attr:`unreadable`. Whether the folders exist is for the settings
        to check beforehand: here they may come and go.
        """
        knowledge = cls(folders, rescan_seconds=rescan_seconds)
        await knowledge.refresh()
        return knowledge

    @property
    def document_count(self) -> int:
        """The number of documents that can be looked up now."""
        return sum(len(folder.documents) for folder in self._folders)

    @property
    def passages(self) -> tuple[Passage, ...]:
        """All passages that can be looked up now, in the order of their documents."""
        return self._index.passages

    @property
    def unreadable(self) -> tuple[Unreadable, ...]:
        """Files that could not be used, and why."""
        return tuple(
            problem
            for folder in self._folders
            for problem in (*folder.skipped, *(problem for _, problem in folder.unreadable.values()))
        )

    async def search(
        self, question: str, *, limit: int = 6, earlier: Sequence[str] = (), threshold: float = THRESHOLD
    ) -> tuple[Passage, ...]:
        """Return at most ``limit`` passages that fit ``question``, best first; none if nothing fits.

        ``earlier`` are the person's questions before this one, for a follow-up such as "and with Docker?".
        ``score`` of a passage is the share of the question that it covers, from 0 to 1.
        """
        if time.monotonic() >= self._next_look and not self._looking.locked():
            await self.refresh()
        seek = partial(rank, self._index, question, limit=limit, earlier=tuple(earlier))
        found = seek() if self._is_quick(question, earlier) else await asyncio.to_thread(seek)
        if not found or max(passage.score for passage in found) < threshold:
            return ()
        return tuple(found)

    def _is_quick(self, question: str, earlier: Sequence[str]) -> bool:
        """Tell whether a search takes so little (0.5 ms) that handing it to a thread would take longer."""
        return self._index.small and len(question) + sum(map(len, earlier)) <= SHORT_TEXT

    async def refresh(self) -> bool:
        """Look for new, changed and removed files now; tell whether there were any."""
        async with self._looking:
            began = time.monotonic()
            told = set(self.unreadable)
            changed = await asyncio.to_thread(self._reread)
            for problem in self.unreadable:
                if problem not in told:
                    _log.warning("document_skipped", path=str(problem.path), reason=problem.reason)
            if changed:
                everything = [
                    passage
                    for folder in self._folders
                    for _, (_, found) in sorted(folder.documents.items())
                    for passage in found
                ]
                self._index = await asyncio.to_thread(Index, everything)
            took = time.monotonic() - began
            self._next_look = time.monotonic() + max(self._rescan_seconds, _RESCAN_SHARE * took)
            return changed

    def _reread(self) -> bool:
        # A folder that is out of reach for a moment (a network drive) keeps what was read from it.
        present = [folder for folder in self._folders if folder.path.is_dir()]
        changed = [_reread_folder(folder) for folder in present]
        return any(changed)


def _named(folders: Sequence[Path]) -> tuple[_Folder, ...]:
    """Give each folder its own name; ids of documents never show where on the disk they lie."""
    named: list[_Folder] = []
    for path in folders:
        base = path.resolve().name or "documents"
        taken = {folder.name for folder in named}
        name = next(n for n in (base, *(f"{base}-{count}" for count in range(2, 1000))) if n not in taken)
        named.append(_Folder(path, name))
    return tuple(named)


def _reread_folder(folder: _Folder) -> bool:
    """Read what changed in ``folder``; tell whether anything did."""
    stamps, folder.skipped = scan(folder.path)
    gone = [path for path in folder.documents if path not in stamps]
    for path in gone:
        del folder.documents[path]
    for path in [path for path in folder.unreadable if path not in stamps]:
        del folder.unreadable[path]
    fresh = [path for path, stamp in stamps.items() if _unseen(folder, path, stamp)]
    for path in fresh:
        _read_document(folder, path, stamps[path])
    return bool(gone or fresh)


def _unseen(folder: _Folder, path: Path, stamp: Stamp) -> bool:
    known = folder.documents.get(path) or folder.unreadable.get(path)
    return known is None or known[0] != stamp


def _read_document(folder: _Folder, path: Path, stamp: Stamp) -> None:
    folder.documents.pop(path, None)
    folder.unreadable.pop(path, None)
    try:
        text = read(path)
    except OSError as error:
        folder.unreadable[path] = (stamp, Unreadable(path, f"The file can't be read: {error.strerror}."))
        return
    except ValueError as error:
        folder.unreadable[path] = (stamp, Unreadable(path, str(error)))
        return
    document_id = f"{folder.name}/{path.relative_to(folder.path).as_posix()}"
    found = passages(
        document_id, text, fallback_title=_title_of(path), markdown=path.suffix.lower() in MARKDOWN
    )
    folder.documents[path] = (stamp, found)


def _title_of(path: Path) -> str:
    words = path.stem.replace("_", " ").replace("-", " ").strip() or path.name
    return words[:1].upper() + words[1:]
