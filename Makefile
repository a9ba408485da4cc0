# hadal. Every target installs what it needs first (scripts/setup.sh), so each works on a bare Debian machine.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: help setup configure build demo demo-balance demo-mtp test oracle sanitize sanitize-quick fuzz fuzz-quick bench lint lint-all format clean

# One compiler a core, but never more than memory holds (1.5 GiB each).
JOBS ?= $(shell awk -v n="$$(nproc)" '/^MemAvailable/ { m = int($$2 / 1572864); print m < 1 ? 1 : (m < n ? m : n) }' /proc/meminfo)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

setup:  ## install the packages that the build needs, if any is missing
	@scripts/setup.sh build

configure: setup
	@mkdir -p build
	@cmake --preset release >build/configure.log || { cat build/configure.log; exit 1; }

build: configure  ## the release program, build/hadal
	@cmake --build --preset release -j $(JOBS) --target hadal

demo: build  ## train a small model on real text, and show what came of it
	@scripts/setup.sh demo
	@scripts/demo.sh

demo-balance: build  ## experts balanced by bias, by auxiliary loss, by neither: three seeds each, a report
	@scripts/setup.sh demo
	@scripts/study.sh balance

demo-mtp: build  ## with and without multi-token prediction, at the same data and compute: a report
	@scripts/setup.sh demo
	@scripts/study.sh mtp

test: configure  ## build and run every test
	@cmake --build --preset release -j $(JOBS)
	@ctest --preset release -j $(JOBS)

oracle: build  ## compare with PyTorch and transformers on random models
	@scripts/oracle.sh

sanitize:  ## every test under asan+ubsan, then under tsan
	@JOBS=$(JOBS) scripts/sanitize.sh full

sanitize-quick:  ## the quick tests under asan+ubsan
	@JOBS=$(JOBS) scripts/sanitize.sh quick

fuzz-quick:  ## the readers of files on kept inputs, then 10,000 new ones each
	@JOBS=$(JOBS) scripts/fuzz.sh quick

fuzz:  ## the same for FUZZ_SECONDS each (default 600); scripts/fuzz.sh says more
	@JOBS=$(JOBS) scripts/fuzz.sh run $(or $(FUZZ_SECONDS),600)

bench: build  ## speed, as fractions of this machine's limits
	@for script in bench/*.sh; do if [ -x "$$script" ]; then echo "== $$script"; "$$script" build/hadal; fi; done

lint: configure  ## format, house rules, clang-tidy on the changed files
	@scripts/setup.sh lint
	@JOBS=$(JOBS) tools/lint.sh

lint-all: configure  ## the same, clang-tidy on every file
	@scripts/setup.sh lint
	@JOBS=$(JOBS) LINT_BUDGET=0 tools/lint.sh all

format:  ## rewrite every C++ file in the house format
	@scripts/setup.sh lint
	@git ls-files '*.cpp' '*.h' | xargs -r clang-format-16 -i

clean:  ## remove what was built
	rm -rf build build-debug build-clang build-asan build-tsan
