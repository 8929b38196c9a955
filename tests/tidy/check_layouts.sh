# SPDX-License-Identifier: Apache-2.0
# What crosses a boundary has a size and offsets that the compiler checks: each struct of a
# *_layout.h or *_protocol.h, and each of its fields but those that nobody looks at.

check() {
    for header in $(c_files src | grep -E '_(layout|protocol)\.h$'); do
        code "$header" | awk -v header="$header" '
            {
                line = $0
                sub(/^[^:]*:[0-9]*:/, "", line)
                text = text line "\n"
            }
            match(line, /^struct [a-z_0-9]+ \{/) {
                split(line, word, " ")
                type = word[2]
                want(type, "")
                next
            }
            /^[^:]*:[0-9]*:\}/ { type = "" }
            type != "" && line ~ /;/ {
                field = line
                sub(/;.*/, "", field)
                gsub(/\[[^]]*\]/, "", field)
                sub(/.*[ *]/, "", field)
                if (field !~ /^(reserved|unused|lock_reserved|sums_reserved|\})/) want(type, field)
            }
            function want(a, b) { types[++count] = a; fields[count] = b }
            END {
                for (i = 1; i <= count; i++) {
                    a = types[i]
                    b = fields[i]
                    found = b == "" ? \
                        index(text, "VINE_LAYOUT(" a ",") || index(text, "sizeof(struct " a ") ==") : \
                        index(text, "VINE_FIELD(" a ", " b ",") || \
                            index(text, "offsetof(struct " a ", " b ") ==")
                    if (!found) print header ": nothing asserts " a (b == "" ? "" : "." b)
                }
            }'
    done
}

plant() {
    sed -i '/VINE_FIELD(vine_talk_hello, uuid/d' src/core/talk/talk_protocol.h
    expected='src/core/talk/talk_protocol.h: nothing asserts vine_talk_hello.uuid'
}
