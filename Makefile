# make demo      audit a legal submission and its illegal twin
# make test      lint, types and tests, as CI runs them
# make check     lint and types only
# make test-gpu  the tests that need a CUDA device
# make scorecard audit the corpus of cheats and write its table into the README (half an hour)
# make redteam   audit the submissions that fight back and write their table into the README (a quarter of an hour)
# make properties run the property tests and write what they drew into the README
# make snapshots write the report snapshots anew; read the diff before you commit it
# make clean     remove what the targets above made
#
# Each target installs what it needs into .venv first, once.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test check test-gpu scorecard redteam properties snapshots install clean
.DELETE_ON_ERROR:

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"needs Python 3.11 or newer; {sys.executable} is {v[0]}.{v[1]}: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

# $(call audit,FOLDER,EXIT CODE): run the audit, and fail unless it exits as expected.
define audit
	@echo '$$ pgolf-verify $(1)'
	@$(BIN)/pgolf-verify $(1); code=$$?; echo; \
	if [ $$code -eq $(2) ]; then echo "exit code $$code, as expected"; \
	else echo "exit code $$code, expected $(2)" >&2; exit 1; fi; echo
endef

demo: $(INSTALLED)
	$(call audit,submissions/score_first_ttt,0)
	$(call audit,submissions/scored_slot,1)

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# A worker for each core; a module's tests stay together, so that what they share is made once.
test: check
	$(BIN)/python -m pytest -m "not gpu" --numprocesses auto --dist loadscope

test-gpu: $(INSTALLED)
	$(BIN)/python -m pytest -m gpu

scorecard: $(INSTALLED)
	$(BIN)/python -m tests.cheats.scorecard --write README.md

redteam: $(INSTALLED)
	$(BIN)/python -m tests.redteam.table --write README.md

properties: $(INSTALLED)
	$(BIN)/python -m tests.properties.table --write README.md

snapshots: $(INSTALLED)
	$(BIN)/python -m tests.verifier.report.snapshots
	git diff --stat -- tests/verifier/report/snapshots

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find pgolf verifier tests -name __pycache__ -type d -prune -exec rm -rf {} +
