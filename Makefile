# Two commands do everything on a bare machine: `make reproduce` and `make test`.
PROFILE ?= smoke
PYTHON ?= python3
EXTRAS ?= dev
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: install reproduce test fuzz gpu sbom check docs dvc.yaml clean constraints

install: .venv/installed

# uv when it can be had (seconds), else pip (minutes); the same pinned versions either way. Bytecode is compiled here, once,
# this project's too: where PYTHONDONTWRITEBYTECODE is set, each command would otherwise compile what it imports again.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null || true
	@if test -x $(BIN)/uv; then \
	  VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --compile-bytecode --constraints constraints.txt --editable '.[$(EXTRAS)]'; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'; \
	fi
	@$(BIN)/python -m compileall -q intermamba evaluators ablations workflow
	@touch $@

# Everything of a profile: data, evaluators, models, tables and figures, under results/$(PROFILE)/.
reproduce: install
	@snakemake --cores all --config profile=$(PROFILE)

# All tests except the slow ones (`pytest -m slow`). Compiled modules with checks are kept for the next run.
test: install
	@PYTHONDONTWRITEBYTECODE= pytest -n 2 --dist worksteal -m "not slow"

# All readers on damaged files, for about an hour; failing inputs are kept beside the table.
fuzz: install
	@nice -n 19 $(BIN)/python tests/fuzz/campaign.py --inputs 20000 --output build/fuzz/fuzz.csv --page docs/reliability.md

# What a GPU has to show: its tests, kernels, samplings, memory, and what bfloat16 costs; at most ten minutes.
gpu: install
	@$(BIN)/python benchmarks/gpu.py --check
	@$(BIN)/snakemake --cores all --config profile=smoke -- results/smoke/interhuman/intermamba/seed0/metrics.csv
	@$(BIN)/python benchmarks/gpu.py

# The software bill of materials of the environment, CycloneDX: every package with its version and licence.
sbom: install
	@mkdir -p build
	@$(BIN)/uvx --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible -o build/sbom.json
	@echo "build/sbom.json"

check: install
	@ruff check . && ruff format --check . && mypy && lint-imports

# The documentation site, under build/site: its generated parts, then all pages; a broken link is an error.
docs: install
	@$(BIN)/python -m workflow.publish study
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "build/site/index.html"

# dvc.yaml for a profile (the committed one is for the default profile).
dvc.yaml: install
	@$(BIN)/python -m workflow.graph.dvc $(PROFILE)

# Artefacts of a profile; the paper's transcribed numbers stay, and so does what a run with storage keeps elsewhere.
clean:
	@test -n "$(PROFILE)" || { echo "error: PROFILE is empty; give a profile of params.yaml" >&2; exit 2; }
	rm -rf data/$(PROFILE) dvc.lock
	@if test -L results/$(PROFILE); then kept=$$(readlink results/$(PROFILE)); rm results/$(PROFILE); \
	  if test -d "$$kept/reported"; then mkdir results/$(PROFILE) && cp -R "$$kept/reported" results/$(PROFILE)/; fi; fi
	find results/$(PROFILE) -mindepth 1 -maxdepth 1 ! -name reported -exec rm -rf {} + 2>/dev/null || true

constraints: install
	@{ head -1 constraints.txt; VIRTUAL_ENV=.venv $(BIN)/uv pip freeze --exclude-editable; } > .venv/constraints.new
	@mv .venv/constraints.new constraints.txt
