#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test: timeout=1200
# `mkdir build; cd build; cmake ../; make libvine` in a copy of the tree, where no library but libc can
# be found: a Release build that says what it leaves out, and has no warning.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tree"
tar -C "$VINE_SOURCE_DIR" -c --exclude=./out --exclude=./build --exclude=./.git . |
    tar -C "$scratch/tree" -x
mkdir "$scratch/tree/build"
cd "$scratch/tree/build"

libraries=$(dirname "$(${VINE_C_COMPILER:-cc} -print-file-name=libc.so)")
cmake -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON "-DCMAKE_IGNORE_PATH=/usr/include;$libraries" \
    -DCMAKE_CXX_COMPILER=NOTFOUND ../ >log 2>&1 || { cat log; exit 1; }
grep 'CMAKE_BUILD_TYPE:STRING=Release' CMakeCache.txt
grep 'vine: the vine command is left out: .*(package: .*libjansson-dev' log
grep 'vine: every test in C is left out: .*(package: libcmocka-dev)' log
make -j2 libvine >log 2>&1 || { cat log; exit 1; }
if grep -A 5 'warning: ' log; then
    exit 1
fi
[ -f libvine.a ]
