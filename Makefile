# Everything runs from .venv, which the first target that needs it makes. Python 3.11 or newer and its pip are enough.

PYTHON ?= $(shell python3.11 -c '' >/dev/null 2>&1 && echo python3.11 || echo python3)
BIN := .venv/bin
LOCK := constraints.txt
INPUTS := pyproject.toml $(LOCK) deploy/locked.py
SCANNER := app/ingest/_scan.c $(wildcard app/ingest/scanner/*.h)
SECONDS ?= 120
mutation: SECONDS = 14400
SAMPLE ?= 20
HOURS ?= 1
SEED ?= 1
WORKERS ?= 1
# A file of tests is one process's, since what its tests share is made once.
PARALLEL ?= -n auto --dist loadfile
# Nodes and servers of a cluster wait for each other most of the time, so two clusters fit where more would be in each other's way.
CLUSTERS ?= -n 2 --dist loadfile
# Tests of pages share a node whose data grow old while they run, so nothing else runs in between.
PAGES := tests/app/dashboard
# CI takes coverage along in `make test` (COVER), and leaves out what ran there in `make check` (APPEND, LEFT): each test runs once.
COVER ?=
APPEND ?=
LEFT ?= not cluster
# What tests must reach whole, lines and branches: `features`, and what turns bytes from outside into numbers. A branch that only some
# random examples reach may be missed by a run, so a thousandth is left for these; what a run misses is shown.
DECODING := attributes census codec histograms ids inflate json_body limits logs metrics otlp rows sampling scan shapes signals spans tally traffic
COMMA := ,
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)
WHOLE := features/*,$(subst $(SPACE),$(COMMA),$(DECODING:%=app/ingest/%.py))
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The lock holds all that is wanted, so pip resolves nothing. Where a package wants another one's extra (`coverage[toml]`), the pip
# of Python 3.11 (23.2) takes the newest release of that instead of the pin, and lacks its hash from the next release on.
INSTALL_LOCKED := $(INSTALL) --no-deps --require-hashes --requirement

.DEFAULT_GOAL := help
.PHONY: help lab setup setup-dev setup-bench run cluster test check format lint types imports audit sbom wheel coverage notebooks docs fuzz fuzz-api \
  mutation soak bench lock clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/' | expand -t 14

setup: .venv/.built ## Make .venv with what the service needs

setup-dev: .venv/.built .venv/.dev ## The same, and what the tests and checks need

setup-bench: setup-dev .venv/.bench ## The same, and what the benchmark of ingest runs beside the service

run: setup ## Start the demonstration; it prints its address
	$(BIN)/foreshock demo

cluster: setup .venv/.cluster ## Start three NATS servers and three nodes with the shop's traffic: kill one and watch
	$(BIN)/foreshock cluster-demo

test: setup-dev ## Run the tests, but the long ones and those with a cluster of processes, which `make check` runs too
	$(BIN)/python -m pytest $(PARALLEL) $(COVER) -m "not cluster and not slow" --ignore=$(PAGES)
	$(BIN)/python -m pytest $(PARALLEL) $(if $(COVER),$(COVER) --cov-append) -m "not cluster and not slow" $(PAGES)

check: format lint types imports audit coverage notebooks docs ## Everything that CI runs

format: setup-dev ## Say which files the formatter would change
	$(BIN)/ruff format --check .

lint: setup-dev ## Run ruff's rules
	$(BIN)/ruff check .

types: setup-dev ## Check the types, strictly
	$(BIN)/basedpyright --pythonpath $(BIN)/python

imports: setup-dev ## Check that imports go one way
	$(BIN)/lint-imports

audit: setup-dev ## Look for weak code, for known vulnerabilities of the locked packages (where OSV can be reached) and at their licences
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app models features training deploy
	$(BIN)/python -m deploy.audit licences
	$(BIN)/python -m deploy.audit packages

sbom: setup-dev ## Write the bill of materials of the locked runtime, build/sbom.json (CycloneDX)
	$(BIN)/python -m deploy.sbom build/sbom.json

wheel: setup ## Build the wheel into dist/, the same bytes from the same commit
	$(BIN)/python -m deploy.wheel dist

coverage: setup-dev ## Run the tests with line and branch coverage; those with a cluster of processes come last
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report= --cov-fail-under=0 $(APPEND) -m "$(LEFT)" --ignore=$(PAGES)
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report= --cov-fail-under=0 --cov-append -m "$(LEFT)" $(PAGES) || [ $$? -eq 5 ]
	$(BIN)/python -m pytest $(CLUSTERS) --cov --cov-append --cov-report=term -m cluster
	$(BIN)/coverage report --precision=2 --fail-under=99.9 --include='$(WHOLE)'

# Jupyter does not start for root by itself; in a container there is often nobody else.
LAB_OPTIONS ?= $(if $(filter 0,$(shell id -u)),--allow-root)

lab: setup-dev .venv/.lab ## Open the notebooks in JupyterLab; `make run` in another terminal gives them a service to look at
	FORESHOCK_URL=$${FORESHOCK_URL:-http://127.0.0.1:8318} FORESHOCK_TABLES=$${FORESHOCK_TABLES:-$(CURDIR)/data/demo/history} \
	  $(BIN)/jupyter lab $(LAB_OPTIONS) notebooks

notebooks: setup-dev ## Execute every notebook against a live service of the demonstration's shop
	$(BIN)/python notebooks/execute.py --out build/notebooks

docs: setup-dev ## Render the reference pages and build the documentation, strictly
	$(BIN)/python docs/generate.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir build/site

fuzz: setup-dev ## Feed mutated bodies to the C scanner under sanitizers, beside the Python reader (SECONDS, SEED, WORKERS)
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) --seed $(SEED) --workers $(WORKERS)

fuzz-api: setup-dev ## Ask a running node for everything in its OpenAPI document, right and wrong (SECONDS, SEED)
	$(BIN)/python -m tests.openapi_fuzz --seconds $(SECONDS) --seed $(SEED)

mutation: setup-dev .venv/.mutation ## Change the code of features and models and see whether a test notices (SAMPLE mutants of a module, SECONDS, SEED)
	$(BIN)/python -m tests.mutation --sample $(SAMPLE) --seconds $(SECONDS) --seed $(SEED) --workers $(WORKERS)

bench: setup-dev ## Measure everything of the original list in less than 15 minutes, with one report in build/bench (compare: python -m benchmarks.compare OLD NEW)
	$(BIN)/python -m benchmarks.bench --seed $(SEED) --out build/bench

soak: setup-dev ## Run a node for HOURS at half of what it can take, with faults: does anything grow, is everything counted
	$(BIN)/python -m benchmarks.soak --hours $(HOURS) --seed $(SEED) --out build/soak

lock: setup-dev ## Resolve the direct requirements anew into the lock
	$(BIN)/python deploy/locked.py lock > .venv/lock.txt
	$(INSTALL_LOCKED) .venv/lock.txt
	$(BIN)/python deploy/locked.py --direct | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --upgrade --no-header --no-emit-index-url --no-emit-find-links --output-file $(LOCK) - > /dev/null

clean: ## Remove what the targets made, .venv too
	rm -rf .venv build dist *.egg-info app/ingest/*.so .coverage .coverage.* coverage.xml .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Foreshock needs Python 3.11 or newer, got {sys.version.split()[0]}; name another one with make PYTHON=...")'
	$(PYTHON) -m venv .venv

# pip checks every archive against the lock's hashes. The project itself has none, so it is installed on its own, built by
# the locked setuptools, the C scanner in place. The stamps make repeated calls instant.
.venv/.runtime: $(INPUTS) | .venv/bin/python
	@echo "installing the locked dependencies into .venv (about a minute the first time)"
	@$(BIN)/python deploy/locked.py > .venv/runtime.txt
	@$(INSTALL_LOCKED) .venv/runtime.txt
	@touch $@

# A scanner that no longer compiles must not live on as the one built before.
.venv/.built: .venv/.runtime $(SCANNER)
	@rm -f app/ingest/_scan*.so
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@ls app/ingest/_scan*.so >/dev/null 2>&1 || echo "the C scanner was not built (it needs a C compiler and Python's headers): requests are read in Python, slower"
	@touch $@

.venv/.dev: .venv/.runtime | .venv/.built
	@echo "installing what tests and checks need into .venv"
	@$(BIN)/python deploy/locked.py dev > .venv/dev.txt
	@$(INSTALL_LOCKED) .venv/dev.txt
	@touch $@

.venv/.lab: .venv/.dev | .venv/.built
	@echo "installing JupyterLab into .venv"
	@$(BIN)/python deploy/locked.py lab > .venv/lab.txt
	@$(INSTALL_LOCKED) .venv/lab.txt
	@touch $@

.venv/.cluster: .venv/.runtime | .venv/.built
	@echo "installing the NATS server into .venv"
	@$(BIN)/python deploy/locked.py cluster-demo > .venv/cluster.txt
	@$(INSTALL_LOCKED) .venv/cluster.txt
	@touch $@

.venv/.mutation: .venv/.dev
	@echo "installing what changes the code into .venv"
	@$(BIN)/python deploy/locked.py mutation > .venv/mutation.txt
	@$(INSTALL_LOCKED) .venv/mutation.txt
	@touch $@

.venv/.bench: .venv/.dev
	@echo "installing what the benchmarks need into .venv"
	@$(BIN)/python deploy/locked.py bench > .venv/bench.txt
	@$(INSTALL_LOCKED) .venv/bench.txt
	@touch $@
