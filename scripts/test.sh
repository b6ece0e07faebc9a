#!/bin/sh
# Everything: the static checks, the tests, the tests in a real browser, the page's own tests.
# With arguments only pytest runs, with those: make test ARGS="tests/chat -k resume".
cd "$(dirname "$0")/.." || exit 1
python=.venv/bin/python

if [ $# -gt 0 ]; then
    exec $python -m pytest "$@"
fi

step() { # step <title> <command…>: goes on after a failure, so that one run tells everything
    title=$1
    shift
    echo "── $title"
    "$@" || failed="${failed:-} $title;"
}

step "page" $python scripts/page.py build
step "checks" scripts/check.sh
step "redis" $python scripts/ensure_redis.py
step "tests" $python -m pytest -n 2 -m "not soak and not browser"
if [ "${PARLOUR_TEST_BROWSER:-1}" = 0 ]; then
    echo "── browser tests left out, as PARLOUR_TEST_BROWSER=0 asks"
else
    step "browser" $python scripts/ensure_browser.py
    step "tests in a browser" $python -m pytest -m "browser and not soak"
fi
step "tests of the page" $python scripts/page.py npm test --silent

if [ -n "${failed:-}" ]; then
    echo "Failed:${failed%;}" >&2
    exit 1
fi
echo "All good."
