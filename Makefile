# Each target works on its own in a fresh clone: it makes .venv and brings what it needs first.
# PYTHON=...  the interpreter .venv is made from     ARGS=...  more arguments for the command

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check lint types imports manifest-valid format generate manifest \
	index dropin operations sources schema judge bench docs screenshots build native clean display
MAKEFLAGS += --no-print-directory
export PYTHON
# Tests start hundreds of processes, each of which would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
STAMP := .venv/.installed
KERNELS := .venv/.kernels
MANIFEST := src/napari_tilewise/napari.yaml
# Half as many tests at a time again as processors: a third of them wait for processes, windows and
# sockets. But not 64 napari viewers on a big machine.
PARALLEL = -n $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 ))) --maxprocesses 8 --dist worksteal

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: $(if $(filter --view,$(ARGS)),display) $(STAMP) $(KERNELS) ## a real image, tiled and whole, compared; ARGS=--view shows it
	@$(BIN)/napari-tilewise demo $(ARGS)

# Every part always runs, so that a matter of style never hides a failing test; pytest comes last.
test: display $(STAMP) $(KERNELS) ## every check, then every test, on a display of its own
	@status=0; \
	$(MAKE) -k check || status=$$?; \
	$(BIN)/pytest $(PARALLEL) -m "not gui" $(ARGS) || status=$$?; \
	scripts/headless.sh $(BIN)/pytest $(PARALLEL) -m gui $(ARGS) || status=$$?; \
	exit $$status

test-fast: $(STAMP) $(KERNELS) ## the tests that need no display and no patience
	@$(BIN)/pytest $(PARALLEL) -m "not gui and not slow" $(ARGS)

check: lint types imports manifest-valid ## style, types, import directions, the plugin manifest

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy
	@$(BIN)/basedpyright --level error tests/typing

imports: $(STAMP)
	@$(BIN)/lint-imports --no-logo

manifest-valid: $(STAMP)
	@$(BIN)/npe2 validate $(MANIFEST)

format: $(STAMP) ## fix what ruff can fix
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

# What is generated is committed, and a test compares it.
generate: index manifest dropin operations schema ## write again what is generated: the five below

index: $(STAMP) ## the keys of the operations, each with the module that declares it
	@$(BIN)/python -m napari_tilewise.operations.write_index

manifest: $(STAMP) ## napari.yaml, in the package and its copy at the root
	@$(BIN)/python -m napari_tilewise._napari.manifest.write_manifest
	@cp $(MANIFEST) napari.yaml

dropin: $(STAMP) ## the modules and stubs of napari_tilewise.skimage and .ndimage
	@$(BIN)/python -m napari_tilewise.skimage._generate

sources: $(STAMP) ## docs/sources.md: every source with every executor, some minutes
	@$(BIN)/python docs/sources.py

operations: $(STAMP) ## docs/operations.md
	@$(BIN)/python docs/operations.py

schema: $(STAMP) ## docs/recipe.schema.json
	@$(BIN)/python docs/recipe_schema.py

judge: $(STAMP) $(KERNELS) ## scikit-image's own tests on the drop-in at small tiles; ARGS=--help
	@$(BIN)/python -m tests.judge $(ARGS)

bench: $(STAMP) $(KERNELS) ## planes, volumes and file to file against scikit-image; writes docs/benchmarks.md
	@$(BIN)/python -m benchmarks basket --size 4096 --volumes 256 --write $(ARGS)
	@$(BIN)/python -m benchmarks peers file_to_file --write

docs: $(STAMP) $(KERNELS) ## the documentation's site, in docs/_build/html; a warning is an error
	@$(BIN)/python -c 'import sphinx_gallery, numpydoc' 2>/dev/null || $(BIN)/python -m pip install -qq --group docs
	@$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html $(ARGS)

screenshots: display $(STAMP) ## take the documentation's pictures again, of the site after `make docs`
	@status=0; \
	for script in docs/screenshot*.py; do scripts/headless.sh $(BIN)/python $$script $(ARGS) || status=1; done; \
	exit $$status

build: $(STAMP) ## the sdist and the wheel, in dist/, checked
	@rm -rf dist
	@$(BIN)/python -m build --installer pip $(ARGS)
	@$(BIN)/twine check --strict dist/*
	@$(BIN)/check-wheel-contents dist/*.whl

native: $(STAMP) $(KERNELS) ## the compiled kernels, beside their Python modules

clean: ## remove the environment and everything that was built
	rm -rf .venv build docs/_build docs/_generated src/napari_tilewise/kernels/tilewise_* .judge dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# Before the environment, and with what that needs, so that one command brings everything.
display:
	@scripts/system.sh venv display

$(STAMP): pyproject.toml | $(if $(filter test screenshots,$(MAKECMDGOALS))$(filter --view,$(ARGS)),display)
	@scripts/environment.sh

# The installation compiled them; later only what changed in native/ asks for it again.
$(KERNELS): $(wildcard native/*) | $(STAMP)
	@echo 'Compiling the kernels'
	@$(BIN)/python -m pip install -qq --no-deps --editable .
	@touch $@
