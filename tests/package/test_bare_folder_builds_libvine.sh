#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test: timeout=300
# `mkdir build; cd build; cmake ../; make libvine` in a copy of the tree, where no library but libc
# can be found: Release by default, Debug if asked for.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tree"
tar -C "$VINE_SOURCE_DIR" -c --exclude=./out --exclude=./build --exclude=./.git . |
    tar -C "$scratch/tree" -x

for type in '' Debug; do
    rm -rf "$scratch/tree/build"
    mkdir "$scratch/tree/build"
    cd "$scratch/tree/build"
    PKG_CONFIG_LIBDIR=/nowhere cmake ${type:+-DCMAKE_BUILD_TYPE=$type} \
        -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON -DCMAKE_IGNORE_PATH="/usr/include;/usr/lib/x86_64-linux-gnu" \
        -DCMAKE_CXX_COMPILER=NOTFOUND ../ >"$scratch/log" 2>&1 ||
        { cat "$scratch/log"; exit 1; }
    grep -q "CMAKE_BUILD_TYPE:STRING=${type:-Release}" CMakeCache.txt
    grep 'vine: .* is left out' "$scratch/log"
    make -j2 libvine >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
    if grep 'warning: ' "$scratch/log"; then
        exit 1
    fi
    [ -f libvine.a ]
done
