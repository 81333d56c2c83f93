# Everything here needs Python 3.10 or newer with pip, and a package index to install from.

PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help demo examples pictures check test frameworks bench new-mistral release-check clean
# One environment of nox serves several targets.
.NOTPARALLEL:

TAG := $(shell $(PYTHON) -c 'import sys; print(sys.implementation.cache_tag)')
READY := .venv/ready-$(TAG)
NOX = @NOX_ENABLE_STALENESS_CHECK=1 PATH="$(CURDIR)/.venv/bin:$$PATH" nox --noxfile py/noxfile.py

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## trace a conversation, end to end on this machine, and show the trace
	$(NOX) --session demo

examples: $(READY) ## run the other examples, end to end on this machine
	$(NOX) --session examples

pictures: $(READY) ## draw the demo's traces anew, for the README
	$(NOX) --session pictures

check: $(READY) ## run style, types and the tests of the newest versions: between two saves
	$(NOX) --session lint types "test_mistral(latest)"

test: $(READY) ## run every check: style, types, tests on all supported versions, overlay, demo, release
	$(NOX)

frameworks: $(READY) ## test the frameworks that use the Mistral client, each in an environment of its own
	$(NOX) --session frameworks

bench: $(READY) ## measure what tracing costs
	$(NOX) --session bench

new-mistral: $(READY) ## try another mistralai, and tell what changed: make new-mistral VERSION=3.8.0
	$(NOX) --session new_mistral -- $(VERSION)

release-check: $(READY) ## build what a release consists of, check it, and install it
	$(NOX) --session release_check release_install

clean: ## remove all that the other targets made
	rm -rf .venv py/.nox py/dist py/.pytest_cache py/.ruff_cache py/.hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Nox runs the checks; uv, where it can be had, makes their environments in seconds, and venv and pip do it elsewhere.
$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check 'nox>=2025.2.9'
	-.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@
