# SPDX-License-Identifier: Apache-2.0
#
# A handful of verbs over CMake; every build lies under out/<preset>.
.DEFAULT_GOAL := all
MAKEFLAGS += --no-print-directory
JOBS := $(shell nproc)

.PHONY: all
all: ## build the release: out/release/vine
	@cmake --preset release >/dev/null
	@cmake --build out/release -j $(JOBS)
