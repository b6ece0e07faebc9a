"""Print how well the built-in model answers the committed questions, and which ones it gets wrong.

python -m benchmarks.answers [--part tuning] [--show]
"""

import argparse
import asyncio
from collections.abc import Sequence

from benchmarks.answers.measure import FOLDER, Result, ask, questions
from parlour.features.knowledge.bundled import bundled_folder


def main() -> None:
    """Ask, and print a line for each part and each miss."""
    parser = argparse.ArgumentParser(description="Measure the built-in answers.")
    parser.add_argument("--part", help="only this part of the questions")
    parser.add_argument("--show", action="store_true", help="print the answers, too")
    options = parser.parse_args()
    asked = [q for path in sorted(FOLDER.glob("*.toml")) for q in questions(path)]
    wanted = [question for question in asked if options.part in (None, question.part)]
    results = asyncio.run(ask(wanted, bundled_folder()))
    for part in dict.fromkeys(result.question.part for result in results):
        _print_part(part, [result for result in results if result.question.part == part])
    for result in results:
        if options.show or not result.good:
            _print_result(result, show=options.show)


def _print_part(part: str, results: Sequence[Result]) -> None:
    answerable = [result for result in results if result.question.right]
    others = [result for result in results if not result.question.right]
    print(
        f"{part:<10} right passage cited {_share([r.good for r in answerable])}, "
        f"first of all {_share([r.first_good for r in answerable])}; "
        f"unanswerable abstained {_share([r.good for r in others])}"
    )


def _share(verdicts: Sequence[bool]) -> str:
    return f"{sum(verdicts)} of {len(verdicts)} ({sum(verdicts) / max(1, len(verdicts)):.0%})"


def _print_result(result: Result, *, show: bool) -> None:
    print(f"\n{'good' if result.good else 'MISS'}: {result.question.text}")
    print(f"  right: {', '.join(sorted(result.question.right)) or 'to say that it is not known'}")
    print(f"  cited: {', '.join(result.cited) or 'nothing'}")
    if show:
        print("  " + result.text.replace("\n", "\n  "))


if __name__ == "__main__":
    main()
