#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test: timeout=1200
# `cmake -DCMAKE_BUILD_TYPE=Debug ../; make test` in a folder where nothing was built before: in a copy
# of the tree with one good test and one that fails, so that its last line has something to count.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tree"
tar -C "$VINE_SOURCE_DIR" -c --exclude=./out --exclude=./build --exclude=./.git --exclude=./tools \
    --exclude=./procedures --exclude='./tests/*/*' --exclude='./examples/*.c' . |
    tar -C "$scratch/tree" -x
mkdir -p "$scratch/tree/tests/unit/utils" "$scratch/tree/build"
cp -R "$VINE_SOURCE_DIR/tests/harness" "$scratch/tree/tests/"
cp "$VINE_SOURCE_DIR/tests/unit/utils/test_error.c" "$scratch/tree/tests/unit/utils/"
cd "$scratch/tree/build"
cmake -DCMAKE_BUILD_TYPE=Debug ../ >log 2>&1 || { cat log; exit 1; }

make -j2 test >log 2>&1 || { cat log; exit 1; }
grep -q '^1 passed, 0 failed$' log || { cat log; exit 1; }

cat >../tests/unit/utils/test_failing.c <<'PROGRAM'
int main(void)
{
    return 1;
}
PROGRAM
if make -j2 test >log 2>&1; then
    cat log
    echo "a failing test did not fail the target"
    exit 1
fi
grep -q '^1 passed, 1 failed$' log || { cat log; exit 1; }
grep -q 'unit/utils/failing$' log
