# SPDX-License-Identifier: Apache-2.0
# Public headers compile alone as C11 and as C++17; private ones as our own dialect.

check() {
    strict='-fsyntax-only -Wall -Wextra -Wshadow -Wconversion -Werror'
    for header in include/vine/*.h; do
        name=${header#include/}
        echo "#include <$name>" >"$scratch/alone.c"
        $compiler -std=c11 -pedantic $strict -Iinclude "$scratch/alone.c" 2>"$scratch/says" ||
            { echo "$header does not compile alone as C11"; cat "$scratch/says"; }
        cp "$scratch/alone.c" "$scratch/alone.cpp"
        ! command -v c++ >/dev/null 2>&1 ||
            c++ -std=c++17 -fsyntax-only -Wall -Wextra -Werror -Iinclude "$scratch/alone.cpp" 2>"$scratch/says" ||
            { echo "$header does not compile alone as C++17"; cat "$scratch/says"; }
    done
    c_files src vmm procedures keys tools appliance server | grep '\.h$' | while read -r header; do
        echo "#include \"${header#src/}\"" >"$scratch/alone.c"
        $compiler -std=gnu17 -D_GNU_SOURCE $strict -Wno-unused-function -I. -Isrc -Iinclude -Iprocedures -Ikeys -Itools \
            "$scratch/alone.c" 2>"$scratch/says" ||
            { echo "$header does not compile alone"; cat "$scratch/says"; }
    done
    command -v c++ >/dev/null 2>&1 || echo "note: no C++ compiler here (package: g++)"
}

plant() {
    find src vmm procedures keys tools appliance server -name '*.h' -delete # the public ones will do
    printf 'uint32_t planted(struct nowhere *restrict class);\n' >include/vine/planted.h
    expected='include/vine/planted.h does not compile alone as C11'
}
