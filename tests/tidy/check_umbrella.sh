# SPDX-License-Identifier: Apache-2.0
# vine.h includes every public header.

check() {
    for header in include/vine/*.h; do
        name=${header##*/}
        [ "$name" != vine.h ] || continue
        grep -q "^#include <vine/$name>" include/vine/vine.h ||
            echo "include/vine/vine.h does not include <vine/$name>"
    done
}

plant() {
    echo '#include <vine/base.h>' >include/vine/planted.h
    expected='does not include <vine/planted.h>'
}
