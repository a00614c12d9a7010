# Every target makes what it needs: a bare machine with python3, git and make will do.
PYTHON ?= python3
VENV ?= .venv
READY = $(VENV)/.ready

.PHONY: help demo test costly costs slow fuzz check bench e2e live soak packages oldest pictures lock clean

help:
	@echo "make demo   a push refused, the training run, the push accepted: no server needed"
	@echo "make test   the test suite; make test T=tests/unit/git only what is there, in seconds"
	@echo "make costly the tests that cost more than others, by tests/costly.txt: CI runs them too"
	@echo "make costs  measures every test, and writes tests/costly.txt anew"
	@echo "make slow   the tests that take seconds each: kills at every point, thousands of commits"
	@echo "make fuzz   the property tests with new examples: 1,000 each, or what SECONDS=60 allow"
	@echo "make check  ruff, mypy --strict, and the directions of imports"
	@echo "make bench  how fast, against what (prints ratios)"
	@echo "make e2e    the tests with a real clearml-agent (all of them: five minutes)"
	@echo "make live   the tests against the ClearML server in your environment"
	@echo "make soak   2,000 pushes with something going wrong in most (PUSHES=, SEED=)"
	@echo "make packages  the wheel and the sdist by pip, pipx and uv; every Python here; the lowest version of each dependency"
	@echo "make oldest  the tests that start git with git 2.31, built from its sources (GIT_SOURCE=, a URL or a clone)"
	@echo "make pictures  README's pictures from real output; wants Chromium"
	@echo "make lock   the hashes of what the actions install (uv makes them)"

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

demo: $(READY)
	@PATH="$(abspath $(VENV))/bin:$$PATH" sh demo/demo.sh

test: $(READY)
	$(VENV)/bin/python -m pytest -q -n auto $(COVERAGE) $(T)

costly: $(READY)
	$(VENV)/bin/python -m pytest -q -n auto -m "costly and not slow and not e2e" $(COVERAGE) $(T)

costs: $(READY)
	$(VENV)/bin/python -m pytest -q -n auto -m "not live and not e2e and not slow and not soak" -p tests.support.costs

slow: $(READY)
	$(VENV)/bin/python -m pytest -q -n auto -m "slow and not e2e" $(T)

SECONDS ?= 60

fuzz: $(READY)
	HYPOTHESIS_PROFILE=fuzz FUZZ_SECONDS=$(SECONDS) $(VENV)/bin/python -m pytest -q -n auto --timeout 1800 \
		-m "hypothesis and not e2e" $(T)

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

bench: $(READY)
	$(VENV)/bin/python benchmarks/verify.py
	$(VENV)/bin/python benchmarks/push.py
	$(VENV)/bin/python benchmarks/log.py

# Which of them: M="e2e and not slow" for those of CI. Their environments are made once per machine (E2E_ENV).
M ?= e2e
ENVIRONMENTS ?= agent dvc

e2e: $(READY)
	$(VENV)/bin/python -m tests.support.environments $(ENVIRONMENTS)
	$(VENV)/bin/python -m pytest -q -n 2 --dist loadfile -m "$(M)" $(T) tests/e2e

live: $(READY)
	$(VENV)/bin/python -m pytest -q -m live tests/live

PUSHES ?= 2000

soak: $(READY)
	PUSHES=$(PUSHES) SEED=$(SEED) $(VENV)/bin/python -m pytest -q -n 2 -m soak tests/soak

pictures: $(READY)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,pictures]'
	$(VENV)/bin/python docs/pictures/draw.py

packages:
	.ci/packages

oldest: $(READY)
	PYTHON=$(VENV)/bin/python .ci/oldest-git

# One list for every Python and system. The releases of the last week are left out: what is taken back is, mostly, by then.
UV ?= uv
LOCK = $(UV) pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --upgrade \
	--custom-compile-command "make lock" --exclude-newer "$$(date -d '7 days ago' +%F)" --no-config \
	--default-index https://pypi.org/simple

lock:
	$(LOCK) --output-file actions/requirements.txt pyproject.toml
	$(LOCK) --output-file actions/build.txt actions/build.in

clean:
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
