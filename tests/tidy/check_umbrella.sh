# SPDX-License-Identifier: Apache-2.0
# vine.h includes every public header of libvine, and runtime.h every one of libvine-runtime, by the
# part of src/DEPS in which their modules stand.

check() {
    awk '/^#/ { on = /^# libvine-runtime/ } on && /\|/ { sub(/.*\|/, ""); print }' src/DEPS |
        tr ' ' '\n' >"$scratch/runtime"
    for header in include/vine/*.h; do
        name=${header##*/}
        umbrella=include/vine/vine.h
        ! grep -qx "$name" "$scratch/runtime" || umbrella=include/vine/runtime.h
        [ "$header" != "$umbrella" ] || continue
        grep -q "^#include <vine/$name>" "$umbrella" || echo "$umbrella does not include <vine/$name>"
    done
}

plant() {
    echo '#include <vine/base.h>' >include/vine/planted.h
    expected='vine.h does not include <vine/planted.h>'
}
