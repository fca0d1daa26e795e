# Two commands do everything on a fresh machine (Linux, Python 3.11+, Rust stable): `make demo` and `make test`.
# Each target sets up what it needs; a second run reuses what the first one built.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE_SOURCES := $(shell find rust -name '*.rs' -o -name '*.toml' -o -name '*.vocab' -o -name '*.bin' | grep -v /target/) Cargo.toml Cargo.lock
FILE ?=

.PHONY: build demo test test-python test-rust damage soak fuzz sanitize lint format bench bench-core bench-peers lock clean
.PHONY: deploy-check release-check

build: $(VENV)/.built

$(VENV)/.installed: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit("Retold needs Python 3.11 or later, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

$(VENV)/.built: $(VENV)/.installed pyproject.toml $(CORE_SOURCES)
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --locked --quiet
	touch $@

demo: build
	$(BIN)/retold demo $(FILE)

test: test-python test-rust

# A process a core; what takes long is shared out as it goes.
test-python: build
	$(BIN)/python -m pytest -p no:benchmark --numprocesses auto --dist worksteal

test-rust:
	cargo test --workspace --release --locked

# 200 single bits flipped in the files of a small store, one after the other: a minute or two.
damage: build
	RETOLD_FLIPS=200 $(BIN)/python -m pytest tests/acceptance/test_store_damage.py -s

# Two processes, 10,000 appends each to one session, each killed ten times: some minutes. 10,000 made-up sessions and all
# shared data under every preset, each compaction held against what it promises: an hour. Workers and servers killed, faulty links,
# full disks (tests/chaos): two hours. A worker beside agents that write 1,000 messages a second, half an hour.
soak: build
	RETOLD_APPENDS=10000 $(BIN)/python -m pytest tests/acceptance/test_two_writers.py -s
	RETOLD_LAW_EXAMPLES=625 $(BIN)/python -m pytest tests/policy/test_promises.py -s
	RETOLD_GUARD_CASES=0 $(BIN)/python -m pytest tests/guard -s
	RETOLD_CHAOS=1 $(BIN)/python -m pytest tests/chaos -s
	RETOLD_POISONED=400 $(BIN)/python -m pytest tests/log/test_dead_letters.py
	RETOLD_BLOB_MUTATIONS=10000 RETOLD_HTTP_MUTATIONS=1500 $(BIN)/python -m pytest --timeout 900 tests/gateway -k "was_changed or makes_the_gateway"
	RETOLD_LAW_EXAMPLES=25 $(BIN)/python -m pytest --timeout 3600 tests/gateway/test_openapi.py
	$(BIN)/retold bench worker --part soak --rate 1000 --seconds 1800

# From Python, for each encoding: a million texts against tiktoken, 100,000 cut into deltas, 20,000 of them in bytes, any
# bytes, 100 MB at once. In Rust: 20,000 texts and 2,000 counters against a slow reference; giant runs, asked about, cut and
# restored. New ones each time: five minutes.
fuzz: build
	RETOLD_LAW_EXAMPLES=200 $(BIN)/python -m pytest tests/tokens -k "hard_texts_encode or every_append_totals_a_recount or bytes_cut_anywhere or any_bytes_are or hundred_megabytes"
	RETOLD_LAW_EXAMPLES=50 cargo test --release --locked --package retold-tokens --test slow_reference --test counter

# The one module with `unsafe` under Miri, which checks every step. Needs a nightly compiler that has it:
# rustup toolchain install nightly --component miri
sanitize:
	RUSTFLAGS="-C target-feature=+avx2,+bmi1,+bmi2,+popcnt,+lzcnt" CARGO_TARGET_DIR=target/miri \
		cargo +nightly miri test --locked --package retold-tokens --lib split::simd

lint: build
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/python -m mypy.stubtest retold._core
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet -c pyproject.toml tests
	cargo fmt --all --check
	cargo fmt --manifest-path benches/core/Cargo.toml --check
	cargo clippy --workspace --all-targets --release --locked -- -D warnings

# Everything in deploy/ and .github/ through the tools that read it. They are kept in target/deploy-tools: the first run fetches them.
DEPLOY_TOOLS := target/deploy-tools
deploy-check: build $(DEPLOY_TOOLS)/.fetched
	TOOLS=$(abspath $(DEPLOY_TOOLS)) deploy/check/run.sh

$(DEPLOY_TOOLS)/.fetched: deploy/check/requirements.lock deploy/check/helm.lock deploy/check/fetch.sh
	deploy/check/fetch.sh $(DEPLOY_TOOLS) $(PYTHON)
	touch $@

# The sdist, a wheel from it in a clean environment, its SBOM; installed and used. Some minutes: the core is compiled anew.
RELEASE_DIR ?= dist
release-check: $(VENV)/.installed
	deploy/release/check.sh $(RELEASE_DIR)

format: build
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cargo fmt --all
	cargo fmt --manifest-path benches/core/Cargo.toml

bench: build
	$(BIN)/retold bench tokens
	$(BIN)/retold bench append
	$(BIN)/retold bench pipeline
	$(BIN)/retold bench replay
	$(BIN)/python -m pytest benches --benchmark-only

# The core without Python, under criterion.
bench-core:
	cd benches/core && CARGO_TARGET_DIR=../../target/benches cargo bench --locked

# The peers for `make bench` to run beside: other tokenizers, LangChain, LangGraph, pyeventsourcing. None is needed for anything else.
bench-peers: build
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r pyproject.toml --extra bench

lock: $(VENV)/.installed
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra openai --extra anthropic --extra otel --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet -o deploy/runtime.lock
	cargo generate-lockfile

clean:
	rm -rf $(VENV) target .pytest_cache .mypy_cache .ruff_cache .hypothesis
