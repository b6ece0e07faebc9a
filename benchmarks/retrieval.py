"""Measure lexical retrieval on a public data set in BEIR form.

    python -m benchmarks.retrieval DATA/retrieval/scifact

The folder holds `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels.tsv`
(query, document, grade). SciFact (https://github.com/allenai/scifact: claims CC BY 4.0, abstracts ODC-By
1.0) and XQuAD (https://github.com/google-deepmind/xquad, CC BY-SA 4.0) are not part of this project.
Published beside it: BM25 (Anserini, flat) on SciFact has nDCG@10 0.679 and recall@100 0.925.
"""

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parlour.features.knowledge.index import Index
from parlour.features.knowledge.ranking import rank
from parlour.vocabulary.citation import Passage


def main() -> None:
    """Print nDCG@10, recall@100 and times for one data set."""
    parser = argparse.ArgumentParser(description="Measure lexical retrieval on a data set in BEIR form.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    passages = [_passage(row) for row in _rows(folder / "corpus.jsonl")]
    relevant = _judgements(folder / "qrels.tsv")
    queries = {row["_id"]: row["text"] for row in _rows(folder / "queries.jsonl") if row["_id"] in relevant}

    began = time.process_time()
    index = Index(passages)
    built = time.process_time() - began
    began = time.process_time()
    found = {query: [p.id for p in rank(index, text, limit=100)] for query, text in queries.items()}
    searched = time.process_time() - began

    gain = sum(ndcg(found[query], relevant[query], 10) for query in queries) / len(queries)
    recall = sum(_recall(found[query], relevant[query]) for query in queries) / len(queries)
    print(f"{folder.name}: {len(passages):,} passages, {len(queries):,} queries")
    print(f"  nDCG@10     {gain:.4f}")
    print(f"  recall@100  {recall:.4f}")
    print(f"  indexed in  {built:.2f} s CPU")
    print(f"  per query   {1000 * searched / len(queries):.1f} ms CPU")


def ndcg(found: list[str], relevant: dict[str, int], depth: int) -> float:
    """Return the normalised discounted cumulative gain of the first ``depth`` results."""
    gains = [relevant.get(document, 0) for document in found[:depth]]
    ideal = sorted(relevant.values(), reverse=True)[:depth]
    return _discounted(gains) / _discounted(ideal)


def _discounted(gains: list[int]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


def _recall(found: list[str], relevant: dict[str, int]) -> float:
    return sum(1 for document in relevant if document in set(found)) / len(relevant)


def _passage(row: dict[str, Any]) -> Passage:
    title = row.get("title") or ""
    return Passage(
        id=row["_id"], document_id=row["_id"], document_title=title, title_path=(title,), text=row["text"]
    )


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines():
        query, document, grade = line.split("\t")
        if grade.isdigit() and int(grade) > 0:
            relevant[query][document] = int(grade)
    return relevant


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


if __name__ == "__main__":
    main()
