# SPDX-License-Identifier: Apache-2.0
#
# The guide to servers, by its own words: the listings of each of its steps make a program that
# compiles without a warning against what is installed, with the flags that pkg-config gives. The
# last one is examples/word_server.c, and serves clients, shared and from the archive.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -e "$VINE_BUILD_DIR/libvine-runtime.a" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }
command -v pkg-config >/dev/null || { echo "skipped: pkg-config is not here (package: pkg-config)"; exit 77; }
command -v bash >/dev/null || { echo "skipped: no bash, which connects"; exit 77; }
. "$VINE_SOURCE_DIR/tests/examples/words.sh"
guide=$VINE_SOURCE_DIR/docs/guides/server.md

# A step is the parts that the guide lists, in that order, each as the last step up to this one has
# it: `<!-- step 2: client -->` stands before each listing.
awk '
    /^<!-- parts: / { gsub(/^<!-- parts: | -->$/, ""); part_count = split($0, parts, " "); next }
    /^<!-- step [1-9]: [a-z]+ -->$/ { step = $3 + 0; part = $4; next }
    /^```c$/ && part == "" { print "line " FNR ": of no step"; exit }
    /^```c$/ { in_listing = 1; text = ""; next }
    in_listing && /^```$/ {
        in_listing = 0
        listing[step, part] = text
        known = 0
        for (i = 1; i <= part_count; i++)
            known += parts[i] == part
        if (!known) { print "line " FNR ": " part " is none of the parts"; exit }
        if (step > last) last = step
        part = ""
        next
    }
    in_listing { text = text $0 "\n" }
    END {
        for (step = 1; step <= last; step++) {
            between = ""
            for (i = 1; i <= part_count; i++) {
                for (from = step; from > 0 && !((from, parts[i]) in listing); from--)
                    ;
                if (from == 0)
                    continue
                printf "%s%s", between, listing[from, parts[i]] >("step" step ".c")
                between = "\n"
            }
        }
    }' "$guide" >wrong
[ ! -s wrong ] || fail "$guide, $(cat wrong)"
[ "$(ls step*.c | wc -l)" = 5 ] || fail "the guide has $(ls step*.c | wc -l) steps"
sed -n '/^#include/,$p' "$VINE_SOURCE_DIR/examples/word_server.c" | diff - step5.c ||
    fail "the guide's program is not examples/word_server.c"

DESTDIR=$scratch/root cmake --install "$VINE_BUILD_DIR" --prefix /usr/local >installed ||
    { cat installed; exit 1; }
PKG_CONFIG_PATH=$(dirname "$(find "$scratch/root" -name vine-runtime.pc)")
export PKG_CONFIG_PATH
compiler=${VINE_C_COMPILER:-cc}
for step in step*.c; do
    "$compiler" -Wall -Wextra -Werror "$step" -o "${step%.c}" $(pkg-config --cflags --libs vine-runtime) ||
        fail "$step does not compile"
done
libraries=${PKG_CONFIG_PATH%/pkgconfig}
"$compiler" -Wall -Wextra -Werror step5.c -o archived $(pkg-config --cflags vine-runtime) \
    "$libraries/libvine-runtime.a" "$libraries/libvine.a" -luring -lhwloc -lmimalloc -lssl -lcrypto -lpthread
LD_LIBRARY_PATH=$libraries
export LD_LIBRARY_PATH

# The first step does nothing until it is told to end.
./step1 --overprovisioned --smp=2 --explain-start >shown 2>said &
serving=$!
until grep -q 'loop running' said; do
    kill -0 "$serving" 2>/dev/null || fail "the first step has ended"
    command sleep 0.05
done
kill -s TERM "$serving"
wait "$serving" || fail "the first step ended with $?"
grep -qx 'on 2 cores' shown || fail "the first step says: $(cat shown)"

# The second one counts the words of lines, and needs no folder.
./step2 --overprovisioned --smp=2 --listen=127.0.0.1:0 2>said &
serving=$!
until grep -q 'listening at' said; do
    kill -0 "$serving" 2>/dev/null || fail "the second step has ended"
    command sleep 0.05
done
port=$(sed -n 's/.*listening at 127.0.0.1:\([0-9]*\) .*/\1/p' said)
bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; echo 'one two  three' >&3; head -n 1 <&3" >answers
[ "$(cat answers)" = 'one two  three: 3 words' ] || fail "the second step says: $(cat answers)"
kill -s TERM "$serving"
wait "$serving" || fail "the second step ended with $?"
serving=

make_words
for program in ./step4 ./step5 ./archived; do
    begin_words "$program" --overprovisioned --smp=3
    ask_words
    end_words "$program"
done
