# SPDX-License-Identifier: Apache-2.0
#
# A handful of verbs over CMake. Every build lies under out/<preset>; build/ stays yours.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := all
.PHONY: all demo test check bench fuzz fmt docs install clean help

# The demo's tree, the fuzzers' seconds, and where to install.
DIR     ?= /usr/include
MODE    ?= vm
SECONDS ?= 60
PREFIX  ?= /usr/local
DESTDIR ?=

# build(PRESET, TARGET): configure and build with all processors; say little but what goes wrong.
JOBS  := $(shell nproc 2>/dev/null || echo 2)
build = scripts/build $(1) $(2) $(JOBS)

# Under sudo nothing but what needs root is done as root: out/ stays its user's.
as_caller := $(if $(SUDO_USER),sudo -H -u "$(SUDO_USER)" --)

all: ## install what the build needs and build the release: out/release/vine
	@scripts/packages build
	@$(call build,release,all)

demo: ## compress and hash a real tree between two VMs (DIR=/usr/include, MODE=process), and check it
	@scripts/packages build demo
	@[ "$(MODE)" = process ] || scripts/packages demo-vm || \
	    echo "demo: going on without the packages that virtual machines need" >&2
	@$(call build,release,vine)
	@MODE="$(MODE)" scripts/demo "$(DIR)"

test: ## build and run the tests, in minutes
	@scripts/packages build test
	@$(call build,debug,tests)
	@$(call build,fuzz,fuzzers)
	@scripts/run-tests -E long out/debug -L fuzz out/fuzz

check: ## the whole matrix: compilers, sanitizers, aarch64, models, long stress, tidy
	@scripts/packages build test check
	@scripts/check $(JOBS)

bench: ## measure ours, the peers and the physical limit, and say what falls short
	@scripts/packages build bench
	@$(call build,release,all)
	@$(call build,release,benches)
	@bench/run

fuzz: ## run every fuzzer for SECONDS=60
	@scripts/packages build test
	@$(call build,fuzz,fuzzers)
	@VINE_FUZZ_SECONDS=$(SECONDS) scripts/run-tests -L fuzz out/fuzz

fmt: ## lay all C and C++ out as .clang-format says
	@scripts/packages build test
	@git ls-files -z '*.c' '*.h' '*.cpp' | xargs -0 scripts/lay-out

docs: ## draw anew the picture in README, and the plot of decision 28 from docs/benchmarks.md
	@scripts/packages docs
	@scripts/diagram
	@scripts/plot-queues >docs/decisions/queues.svg

install: ## headers, libraries, the command, man pages, completions (PREFIX=/usr/local, DESTDIR=)
	@[ "$$(id -u)" = 0 ] && [ -x out/release/vine ] || \
	    { scripts/packages build && $(as_caller) $(MAKE) all; }
	@DESTDIR="$(DESTDIR)" cmake --install out/release --prefix "$(PREFIX)"
	@chown --reference=out/release out/release/install_manifest.txt
	@[ -n "$(DESTDIR)" ] || scripts/tell-loader

clean: ## remove out/
	@rm -rf out

help: ## these lines
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | \
	    awk -F'|' '{ printf "%-16s%s\n", $$1, $$2 }'
