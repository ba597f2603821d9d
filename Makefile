# Everything a fresh clone needs: Python 3.11–3.13 and make. Choose another Python with
# `make test PYTHON=python3.12` (on a clone without .venv).
PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BENCH_VENV := .venv-bench
BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check install --quiet

.PHONY: help demo test lint format bench docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    train a classifier of handwritten digits, draw outputs/digits.png"
	@echo "make test    the whole test suite"
	@echo "make lint    format, lint and type checks"
	@echo "make docs    the public functions as web pages, in outputs/docs"
	@echo "make bench   ferax beside JAX (in an environment of its own), NumPy and PyTorch"

# The environment is made again when what it should hold changes.
$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) -e '.[test,viz,lint]'
	@touch $@

$(BENCH_VENV)/.installed: benchmarks/requirements.txt
	test -x $(BENCH_VENV)/bin/python || $(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python $(PIP) -r benchmarks/requirements.txt
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/python -m ferax.demo

test: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n $(JOBS)

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.installed $(BENCH_VENV)/.installed
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.installed
	$(BIN)/python $(PIP) -e '.[docs]'
	$(BIN)/pdoc -d google -o outputs/docs ferax ferax.numpy ferax.lax ferax.nn ferax.random

clean:
	rm -rf outputs build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
