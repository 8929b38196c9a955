# SPDX-License-Identifier: Apache-2.0
# Every acquire, release and compare-and-swap says within the eight lines above it what it pairs
# with ("C1 pairs with P2"), or that it pairs with nothing, and why.

check() {
    for file in $(c_files src vmm); do
        [ "$file" = src/utils/atomic.h ] || awk '
            tolower($0) ~ /pair/ { named = NR }
            /vine__(load_acquire|store_release|compare_exchange|exchange)_/ && \
                !(named && NR - named <= 8) { print FILENAME ":" NR ": names no pair:" $0 }' "$file"
    done
}

plant() {
    cat >src/utils/planted.c <<'END'
#include "utils/atomic.h"

void vine__planted(uint32_t *word);
void vine__planted(uint32_t *word)
{
    vine__store_release_u32(word, 1);
}
END
    expected='src/utils/planted.c:6: names no pair:'
}
