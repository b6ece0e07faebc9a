#!/bin/sh
# The static half of "make test": every check runs, also after one has failed, each with a line of its own.
cd "$(dirname "$0")/.." || exit 1
python=.venv/bin/python
failed=""

check() { # check <title> <command…>: silent when it passes, all its words when it fails
    title=$1
    shift
    if output=$("$@" 2>&1); then
        echo "ok    $title"
    else
        echo "FAIL  $title"
        printf "%s\n" "$output"
        failed="$failed  $title;"
    fi
}

check "style (ruff check)" $python -m ruff check --quiet .
check "format (ruff format; make format mends it)" $python -m ruff format --check --quiet .
check "types (mypy --strict)" $python -m mypy
check "import contracts (lint-imports)" $python -c "from importlinter.cli import lint_imports_command as run; run()" --no-logo
check "locks name public registries only" $python scripts/check_locks.py
check "page style (biome)" $python scripts/page.py npm run --silent lint
check "page types (tsc)" $python scripts/page.py npm run --silent types

if [ -n "$failed" ]; then
    echo "Failed:${failed%;}" >&2
    exit 1
fi
