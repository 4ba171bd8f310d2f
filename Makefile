.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
EXPERIMENTS := $(basename $(notdir $(wildcard configs/experiment/*.yaml)))
export GOMP_SPINCOUNT ?= 3000 # waiting threads that spin for long slow down a shared machine
JUPYTER := jupyterlab==4.6.6
PARALLEL ?= -n auto --maxprocesses 4 --dist worksteal # tests side by side, one thread each

# run folder for the picture of a report
RUN ?= runs/pictures

.PHONY: help setup search test slow smoke lint notebooks pictures

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.venv/ready: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

setup: .venv/ready ## Make .venv from requirements.txt

search: setup ## Search for a cell on handwritten digits
	$(BIN)/python search.py executor=ray # trains as many networks at once as there are cores

test: setup ## Run the fast tests
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

slow: setup ## Run the slow tests
	$(BIN)/python -m pytest $(PARALLEL) -m slow

smoke: setup ## Run every experiment for a moment on generated images, and train its result
	set -e; for experiment in $(EXPERIMENTS); do \
		run=runs/smoke/$$experiment; rm -rf $$run; \
		$(BIN)/python search.py experiment=$$experiment debug=smoke callbacks.progress=null hydra.run.dir=$$run; \
		$(BIN)/python train.py architecture=$$run callbacks.progress=null hydra.run.dir=$$run/train; \
	done

lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

pictures: setup ## Draw the pictures of docs/ again: 2 to 8 minutes with RUN=<run folder>, else also a search of 6 to 24
	test -e $(RUN)/summary.json || $(BIN)/python search.py executor=ray hydra.run.dir=$(RUN)
	$(BIN)/python -m benchmarks.pictures $(RUN)

.venv/jupyter: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(JUPYTER)
	touch $@

notebooks: .venv/jupyter ## Install Jupyter into .venv and open the notebooks
	$(BIN)/python -m jupyter lab notebooks
