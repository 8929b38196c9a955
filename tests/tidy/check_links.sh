# SPDX-License-Identifier: Apache-2.0
# Links between our documents lead somewhere.

check() {
    our_files | grep -z '\.md$' | xargs -0 -n 1 sh -c '
        grep -oE "\]\([^)#: ]+[)#]" "$1" | sed "s/^](//; s/[)#]\$//" | sort -u |
            while read -r target; do
                [ -e "$(dirname "$1")/$target" ] || echo "$1: $target is not there"
            done' sh
}

plant() {
    mkdir -p docs
    echo '[more](nowhere/planted.md)' >docs/planted.md
    expected='docs/planted.md: nowhere/planted.md is not there'
}
