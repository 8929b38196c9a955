# SPDX-License-Identifier: Apache-2.0
# vine.h includes every public header of libvine, runtime.h every one of reactors, and coroutine.h
# every one of micro-processes, by the part of src/DEPS in which their modules stand. An appliance on
# reactors is above all of these, and in none.

check() {
    for part in libvine-runtime Micro-processes Appliances; do
        awk '/^#/ { on = /^# '"$part"'/ } on && /\|/ { sub(/.*\|/, ""); print }' src/DEPS |
            tr ' ' '\n' >"$scratch/$part"
    done
    for header in include/vine/*.h; do
        name=${header##*/}
        umbrella=include/vine/vine.h
        ! grep -qx "$name" "$scratch/libvine-runtime" || umbrella=include/vine/runtime.h
        ! grep -qx "$name" "$scratch/Micro-processes" || umbrella=include/vine/coroutine.h
        [ "$header" != "$umbrella" ] || continue
        ! grep -qx "$name" "$scratch/Appliances" || continue
        grep -q "^#include <vine/$name>" "$umbrella" || echo "$umbrella does not include <vine/$name>"
    done
}

plant() {
    echo '#include <vine/base.h>' >include/vine/planted.h
    expected='vine.h does not include <vine/planted.h>'
}
