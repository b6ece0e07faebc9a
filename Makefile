# Everything a developer or an operator of a checkout does. "make" alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules

# The server's own bytecode makes the second start fast; some shells forbid writing it.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH
unexport PYTHONHOME

PYTHON := .venv/bin/python
# In step already? Then nothing more than one look at a stamp.
PREPARE = prepare() { \
	$(PYTHON) scripts/prepare.py $$1 --check 2>/dev/null && return; \
	python=$$(sh scripts/find_python.sh) && "$$python" scripts/prepare.py $$1; \
}; prepare
# What pytest gets on top: make test ARGS="tests/chat -k resume"
ARGS ?=

.PHONY: help
help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: setup ## Start Parlour here: brings what it needs, then serves (ARGS="--port 9000")
	@exec $(PYTHON) -m parlour serve $(ARGS)

.PHONY: dev
dev: setup-dev ## Start Parlour for development: server and page reload when their sources change
	@exec $(PYTHON) scripts/dev.py

.PHONY: setup
setup: ## Install into .venv what running needs, and build the page
	@$(PREPARE) run
	@$(PYTHON) scripts/page.py build --optional

.PHONY: setup-dev
setup-dev: ## Install into .venv what development and tests need, too
	@$(PREPARE) dev

.PHONY: test
test: setup-dev ## Run everything that continuous integration runs: checks, tests, browser tests, page tests
	@scripts/test.sh $(ARGS)

.PHONY: check
check: setup-dev ## Run the static half of the tests: style, types, import contracts, locks, page
	@scripts/check.sh

.PHONY: format
format: setup-dev ## Put all sources into their style
	@$(PYTHON) -m ruff check --fix --quiet . ; $(PYTHON) -m ruff format --quiet .
	@$(PYTHON) scripts/page.py npm run --silent format

.PHONY: bench
bench: setup-dev ## Measure against a bare relay in the same run; writes benchmarks/results
	@$(PYTHON) scripts/page.py build
	@exec $(PYTHON) -m benchmarks $(ARGS)

.PHONY: bench-peers
bench-peers: setup-dev ## Measure beside LiteLLM's proxy, installed into .cache on first use
	@$(PYTHON) scripts/page.py build
	@exec $(PYTHON) -m benchmarks.peers $(ARGS)

.PHONY: soak
soak: setup-dev ## Run the long tests: hundreds of kills under load
	@exec $(PYTHON) -m pytest -m soak $(ARGS)

.PHONY: clean
clean: ## Remove what was built and cached here; keeps your data and .venv
	@rm -rf .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@rm -rf src/parlour/static web/node_modules web/dist
	@find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
