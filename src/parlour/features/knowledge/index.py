"""An index of passages in memory: it finds candidates, ranking orders them.

Deliberately not a store: the files are the state, the index is made anew from them at every start and after
every change, and it serves both databases alike. It never changes once built, so that a search may go on
in its thread while a newer index takes its place.

In a large folder SQLite's FTS5 finds the candidates: it is fast and lets other threads run. Among a few
hundred passages asking it would cost more than to keep what BM25 needs of every word (300 µs against 70).
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

# BM25's constants, chosen on SciFact (benchmarks/retrieval.py).
_SATURATION = 1.5
_LENGTH = 0.5

Holders = dict[str, list[tuple[int, float]]]
"""Of stems: the places of passages that hold them, and what the stem weighs in each by BM25."""


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
        self.reading: Callable[[int], Reading] = lru_cache(_READINGS)(self._read)
        self._holders: Holders = {}  # of all stems, where passages are few
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
                if not self.small:
                    self._connection.execute(_INSERT, (number, *map(" ".join, columns)))
                documents.setdefault(passage.document_id, set()).update(own)
                length += len(columns[-1])
        self.spellings = frozenset(spellings)
        self.counts = counts
        self._documents = {name: frozenset(words) for name, words in documents.items()}
        self.average_length = length / max(1, len(self.passages))
        if self.small:
            self._holders = self._weighed(range(len(self.passages)))

    def holders(self, words: Iterable[str], *, limit: int) -> Holders:
        """Return which passages hold any of the stems ``words``.

        Of many passages, only the best ``limit`` by FTS5's own BM25 are told.
        """
        if self.small:
            return {word: self._holders[word] for word in words if word in self._holders}
        wanted = frozenset(words)
        return self._weighed(self._candidates(wanted, limit), wanted)

    def _candidates(self, words: Iterable[str], limit: int) -> list[int]:
        # Quoted: to FTS5 `AND`, `c++` or a stray quote would be syntax.
        match = " OR ".join('"' + word.replace('"', '""') + '"' for word in sorted(words))
        if not match:
            return []
        with self._lock:
            rows = self._connection.execute(_SEARCH, (match, limit)).fetchall()
        return [rowid - 1 for (rowid,) in rows]

    def _weighed(self, places: Iterable[int], words: frozenset[str] | None = None) -> Holders:
        holders: Holders = {}
        for place in places:
            reading = self.reading(place)
            length = reading.length / max(1.0, self.average_length)
            norm = _SATURATION * (1 - _LENGTH + _LENGTH * length)
            for word, count in reading.counts.items():
                if words is None or word in words:
                    weight = count * (_SATURATION + 1) / (count + norm)
                    holders.setdefault(word, []).append((place, weight))
        return holders

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
