# Everything a person or a workflow runs. Needs git, make and a Python that has pip or venv; the rest is installed into .venv.
.DEFAULT_GOAL := help
UV := $(shell command -v uv || echo .uv/bin/uv)
RUN := $(UV) run --frozen --no-sync
# Threads that wait for others sleep: on a busy machine those that spin cost ten times the work.
export OMP_WAIT_POLICY ?= passive

# What `make rehearse` plays, what `make test` is narrowed to, what draws the charts in the
# rehearsal's pages, and GitHub's own clients, which tests drive.
EVENT ?= pull_request
TESTS ?=
MERMAID ?= rehearsal/node_modules
CLIENTS ?= $(if $(or $(filter tests/rehearsal%,$(TESTS)),$(if $(TESTS),,all)),$(patsubst %/package-lock.json,%/node_modules,$(wildcard tests/rehearsal/clients/package-lock.json)))

.PHONY: help install demo year backtest rehearse repro test lint bench clean

help: ## Show what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

install: .venv/installed ## Install uv if it is missing, and everything else into .venv

.venv/installed: uv.lock pyproject.toml .python-version | $(UV)
	@$(UV) sync --frozen --quiet --compile-bytecode
	@touch $@

.uv/bin/uv:
	@.github/actions/setup/uv.sh .uv

# Without Node the charts are shown as text.
%/node_modules: %/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix $* --silent --no-audit --no-fund; fi

demo: install $(MERMAID) ## Play the story, by the real workflow files: from a first model to a canary and a rollback
	@$(RUN) python -m rehearsal.demo $(ARGUMENTS)

year: install $(MERMAID) ## Play April to December of the flights: served, checked, retrained when that is proven to help
	@$(RUN) python -m rehearsal.year $(ARGUMENTS)

backtest: install ## Replay 2013 under several policies of retraining; writes docs/policies.md, and keeps what it computed
	@$(RUN) ratchet backtest $$(seq -f '2013-%02g' 12) $(ARGUMENTS)

rehearse: install ## Run your workflow files on an event: EVENT=pull_request, push, dispatch:release.yml
	@$(RUN) python -m rehearsal $(EVENT)

repro: install ## Run the pipeline on the current params.yaml
	@$(RUN) dvc repro

test: install $(MERMAID) $(CLIENTS) ## Run every test, or those that TESTS names
	@$(RUN) pytest --numprocesses 2 --dist loadgroup $(TESTS)

lint: install ## Format check, lint, strict types; the workflows and the image, too
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) actionlint
	@$(RUN) hadolint deploy/Dockerfile
	@$(RUN) zizmor --offline --quiet --persona=pedantic .github
	@$(RUN) check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(RUN) check-jsonschema --quiet --builtin-schema vendor.github-actions .github/actions/*/action.yml
	@$(RUN) check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(RUN) check-jsonschema --quiet --schemafile .github/dependabot.schema.json .github/dependabot.yml
	@$(RUN) check-jsonschema --quiet --builtin-schema vendor.compose-spec .github/scan/compose.yaml
	@git ls-files -z '*.sh' .ci/run | xargs -0 $(RUN) shellcheck

bench: install repro ## Measure the figures that the README quotes
	@$(RUN) python bench/scoring.py
	@$(RUN) python bench/verdict.py
	@$(RUN) python bench/pipeline.py
	@$(RUN) python bench/decisions.py
	@$(RUN) python bench/pull_request.py
	@$(RUN) python bench/serving.py
	@$(RUN) python bench/image.py
	@$(RUN) python bench/drift.py
	@$(RUN) python bench/backtest.py

clean: ## Remove what the pipeline and the tools made; keeps .venv
	rm -rf data environment model bundle evaluation card build .ratchet .mypy_cache .pytest_cache .ruff_cache
