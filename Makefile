# The whole project in a few words:
#   make demo        compare on real data (digits, bundled) and write demo_report.html
#   make test        install what the tests need and run them all
#   make test-core   the tests of the core, in an environment without the extras
#   make soak        the long suites in full, into benchmarks/records/soak.json
#   make lint        ruff, mypy and the import linter;  make format  lets ruff rewrite the files
#   make clean       remove what the commands wrote;    make distclean  remove the environments too
#
# PYTHON=path   the interpreter to build on. If it has torch >= 2.6, that torch is reused.
# TORCH=...     what pip installs otherwise, first and alone. It may carry pip's options.

TORCH ?= torch==2.13.0
JOBS ?= 2
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
endif

BIN := .venv/bin
CORE := .venv-core/bin
export OMP_NUM_THREADS := 1
export MPLBACKEND := Agg
export PIP_DISABLE_PIP_VERSION_CHECK := 1

ARMS := full,uniform_budget,recorded,adaselection,uniform,big_loss,small_loss,grad_norm,adaboost,coreset_extremes,coreset_mean

.PHONY: demo test test-core soak lint format clean distclean install
.DELETE_ON_ERROR:

demo: .venv/.lab
	@$(BIN)/adaselection compare digits --arms $(ARMS) --rates 0.3 --budgets 0.5 --seeds 3 --jobs 1 \
		--preset cpu --label-noise 0.4 --out demo_results
	@$(BIN)/adaselection report demo_results -o demo_report.html

test: .venv/.dev
	@$(BIN)/python -m pytest -q -n $(JOBS)

test-core: .venv-core/.test
	@$(CORE)/python -m pytest -q -n $(JOBS)

soak: .venv/.dev
	@$(BIN)/python tools/soak.py

install: .venv/.dev

lint: .venv/.dev
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/python -c "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"

format: .venv/.dev
	@$(BIN)/python -m ruff check --fix-only .
	@$(BIN)/python -m ruff format .

clean:
	rm -rf build dist demo_results demo_report.html .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -exec rm -rf {} +

distclean: clean
	rm -rf .venv .venv-core .data .data.partial

# Environments. A stamp is fresh while pyproject.toml says the same; then nothing here calls pip.
.venv/.lab .venv/.dev .venv-core/.test: pyproject.toml tools/install.py
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; say make $(MAKECMDGOALS) PYTHON=path" >&2; exit 1; }
	@$(PYTHON) tools/install.py --stamp $@ --torch "$(TORCH)"
