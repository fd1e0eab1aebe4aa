# `make help` says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

LKB := target/release/lkb
# The lkb that is compiled with the tests: `make test` compiles no other.
TESTED := LKB=$(CURDIR)/target/debug/lkb COMPILED=yes
PACKAGES := $(patsubst %/build.yml,%,$(wildcard pkg/*/build.yml))
# What only tests boot.
TEST_PACKAGES := $(patsubst %/build.yml,%,$(wildcard tests/pkg/*/build.yml))

# Of the whole workspace: with one package chosen, cargo would compile lkb anew for its features.
MACHINES := --workspace --test machines

.PHONY: help deps build packages demo kernel kernel-check kernel-suite test fmt lint unit suite faults linuxkit openstack buildx fuzz hot bench deny clean

help: ## what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

deps: ## install the Debian packages that are needed (root)
	@tools/deps

build: deps ## build lkb
	LKB_COMMIT=$$(git rev-parse HEAD 2>/dev/null || echo unknown) cargo build --release --locked -p lkb

packages: $(if $(COMPILED),,build) ## build the packages of pkg/ into the cache
	@tools/debian-base
	$(LKB) pkg build $(PACKAGES)

demo: packages ## build examples/ldap.yml, boot it, ask LDAP, power it off
	@tools/demo

kernel: $(if $(COMPILED),,build) ## build our own hardened kernel into the cache (long, and only when its sources have changed)
	@tools/debian-base
	$(LKB) pkg build kernel-configs

kernel-check: deps ## make our kernel's configurations, and judge them, without compiling it
	@tools/debian-base
	@tools/kernel-check

kernel-suite: packages kernel ## boot everything on our own kernel
	$(LKB) pkg build $(TEST_PACKAGES)
	LKB_KERNEL=kernel-configs cargo test --locked --no-fail-fast $(MACHINES) -- --include-ignored --test-threads=3 --skip faults::

# Linking what boots keeps one core busy; unit tests and lints have the other. What each prints stays in one piece.
test: fmt deps ## every check there is
	cargo test --locked --no-run --workspace
	@$(MAKE) --no-print-directory -j2 --output-sync=recurse $(TESTED) packages unit-and-lint
	@$(MAKE) --no-print-directory $(TESTED) suite

.PHONY: unit-and-lint
unit-and-lint:
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory lint
	cargo test --locked --no-run $(MACHINES)

fmt: ## check the format of the sources
	cargo fmt --all --check

lint: deps ## clippy, warnings are errors
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked $(MACHINES) --test openstack -- -D warnings

unit: deps ## unit and integration tests
	cargo test --locked --no-fail-fast --workspace

suite: packages ## boot real images in qemu
	$(LKB) pkg build $(TEST_PACKAGES)
	cargo test --locked --no-fail-fast $(MACHINES) -- --test-threads=3

faults: packages ## the fault suite, whole: hours; LK_FAULTS_SEED=N for another order
	$(LKB) pkg build $(TEST_PACKAGES)
	METADATA_KILLS=100 cargo test --locked --workspace --test kill
	LK_FAULTS=full cargo test --locked --no-fail-fast $(MACHINES) -- faults:: --test-threads=2 --nocapture

linuxkit: deps ## build every YAML of LINUXKIT=DIR, a git checkout of LinuxKit, with stand-in images
	cargo test --locked -p lkb --test linuxkit -- --ignored --nocapture

openstack: packages ## start a real OpenStack, push, run, and boot what it serves (1 GB, 10 minutes)
	@tools/openstack

buildx: deps ## build with a real Docker and BuildKit what buildah builds, and compare (700 MB, 3 minutes)
	@tools/buildx

fuzz: ## run the fuzz targets, FUZZ_SECONDS=60 each
	@tools/fuzz

hot: packages ## find anew which functions run when machines boot (init/hot.ld)
	@tools/hot

bench: packages ## measure build, boot, memory and shutdown
	$(LKB) pkg build tests/bench/kernel
	@tools/bench
	cargo run --quiet --locked -p lk-tests --bin bench

deny: ## licences, sources and duplicates of what is linked (needs cargo-deny)
	cargo deny --locked check licenses bans sources

clean: ## remove what was built here (the cache of packages stays)
	cargo clean
