# Everything a newcomer or CI runs. `make test` and `make demo` set up what they need by themselves.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export BOBSYNC_CACHE ?= $(HOME)/.cache/bobsync
# Snapshots are read in tests and never written behind one's back; `make snapshots` writes them.
export INSTA_UPDATE ?= no

# The Rust of rust-toolchain.toml, which rustup installs at the first call. A machine that cannot
# install it, because it has no network, builds with its default Rust.
ifeq ($(shell cargo --version 2>/dev/null),)
export RUSTUP_TOOLCHAIN := $(firstword $(shell rustup default 2>/dev/null))
$(warning Rust of rust-toolchain.toml cannot be installed: using $(RUSTUP_TOOLCHAIN))
endif
CARGO := cargo
LOCKED := --locked

.PHONY: help
help: ## Shows this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

.PHONY: test
test: control-plane lint ## Runs everything: lint, unit, property, chart and story tests, and the vendors' SDKs.
	@echo "== tests"
	$(CARGO) test $(LOCKED) --workspace
	@echo "== the chart with the real Helm on a real API server"
	tests/chart/run
	@echo "== judges: vendors' own clients against the simulators"
	$(CARGO) build $(LOCKED) -p simulators
	tests/judges/run

.PHONY: quick
quick: ## Tests that need no control plane (lib, domain, lives, execution, conformance): minutes, for while you work.
	$(CARGO) test $(LOCKED) -p bobsync --lib --test domain --test lives --test execution
	@# These mostly wait for answers and times, so there is room for two on each core.
	$(CARGO) test $(LOCKED) -p bobsync --test conformance -- --test-threads $$((2 * $$(getconf _NPROCESSORS_ONLN)))

.PHONY: demo
demo: control-plane ## A real API server, simulators, the controller, and a story to watch and then to poke at.
	$(CARGO) build $(LOCKED) --workspace
	hack/demo/run

.PHONY: bench
bench: control-plane ## Measures the ratios at 1,000 and 10,000 employees, events among 100,000; writes target/bench/ratios.json.
	$(CARGO) build $(LOCKED) --release -p bobsync
	$(CARGO) run $(LOCKED) --release -p benches -- $(BENCH_ARGS)

.PHONY: control-plane
control-plane: ## Finds or builds etcd, kube-apiserver, kube-controller-manager, kubectl and helm (cached outside the checkout).
	@echo "== control plane"
	@hack/control-plane/provide

.PHONY: generate
generate: ## Writes every generated file: crds/, the chart's copy, the reference pages in docs/.
	$(CARGO) build $(LOCKED) -q -p bobsync
	hack/generate target/debug/bobsync

.PHONY: lint
lint: ## Formatting, clippy with warnings as errors, licences, and that generated files are up to date.
	@echo "== lint"
	hack/lint

.PHONY: snapshots
snapshots: ## Writes the golden files anew; read the difference before you commit it.
	INSTA_UPDATE=always $(CARGO) test $(LOCKED) --workspace

.PHONY: clean
clean: ## Removes build results; the cache outside the checkout stays.
	$(CARGO) clean
