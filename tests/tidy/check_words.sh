# SPDX-License-Identifier: Apache-2.0
# Nothing that we ship is unfinished, or names places of one machine.

check() {
    our_files | grep -zvE '^tests/(fuzz/corpus/|tidy/check_words\.sh$)' |
        xargs -0 grep -HnIE \
            '(^|[^A-Za-z_])(TODO|FIXME|XXX|HACK)([^A-Za-z_X]|$)|/(home|work|farm)/[a-z]+/' |
        grep -vE ':[0-9]+:.*/home/(user|USER|me|alice|bob)/' | cut -c 1-160
}

plant() {
    # Builds of somebody, and what git does not have, are none of ours; names may be odd.
    mkdir debug-build
    echo '/home/joe/vine' >debug-build/CMakeCache.txt
    : >"$(printf 'new\nline')"
    [ -z "$(check)" ] || return
    if command -v git >/dev/null; then
        git init -q . 2>/dev/null && git add src docs "$(printf 'new\nline')" || return
        echo 'TODO' >notes
        rm src/DEPS
        [ -z "$(check)" ] || return
        rm -r .git notes
    fi
    echo '/* TODO: grow */' >src/utils/planted.c
    expected='src/utils/planted.c:1:'
}
