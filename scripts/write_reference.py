"""Write docs/reference from the sources: settings, errors, commands, metrics. ``--check`` only compares.

Every page is made of what the code itself says, so a setting without a meaning, or an error without a
sentence, cannot be documented, and a test notices a page that was not written again.
"""

import argparse
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from prometheus_client import Metric

from parlour.__main__ import APPLICATION
from parlour.entrypoints.cli.commands import commands
from parlour.entrypoints.http import problems
from parlour.entrypoints.http.problems import KINDS
from parlour.infra.observability.metrics import Metrics
from parlour.settings import describe
from parlour.vocabulary import errors
from parlour.vocabulary.errors import ParlourError

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"

SETTINGS = """\
# Settings

Settings come from the environment and from one TOML file; the environment wins, and the options of
`parlour serve` win over both. The file is the one that `--config` names, else `parlour.toml` in the
working directory, else `parlour.toml` in the data folder. In the file a name such as `server.port`
is the key `port` in the table `[server]`. An unknown name is an error that names the nearest known
one; an empty variable counts as not set.

`parlour config check` says whether the settings hold, `parlour config show` prints those in force,
with secrets hidden.
"""

ERRORS = """\
# Errors

Over HTTP every error is a problem document (RFC 9457, `application/problem+json`): `type`, `title`,
`status`, `detail`, `code`, `retryable`, `requestId`, and `errors`, a list of `field`, `message` and
`code` for each field that needs mending. `code` is stable: build on it, not on the words.
`retryable` says whether the same request may work later; `Retry-After` says when, where that is
known. `requestId` is also in the header `X-Request-Id` and in every line of the log that belongs to
the request. A reply that failed also carries `runId`.

In an event stream the codes of failed replies come in the `error` event. What does not exist and
what belongs to somebody else are one error: `not_found`.
"""

COMMANDS = """\
# Commands

`parlour` reads its settings before anything else; see [settings](settings.md). Exit status: 0 done,
1 it could not be done, 2 the command or a setting is wrong. Every mistake is one line on standard
error.
"""

METRICS = """\
# Metrics

`GET /metrics` gives them in Prometheus' text form, to everybody in development, in production to
operators only (`parlour users token --role operator`). The process's own figures (memory, CPU, file
descriptors, garbage collection) come along.
"""


def settings_page() -> str:
    """Every setting, with its name in the environment and in the file."""
    rows = [(_code(row.env), _code(row.name), _code(row.default), row.meaning) for row in describe()]
    return f"{SETTINGS}\n{_table(('Environment', 'In the file', 'Default', 'Meaning'), rows)}"


def errors_page() -> str:
    """Every error code, its status over HTTP, and the sentence a reader sees."""
    kinds = {kind.code: kind for kind in _error_kinds()}
    rows = [
        (f"`{code}`", str(kind.status), "yes" if kinds[code].retryable else "no", kinds[code].sentence)
        for code, kind in sorted(KINDS.items(), key=lambda item: (item[1].status, item[0]))
    ]
    return (
        f"{ERRORS}\n{_table(('Code', 'Status', 'Retry can help', 'What the reader is told at least'), rows)}"
    )


def commands_page() -> str:
    """Every command with its options."""
    parts = [COMMANDS]
    root: Any = typer.main.get_command(commands(APPLICATION))
    for name, command in _leaves("parlour", root):
        rows = [
            (f"`{', '.join(option.opts)}`", option.help or "")
            for option in command.params
            if option.name != "help"
        ]
        parts.append(f"\n## `{name}`\n\n{inspect.cleandoc(command.help or '')}\n")
        if rows:
            parts.append(f"\n{_table(('Option', 'Meaning'), rows)}")
    return "".join(parts)


def metrics_page() -> str:
    """Every metric of our own."""
    metrics = Metrics()
    metrics.watch_breakers(tuple)  # its figures are collected when they are asked for
    found: list[Metric] = [
        metric for metric in metrics.registry.collect() if metric.name.startswith("parlour_")
    ]
    rows = [(f"`{_exposed(metric)}`", metric.type, metric.documentation) for metric in found]
    return f"{METRICS}\n{_table(('Name', 'Type', 'Meaning'), rows)}"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "errors.md": errors_page,
    "commands.md": commands_page,
    "metrics.md": metrics_page,
}


def stale() -> list[str]:
    """The names of pages that do not say what the code says."""
    return [
        name
        for name, page in PAGES.items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text() != page()
    ]


def _error_kinds() -> Iterator[type[ParlourError]]:
    for module in (errors, problems):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, ParlourError):
                yield kind


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - Typer's own, untyped
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for inner_name, inner_command in inner.items():
        yield from _leaves(f"{name} {inner_name}", inner_command)


def _exposed(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(heads: tuple[str, ...], rows: list[Any]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def main() -> None:
    """Write the pages, or with ``--check`` say which are stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a page is stale")
    if parser.parse_args().check:
        if names := stale():
            sys.exit(f"Stale in docs/reference: {', '.join(names)}. Run: python scripts/write_reference.py")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())


if __name__ == "__main__":
    main()
