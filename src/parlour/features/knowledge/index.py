"""An index of passages in memory: it finds candidates, ranking orders them.

Deliberately not a store: the files are the state, the index is made anew from them at every start and after
every change, and it serves both databases alike. It never changes once built, so that a search may go on
in its thread while a newer index takes its place.

In a large folder SQLite's FTS5 finds the candidates: it is fast and lets other threads run. Among a few
hundred passages asking it would cost more than looking at each of those that hold a word (220 µs against 10).
Both get stems made by :mod:`parlour.llm.words`, so that finding here, judging in :mod:`.ranking` and choosing
sentences in the built-in model agree on what a word is.
"""

import math
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from parlour.features.knowledge.reading import Reading, read
from parlour.llm.words import text_stems, tokens
from parlour.vocabulary.citation import Passage

_TABLE = "CREATE VIRTUAL TABLE words USING fts5(title, headings, text, content='', tokenize='unicode61')"
_INSERT = "INSERT INTO words (rowid, title, headings, text) VALUES (?, ?, ?, ?)"
_SEARCH = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words, 1.0, 2.0, 1.0) LIMIT ?"

# Passages whose reading is kept: about 20 kB each, so 40 MB at most.
_READINGS = 2_000

# So many passages are few: whichever of them holds a word is a candidate.
FEW = 400


class Index:
    """Passages and their words; safe from any thread.

    ``counts`` tells in how many passages each stem occurs, ``spellings`` holds the words as written.
    """

    def __init__(self, passages: Sequence[Passage], *, few: int = FEW) -> None:
        """Index ``passages``; takes about 2 s for 10,000 of them, so call it in a thread."""
        self.passages = tuple(passages)
        self.small = len(self.passages) <= few
        """A search is so short that a thread of its own would cost more."""
        self._places = {passage.id: place for place, passage in enumerate(self.passages)}
        self._reading: Callable[[int], Reading] = lru_cache(_READINGS)(self._read)
        self._holding: dict[str, set[int]] = {}  # places of the passages that hold a stem, of a small index
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        # Searches may still run in an index that was replaced: the last of them gives the memory back.
        weakref.finalize(self, self._connection.close)
        # Contentless: the texts stand in `passages`, FTS5 keeps only the posting lists.
        self._connection.execute(_TABLE)
        spellings: set[str] = set()
        counts: dict[str, int] = {}
        documents: dict[str, set[str]] = {}
        length = 0
        with self._connection:
            for number, passage in enumerate(self.passages, start=1):
                parts = (passage.document_title, " ".join(passage.title_path[1:]), passage.text)
                columns = [text_stems(part) for part in parts]
                spellings.update(*map(tokens, parts))
                own = set().union(*columns)
                for word in own:
                    counts[word] = counts.get(word, 0) + 1
                if self.small:
                    for word in own:
                        self._holding.setdefault(word, set()).add(number - 1)
                else:
                    self._connection.execute(_INSERT, (number, *map(" ".join, columns)))
                documents.setdefault(passage.document_id, set()).update(own)
                length += len(columns[-1])
        self.spellings = frozenset(spellings)
        self.counts = counts
        self._documents = {name: frozenset(words) for name, words in documents.items()}
        self.average_length = length / max(1, len(self.passages))

    def candidates(self, words: Iterable[str], *, limit: int) -> list[Passage]:
        """Return passages that hold any of the stems ``words``.

        Of many the best ``limit`` by FTS5's own BM25, best first; in a small index all, in their order.
        """
        if self.small:
            places: set[int] = set().union(*(self._holding.get(word, ()) for word in words))
            return [self.passages[place] for place in sorted(places)]
        # Quoted: to FTS5 `AND`, `c++` or a stray quote would be syntax.
        match = " OR ".join('"' + word.replace('"', '""') + '"' for word in sorted(words))
        if not match:
            return []
        with self._lock:
            rows = self._connection.execute(_SEARCH, (match, limit)).fetchall()
        return [self.passages[rowid - 1] for (rowid,) in rows]

    def reading(self, passage: Passage) -> Reading:
        """Return what ranking needs to know of one of the passages."""
        return self._reading(self._places[passage.id])

    def _read(self, place: int) -> Reading:
        return read(self.passages[place])

    def after(self, passage: Passage) -> Passage | None:
        """Return the passage that follows in the same document, if there is one."""
        place = self._places[passage.id] + 1
        following = self.passages[place] if place < len(self.passages) else None
        return following if following and following.document_id == passage.document_id else None

    def document(self, passage: Passage) -> frozenset[str]:
        """Return the stems of the whole document that a passage is a part of."""
        return self._documents[passage.document_id]

    def rarity(self, count: int) -> float:
        """Return the inverse document frequency of a stem that occurs in ``count`` passages."""
        return math.log(1 + (len(self.passages) - count + 0.5) / (count + 0.5))
