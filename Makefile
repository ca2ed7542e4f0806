# Everything a person or a workflow runs. Needs git, make and curl or pip; the rest is installed into .venv.
.DEFAULT_GOAL := help
UV := $(shell command -v uv || echo .uv/bin/uv)
RUN := $(UV) run --frozen --no-sync
# Threads that wait for others sleep: on a busy machine those that spin cost ten times the work.
export OMP_WAIT_POLICY ?= passive

.PHONY: help install demo repro test lint bench clean

help: ## Show what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

install: .venv/installed ## Install uv if it is missing, and everything else into .venv

.venv/installed: uv.lock pyproject.toml .python-version | $(UV)
	@$(UV) sync --frozen --quiet --compile-bytecode
	@touch $@

.uv/bin/uv:
	@python3 -m venv .uv && .uv/bin/pip install --quiet uv

demo: install ## Play the story: a champion, and three changes that are judged against it
	@$(RUN) python rehearsal/demo.py

repro: install ## Run the pipeline on the current params.yaml
	@$(RUN) dvc repro

test: install ## Run every test
	@$(RUN) pytest --numprocesses 2 --dist loadgroup

lint: install ## Format check, lint, strict types
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy

bench: install repro ## Measure the figures that the README quotes
	@$(RUN) python bench/scoring.py
	@$(RUN) python bench/verdict.py
	@$(RUN) python bench/pipeline.py
	@$(RUN) python bench/decisions.py

clean: ## Remove what the pipeline and the tools made; keeps .venv
	rm -rf data environment model bundle evaluation card build .ratchet .mypy_cache .pytest_cache .ruff_cache
