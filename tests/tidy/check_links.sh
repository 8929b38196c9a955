# SPDX-License-Identifier: Apache-2.0
# Links between our documents lead somewhere.

check() {
    find . -name '*.md' -not -path './out/*' -not -path './build/*' -not -path './.git/*' |
        sed 's|^\./||' | while read -r document; do
        folder=$(dirname "$document")
        grep -oE '\]\([^)#: ]+[)#]' "$document" | sed 's/^](//; s/[)#]$//' | sort -u |
            while read -r target; do
                [ -e "$folder/$target" ] || echo "$document: $target is not there"
            done
    done
}

plant() {
    mkdir -p docs
    echo '[more](nowhere/planted.md)' >docs/planted.md
    expected='docs/planted.md: nowhere/planted.md is not there'
}
