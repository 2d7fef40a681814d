# The usual commands. PYTHON is the interpreter of the virtual environment.
PYTHON ?= .venv/bin/python
CLANG_FORMAT ?= $(dir $(PYTHON))clang-format
CXX_FILES = $$(find csrc tests/native tests/emulation -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh')

.PHONY: setup test test-all lint fuzz docs pictures

setup:  ## a virtual environment with the package as it stands here, tests, lint and hooks
	python3 -m venv .venv
	$(PYTHON) -m pip install -c constraints.txt -e ".[test,lint]"
	$(PYTHON) -m pre_commit install

test:  ## the tests for every day, under five minutes of processor time
	$(PYTHON) -m pytest

test-all:  ## all tests, as CI runs them
	$(PYTHON) -m pytest -m "slow or not slow"

lint:  ## style and types
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(CLANG_FORMAT) --dry-run --Werror $(CXX_FILES)
	$(PYTHON) -m mypy

fuzz:  ## random cases of every operation under sanitizers, mutated files through every reader
	$(PYTHON) tests/native/fuzz.py --cases 10000
	$(PYTHON) tests/fuzzing/readers.py --cases 10000

docs:  ## the site, into site/; needs the extra docs
	$(PYTHON) -m sphinx -W --keep-going -q docs site

pictures:  ## the pictures of tutorials and gallery, anew
	for script in examples/[a-z]*.py; do $(PYTHON) $$script || exit 1; done
