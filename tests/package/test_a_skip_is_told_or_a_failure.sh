#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A test that is skipped is told with its reason; where a list says which ones may be, as in .ci/run,
# any other has failed, by name. That list names tests that there are.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
cat >CTestTestfile.cmake <<'END'
add_test(good true)
add_test(vm/none sh -c "echo skipped: no machine; exit 77")
add_test(model/rare sh -c "echo skipped: no model; exit 77")
set_tests_properties(vm/none model/rare PROPERTIES SKIP_RETURN_CODE 77)
END

# run STATUS [LIST]: what comes of these three.
run() {
    code=0
    VINE_TEST_SKIPS=${2:-} sh "$VINE_SOURCE_DIR/scripts/run-tests" . >shown 2>&1 || code=$?
    [ "$code" = "$1" ] || { cat shown; echo "ended with $code and not $1"; exit 1; }
}
# has LINE
has() {
    grep -qx "$1" shown || { cat shown; echo "no line '$1'"; exit 1; }
}
folder=${scratch##*/}

run 0
has "    $folder vm/none: skipped: no machine"
has '1 passed, 0 failed, 2 skipped'
printf '# why\n\nmodel/rare   for want of one\n' >list
run 1 list
has "    $folder vm/none, which may not be skipped: skipped: no machine"
has "    $folder model/rare: skipped: no model"
has '1 passed, 1 failed, 1 skipped'
echo 'vm/none of these neither' >>list
run 0 list
run 2 missing

# Builds that look at the sources have all that may be skipped.
ctest --test-dir "$VINE_BUILD_DIR" -N >tests
grep -q ': tidy/' tests || exit 0
sed '/^#/d; s/[ \t].*//' "$VINE_SOURCE_DIR/.ci/skips" | while read -r name; do
    grep -q ": $name\$" tests || { echo "there is no test $name"; exit 1; }
done
