# pyipam: every task. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# A Python 3.11 or newer.
PYTHON ?= python3
# The plugin's name in the engine.
PLUGIN ?= owner/pyipam
TAG ?= latest
# The architecture that the bundle is for: amd64 or arm64. Not taken from the environment.
OWN_ARCH := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,amd64)
ARCH := $(OWN_ARCH)
# The Docker engines that the tests run; if none are named, the oldest and the newest, and a few
# tests on those between (tests/support/engine/releases.py).
ENGINES ?=

# The tests that need a replica set: those of MongoDB, and those of the contract that hold with
# every store. What the views are described as depends on none.
ON_MONGODB := --store mongodb tests/contract tests/mongodb --ignore=tests/contract/test_openapi.py

VENV_PYTHON := .venv/bin/python
DENO := DENO_NO_UPDATE_CHECK=1 .venv/bin/deno
# Two processes: what a test waits for leaves the processor to another one. Which tests one of
# them runs together, and which begin first, is in tests/support/fixtures/spreading.py.
PYTEST = $(VENV_PYTHON) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder
SLOWEST := --durations=20
COVERAGE = $(VENV_PYTHON) -m coverage
COVERED := --cov=pyipam --cov-report=
# The tests of hosts count only what no other tests run: a line that is counted takes longer. They
# wait for engines, elections and routers, which leaves the processors to a third process.
OF_HOSTS = $(PYTEST) -n 3 $(SLOWEST)
COVERED_BY_HOSTS := --cov=pyipam.store.mongodb --cov-report=
LEAST_COVERED := 95
BUNDLE := build/plugin$(if $(filter-out $(OWN_ARCH),$(ARCH)),-$(ARCH)).tar
# Docker does not check the architecture of a plugin, so the tag says it; without one it is amd64.
PUSHED_TAG = $(if $(filter amd64,$(ARCH)),$(TAG),$(TAG:%-$(ARCH)=%)-$(ARCH))
PIP_AUDIT := build/audit/bin/pip-audit
BUNDLE_SOURCES = LICENSE config.json schema.json \
	$(addprefix rootfs-build/,bundle make-bundle libraries.py stamp.py requirements.txt Dockerfile) \
	$(shell find plugin/pyipam -type f -not -path '*/__pycache__/*')
SETTINGS := SCHEMA_PATH STORE_CREDENTIALS_PATH DEFAULT_TAGS LOG_LEVEL STORE_URL STORE_LAYOUT \
	NODE_NAME STATUS_ADDR ALLOW_UNMANAGED DRIVER_ALIASES
# Those on the command line; SCHEMA_PATH also from the environment.
SETTINGS_GIVEN = $(strip $(foreach name,$(SETTINGS),\
	$(if $(filter command,$(origin $(name))),$(name)))\
	$(if $(filter environment,$(origin SCHEMA_PATH)),SCHEMA_PATH))
TO_PLUGIN := PLUGIN TAG ARCH FORCE PYTHON BUNDLE_ROUTE
# Refused before anything is built: make itself passes over a misspelt name in silence.
ifneq ($(filter install uninstall push,$(MAKECMDGOALS)),)
UNKNOWN := $(strip $(filter-out $(SETTINGS) $(TO_PLUGIN),\
	$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))))
ifneq ($(UNKNOWN),)
$(error nothing was done: there is no setting $(UNKNOWN). The settings are $(SETTINGS); make itself \
	takes $(TO_PLUGIN))
endif
endif
TO_ENGINE = FORCE='$(FORCE)' SETTINGS_GIVEN='$(SETTINGS_GIVEN)' $(PYTHON) tools/install.py

help:  ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo:  ## show the plugin at work in a private engine (Debian or Ubuntu, root); PAGE=1: its page, too
	@PYTHONPATH=plugin PAGE='$(PAGE)' exec $(PYTHON) -m tests.demo

test: .venv $(BUNDLE)  ## all tests (root); ENGINES="20.10 26.1" says which engines
	@rm -f build/coverage*
	@$(MAKE) --no-print-directory --keep-going test-covered test-faults test-hosts coverage

test-unit: .venv  ## the unit tests: no root, no engine, under a minute
	@exec $(PYTEST) tests/unit

test-fast: .venv $(BUNDLE)  ## the tests that need no engine
	@exec $(PYTEST) tests/unit tests/contract tests/bundle --ignore=tests/bundle/engine

test-cluster: .venv $(BUNDLE)  ## the tests of several hosts: swarms, a shared database, routers (root)
	@ENGINES='$(ENGINES)' exec $(PYTEST) tests/swarm tests/fabric $(ON_MONGODB)

# The stages of `make test`. Each says what it does, and which tests took longest.

test-covered: .venv
	@echo '== unit and contract tests, with coverage'
	@COVERAGE_FILE=build/coverage.unit exec $(PYTEST) $(SLOWEST) $(COVERED) tests/unit tests/contract

test-faults: .venv $(BUNDLE)
	@echo '== faults, and the bundle'
	@exec $(PYTEST) $(SLOWEST) tests/faults tests/bundle --ignore=tests/bundle/engine

test-hosts: .venv $(BUNDLE)
	@echo '== engines $(or $(ENGINES),from the oldest to the newest), swarms, MongoDB, routers, and the page'
	@COVERAGE_FILE=build/coverage.hosts ENGINES='$(ENGINES)' exec $(OF_HOSTS) $(COVERED_BY_HOSTS) \
		$(ON_MONGODB) tests/page tests/engine tests/swarm tests/fabric \
		tests/bundle/engine

# The store in a database is tried by the tests of hosts alone, so both are counted together.
coverage: test-covered test-hosts
	@echo '== coverage: at least $(LEAST_COVERED) % of each inner room'
	@$(COVERAGE) combine --quiet --keep --data-file=build/coverage build/coverage.*
	@$(COVERAGE) report --data-file=build/coverage --skip-covered
	@for room in core plan space store; do printf '%s ' $$room; $(COVERAGE) report \
		--data-file=build/coverage --format=total --fail-under=$(LEAST_COVERED) \
		--include="plugin/pyipam/$$room/*" || exit 1; done

pictures: .venv $(BUNDLE)  ## make the pictures of the documentation anew (root)
	@rm -rf build/pictures
	@$(PYTEST) tests/page/test_pictures.py
	@mkdir -p docs/pictures
	@cp build/pictures/*.png docs/pictures/

bench: .venv $(BUNDLE)  ## measure everything, into docs/performance.md (root): [SCALE=1]; BENCH_QUICK=1: in small
	@exec $(VENV_PYTHON) -m bench

install: $(BUNDLE)  ## install or upgrade in your engine: [PLUGIN=owner/pyipam] [TAG=latest] [ARCH=...] [SCHEMA_PATH=/file]
	@$(TO_ENGINE) install $(BUNDLE) '$(PLUGIN):$(TAG)'

uninstall:  ## remove it from your engine: [PLUGIN=...] [TAG=...] [FORCE=1]
	@$(TO_ENGINE) uninstall $(BUNDLE) '$(PLUGIN):$(TAG)'

push: $(BUNDLE)  ## push it to its registry: PLUGIN=[REGISTRY/]OWNER/NAME [TAG=...] [ARCH=arm64]
	@$(TO_ENGINE) push $(BUNDLE) '$(PLUGIN):$(PUSHED_TAG)'

bundle: $(BUNDLE)  ## build the plugin: build/plugin.tar [ARCH=amd64|arm64] [BUNDLE_ROUTE=native|docker]
	@echo 'the plugin is in $(BUNDLE)'

$(BUNDLE): $(BUNDLE_SOURCES)
	@mkdir -p build
	@BUNDLE_ARCH='$(ARCH)' rootfs-build/bundle $@

dev: .venv  ## run the program on this host as driver "pyipam", restarted at each change (root)
	@exec $(VENV_PYTHON) tools/dev.py

lint: .venv  ## ruff and mypy over everything, deno over the page
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy
	$(DENO) fmt --check --line-width 100 plugin/pyipam/page
	$(DENO) lint plugin/pyipam/page

openapi: .venv  ## write the description of the views, from the program
	@$(VENV_PYTHON) tools/openapi.py

lock: .venv  ## write the lock files (versions and hashes) from what pyproject.toml pins
	@$(VENV_PYTHON) tools/lock.py

audit: $(PIP_AUDIT)  ## are vulnerabilities known of what the plugin is made of? (needs a service to ask)
	@$(VENV_PYTHON) tools/audit.py $<

$(PIP_AUDIT): tools/audit-requirements.txt | .venv
	@rm -rf build/audit
	@$(VENV_PYTHON) -m venv build/audit
	@build/audit/bin/python -m pip install -qq --disable-pip-version-check --only-binary :all: \
		--require-hashes --requirement $<
	@touch $@

clean:  ## remove what was built
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv: .venv/complete

.venv/complete: pyproject.toml plugin/pyipam/__init__.py
	@tools/make-venv '$(PYTHON)'

.PHONY: help demo test test-unit test-fast test-cluster test-covered test-faults test-hosts coverage \
	 bench pictures install uninstall push bundle dev lint openapi lock audit clean .venv
