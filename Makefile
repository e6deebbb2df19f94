# Every target works from a clean clone: the virtual environment is made on first use and left alone after.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
SEEDS  ?= 100000

RUNS   ?= 200
SECONDS ?= 5
ROUNDS ?= 3

.PHONY: help up down test check format bench conformance robustness drills rolling-restart slow-reader quota proto \
  simulate storefuzz apifuzz clean

help:
	@echo "make up           start the default cluster: 3 masters, 2 workers (Ctrl-C stops it); ARGS='--workers 4' adds flags"
	@echo "make test         run the tests"
	@echo "make check        ruff, mypy --strict, import contracts"
	@echo "make bench        measure, and print one table a benchmark"
	@echo "make conformance  replay every recorded behaviour of the real API server and print a table"
	@echo "make robustness   hurt real clusters under traffic and judge what clients saw; RUNS=200 SECONDS=5"
	@echo "make drills       every drill, as in docs/drills.md: leader-kill 20 times, backup-restore 5 times, the others once"
	@echo "make rolling-restart  restart every master in turn under 200 informers and a steady load; ROUNDS=3"
	@echo "make slow-reader  a watcher that does not read for a minute, against real processes"
	@echo "make quota        1,000 creates under a quota of 500 through three masters, whose leader dies"
	@echo "make proto        generate kvstore/rpc/proto/*_pb2.py from the .proto files beside them"
	@echo "make simulate     many seeded histories of a faulty Raft cluster; SEEDS=1000 for fewer"
	@echo "make storefuzz    guided fuzzing of all that the store reads from outside; SECONDS=600 for each target"
	@echo "make apifuzz      fuzzing of the API server: requests, OpenAPI documents, decoders; SECONDS=600 for each"
	@echo "make clean        remove the virtual environment and caches"

$(VENV)/.runtime: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "kuberaft needs Python >= 3.11; name one with: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@echo "Installing kuberaft into $(VENV) (once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@$(BIN)/python -m compileall -q kvstore apiserver components cluster_configs
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing the development tools into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

up: $(VENV)/.runtime
	@exec $(BIN)/kuberaft up $(ARGS)

down: $(VENV)/.runtime
	@exec $(BIN)/kuberaft down $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(ARGS)

simulate: $(VENV)/.dev
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

storefuzz: $(VENV)/.dev
	@for name in peer wal snapshot grpc request command; do \
	  $(BIN)/python -m tests.storefuzz $$name --seconds $(SECONDS) || exit 1; done

apifuzz: $(VENV)/.dev
	@for name in requests openapi json yaml cbor protobuf jsonpatch patch text http2; do \
	  $(BIN)/python -m tests.apifuzz $$name --seconds $(SECONDS) || exit 1; done

conformance: $(VENV)/.dev
	$(BIN)/python -m tests.conformance $(ARGS)

robustness: $(VENV)/.dev
	$(BIN)/python -m tests.robustness --runs $(RUNS) --seconds $(SECONDS) $(ARGS)

drills: $(VENV)/.runtime
	@for name in $$($(BIN)/kuberaft drill list -o json | $(BIN)/python -c \
	  'import json, sys; print(*(d["name"] for d in json.load(sys.stdin)["drills"]))'); do \
	  case $$name in leader-kill) times=20;; backup-restore) times=5;; *) times=1;; esac; \
	  $(BIN)/kuberaft drill $$name --repeat $$times --report drill-reports/$$name $(ARGS) || failed="$$failed $$name"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

rolling-restart: $(VENV)/.dev
	$(BIN)/python -m tests.robustness.rolling --rounds $(ROUNDS) $(ARGS)

slow-reader: $(VENV)/.dev
	SLOW_READER_SECONDS=60 $(BIN)/python -m pytest tests/robustness/test_slow_reader.py

quota: $(VENV)/.dev
	QUOTA_CREATES=1000 $(BIN)/python -m pytest -s tests/robustness/test_quota.py

proto: $(VENV)/.dev
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. kvstore/rpc/proto/*.proto

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
