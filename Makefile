# Every target does its own set-up: `make demo` and `make test` work on a fresh machine with Python 3.11-3.13.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# The first that runs and fits: a version manager's shim can be on the PATH and lead nowhere.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && { echo $$each; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
# The lock's own uv does the installing.
UV_VERSION = $(shell sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements-dev.lock)
# It trusts whom the system trusts, as pip does: a company's proxy may sign for the index.
export UV_SYSTEM_CERTS ?= 1
# Nothing is installed as bytecode: who may not keep it compiles dbt, Dagster and us again in each of a thousand processes.
unexport PYTHONDONTWRITEBYTECODE

##@ Use
.PHONY: demo
demo: setup ## Make a sample month, close it, report what was found (COUNTERFOIL_HOME or ./.counterfoil)
	$(BIN)/counterfoil demo

.PHONY: down
down: setup ## Stop what the demo started
	$(BIN)/counterfoil down

.PHONY: verifier
verifier: setup ## Build dist/counterfoil-verify.pyz, the auditor's single file
	mkdir -p dist && $(BIN)/python -m ledger_core.log.build_verifier dist/counterfoil-verify.pyz

.PHONY: wheel
wheel: setup ## Build dist/counterfoil-*.whl
	$(BIN)/python -m hatchling build -t wheel -d dist

.PHONY: docs
docs: setup ## What each model is, in dist/docs/index.html: one page, to be opened without a server or the network
	$(BIN)/python -m reconciliation.runs.dbt_docs dist/docs/index.html

##@ Set up
.PHONY: setup
setup: $(VENV)/.ready ## A virtual environment with locked dependencies

$(VENV)/.ready: requirements-dev.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Counterfoil needs Python 3.11 to 3.13; set PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# An S3 service with versions and object lock, for the tests of the archive: kept in the user's cache, for every checkout.
VERSITYGW_VERSION := v1.8.0
VERSITYGW := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/counterfoil/tools/versitygw-$(VERSITYGW_VERSION)/versitygw

# A Kafka broker, for the tests of the relay: its jars.
KAFKA := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/counterfoil/tools/kafka-3.9.1/lib

.PHONY: setup-full
setup-full: setup packages $(VERSITYGW) $(KAFKA) ## Also Chromium, Node, SoftHSM, a Postgres with TLS, Java (Debian, as root), an S3 service (built with Go), a Kafka broker (Maven)

.PHONY: packages
packages:
	@lacks=; has() { command -v $$1 >/dev/null || lacks="$$lacks $$2"; }; \
	has chromium chromium; has node nodejs; has softhsm2-util softhsm2; has cc 'gcc libc6-dev'; \
	has java default-jre-headless; has mvn maven; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || lacks="$$lacks postgresql"; \
	[ -z "$$lacks" ] || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $$lacks >/dev/null; }

$(VERSITYGW):
	GOBIN="$(@D)" GOFLAGS=-mod=mod go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)

# Into a neighbour first: a folder that is there is whole.
$(KAFKA): | packages
	rm -rf "$@.partial" && mvn -q -B -f tests/fixtures/servers/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory="$@.partial"
	mv "$@.partial" "$@"

# `all` is what the demo runs on; a back-end's library is for the host of the keys.
EXTRAS := --extra all --extra pkcs11 --extra awskms --extra vault

.PHONY: lock
lock: setup ## Resolve the lock files again
	$(BIN)/uv pip compile pyproject.toml $(EXTRAS) --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --quiet --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml $(EXTRAS) --group dev --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet --output-file requirements-dev.lock

##@ Check
.PHONY: test
test: setup lint types contracts ## Every check and every test
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

.PHONY: unit
unit: setup ## The tests without I/O
	$(BIN)/python -m pytest tests/unit

.PHONY: lint
lint: setup ## ruff, and deptry: what is declared is what is used
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/deptry .

.PHONY: types
types: setup ## mypy, strict on the rooms that hold money
	$(BIN)/mypy

.PHONY: contracts
contracts: setup ## Who may import whom
	$(BIN)/lint-imports

.PHONY: long
long: setup ## What `make test` does for seconds, whole: drawn companies by the thousand, whole months night by night, ten minutes of hostile exports, a thousand webhooks through a storm
	COUNTERFOIL_CASES=2000 $(BIN)/python -m pytest tests/cases
	COUNTERFOIL_FUZZ_SECONDS=600 $(BIN)/python -m pytest tests/property/test_verifier_fuzz.py
	COUNTERFOIL_WEBHOOK_EVENTS=100 $(BIN)/python -m pytest tests/integration/inbox/test_inbox_storm.py

.PHONY: bench
bench: setup ## Every benchmark at full size, each against a baseline of the same run
	for name in posting http_api webhooks ingest reconciliation growth verify log replay; do $(BIN)/python -m bench.$$name || exit 1; done

.PHONY: compare
compare: setup ## The same against COMMIT=, in turn: is anything slower here?
	$(BIN)/python -m bench.compare "$(COMMIT)" $(COMPARE_OPTIONS)

.PHONY: format
format: setup ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

##@ Help
.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
