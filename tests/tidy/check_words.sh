# SPDX-License-Identifier: Apache-2.0
# Nothing that we ship is unfinished, or names places of one machine.

check() {
    find . -type f -not -path './out/*' -not -path './build/*' -not -path './.git*' \
        -not -path './tests/fuzz/corpus/*' -not -path './tests/tidy/check_words.sh' |
        sed 's|^\./||' | xargs grep -nIE \
            '(^|[^A-Za-z_])(TODO|FIXME|XXX|HACK)([^A-Za-z_X]|$)|/(home|work|farm)/[a-z]+/' |
        grep -vE ':[0-9]+:.*/home/(user|USER|me|alice|bob)/' | cut -c 1-160
}

plant() {
    echo '/* TODO: grow */' >src/utils/planted.c
    expected='src/utils/planted.c:1:'
}
