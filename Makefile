# pyipam: every task. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV_PYTHON := .venv/bin/python
BUNDLE := build/plugin.tar
BUNDLE_SOURCES = config.json schema.json pyproject.toml $(shell find rootfs-build plugin/pyipam \
	-type f -not -path '*/__pycache__/*')

help:  ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bundle: $(BUNDLE)  ## build the plugin: build/plugin.tar (config.json and rootfs/)

$(BUNDLE): $(BUNDLE_SOURCES)
	@mkdir -p build
	@rootfs-build/make-bundle $@

lint: .venv  ## ruff and mypy over program and tests
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy

clean:  ## remove what was built
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv: pyproject.toml
	$(PYTHON) -m venv .venv
	$(VENV_PYTHON) -m pip install -qq --editable '.[dev]'
	@touch .venv

.PHONY: help bundle lint clean
