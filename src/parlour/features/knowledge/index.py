"""An index of passages in memory: SQLite's FTS5 finds candidates, BM25 over synonyms orders them.

Deliberately not a store: the files are the state, the index is made anew from them at every start and after
every change, and it serves both databases alike. It never changes once built, so that a search may go on
in its thread while a newer index takes its place.

FTS5 does the part that has to be fast on large folders (posting lists, document counts). It gets stems made
by :mod:`parlour.llm.words`, so that finding here, judging in :mod:`.ranking` and choosing sentences in the
built-in model agree on what a word is.
"""

import math
import sqlite3
import threading
from collections.abc import Iterable, Sequence

from parlour.llm.words import stems
from parlour.vocabulary.citation import Passage

# Weights of document title, headings and text when FTS5 collects candidates.
_SEARCH = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words, 1.0, 2.0, 1.0) LIMIT ?"


class Index:
    """Passages and their words. ``candidates`` and ``documents_with`` are safe from any thread."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        """Index ``passages``; takes about 1 s for 10,000 of them, so call it in a thread."""
        self.passages = tuple(passages)
        self._places = {passage.id: place for place, passage in enumerate(self.passages)}
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        # Contentless: the texts stand in `passages`, FTS5 keeps only the posting lists.
        self._connection.execute(
            "CREATE VIRTUAL TABLE words USING fts5(title, headings, text, content='', tokenize='unicode61')"
        )
        self._connection.execute("CREATE VIRTUAL TABLE counts USING fts5vocab(words, 'row')")
        rows = ((number, *_columns(passage)) for number, passage in enumerate(self.passages, start=1))
        with self._connection:
            self._connection.executemany(
                "INSERT INTO words (rowid, title, headings, text) VALUES (?, ?, ?, ?)", rows
            )
        self.average_length = self._average_length()

    def close(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._connection.close()

    def candidates(self, words: Iterable[str], *, limit: int) -> list[Passage]:
        """Return the passages that hold any of the stems ``words``, best first by FTS5's own BM25."""
        # Quoted: to FTS5 `AND`, `c++` or a stray quote would be syntax.
        match = " OR ".join('"' + word.replace('"', '""') + '"' for word in words)
        if not match:
            return []
        with self._lock:
            rows = self._connection.execute(_SEARCH, (match, limit)).fetchall()
        return [self.passages[rowid - 1] for (rowid,) in rows]

    def after(self, passage: Passage) -> Passage | None:
        """Return the passage that follows in the same document, if there is one."""
        place = self._places[passage.id] + 1
        following = self.passages[place] if place < len(self.passages) else None
        return following if following and following.document_id == passage.document_id else None

    def documents_with(self, words: Iterable[str]) -> dict[str, int]:
        """Return in how many passages each of the stems ``words`` occurs; absent ones are left out."""
        with self._lock:
            rows = [
                self._connection.execute("SELECT term, doc FROM counts WHERE term = ?", (word,)).fetchone()
                for word in set(words)
            ]
        return dict(row for row in rows if row)

    def rarity(self, count: int) -> float:
        """Return the inverse document frequency of a stem that occurs in ``count`` passages."""
        return math.log(1 + (len(self.passages) - count + 0.5) / (count + 0.5))

    def _average_length(self) -> float:
        (total,) = self._connection.execute("SELECT sum(cnt) FROM counts").fetchone()
        return (total or 0) / max(1, len(self.passages))


def _columns(passage: Passage) -> tuple[str, str, str]:
    headings = " ".join(passage.title_path[1:])
    return " ".join(stems(passage.document_title)), " ".join(stems(headings)), " ".join(stems(passage.text))
