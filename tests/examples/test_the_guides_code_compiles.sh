#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every block of C in the guides is one that a compiler takes, one guide after the other as one
# program: what begins with `static` or a macro of Vine's stands by itself, the rest in a function.
# What begins with an #include is a program of its own.
# The programs of the guide to servers have a test of their own in tests/package.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What the text around a block has said already.
before='struct vine_data **chunks = NULL; size_t chunk_count = 0; (void)chunks; (void)chunk_count;'

compiled=0
for guide in "$VINE_SOURCE_DIR"/docs/guides/*.md; do
    name=$(basename "$guide" .md)
    [ "$name" != server ] || continue
    awk -v outside="$scratch/$name.outside" -v inside="$scratch/$name.inside" \
        -v alone="$scratch/$name.alone" '
        /^```c$/ { in_block = 1; first = 1; next }
        /^```$/ && in_block { in_block = 0; next }
        !in_block { next }
        first && /^#include/ { to = alone ".c"; first = 0 }
        first { to = /^(static|VINE_)/ ? outside : inside; first = 0; found++ }
        { print >to }
        END { print found + 0 }' "$guide" >"$scratch/count"
    [ ! -e "$scratch/$name.alone.c" ] ||
        "${VINE_C_COMPILER:-cc}" -std=gnu17 -Wall -Wextra -Werror -O1 -c -o "$scratch/object" \
            -I "$VINE_SOURCE_DIR/include" "$scratch/$name.alone.c"
    [ "$(cat "$scratch/count")" -gt 0 ] || continue
    touch "$scratch/$name.outside" "$scratch/$name.inside"
    {
        printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n'
        printf '#include <sys/epoll.h>\n'
        printf '#include <vine/vine.h>\n'
        cat "$scratch/$name.outside"
        printf 'int main(void);\nint main(void)\n{\n%s\n' "$before"
        cat "$scratch/$name.inside"
        printf 'return error != 0;\n}\n'
    } >"$scratch/$name.c"
    "${VINE_C_COMPILER:-cc}" -std=gnu17 -Wall -Wextra -Werror -Wno-unused -fsyntax-only \
        -I "$VINE_SOURCE_DIR/include" "$scratch/$name.c" || {
        cat -n "$scratch/$name.c"
        exit 1
    }
    compiled=$((compiled + $(cat "$scratch/count")))
done
[ "$compiled" -ge 6 ] || { echo "only $compiled blocks were found"; exit 1; }
