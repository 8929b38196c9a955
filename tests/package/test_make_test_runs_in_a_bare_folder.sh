#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test: timeout=120
# `make test` is a target of a bare build folder that builds before it runs: ctest is told so by a
# file of ours at the folder's top, and nothing takes the name away.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/build"
cd "$scratch/build"
cmake "$VINE_SOURCE_DIR" >log 2>&1 || { cat log; exit 1; }
make -n test >plan
# Objects are made before the tests are run.
first=$(grep -n 'vine_objects.dir/build.make vine_objects.dir\|CMakeFiles/vine_objects.dir/build' plan |
    head -n 1 | cut -d: -f1)
run=$(grep -n 'scripts/run-tests' plan | head -n 1 | cut -d: -f1)
[ -n "$first" ] && [ -n "$run" ] && [ "$first" -lt "$run" ]
[ "$(ctest -N | sed -n 's/^Total Tests: //p')" -gt 0 ]
