PYTHON ?= python3
TOX := .venv/bin/tox

.DEFAULT_GOAL := help
.PHONY: help demo test check

help: ## show this
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(TOX) ## the main job on made-up claims: import, watch, report
	$(TOX) run -q -e demo

test: $(TOX) ## everything: tests, lint, types, import contracts, docs, packages
	$(TOX) run -q

check: $(TOX) ## the inner loop: the core in one environment, without what is slow
	$(TOX) run -q -e core-py311 -- --no-cov -m "not slow" tests/core tests/stores

$(TOX):
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check tox tox-uv
