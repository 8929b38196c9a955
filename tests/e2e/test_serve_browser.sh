# SPDX-License-Identifier: Apache-2.0
# test: long
#
# A browser loads a page with 100 resources from `vine serve http --root`: the page itself tells what
# has come, and how large it was. Then it asks for all of them again by conditions, with what it has
# kept. Plain and by TLS.
. "$VINE_SOURCE_DIR/tests/e2e/services.sh"
needs openssl
browser=
for name in chromium-headless-shell chromium-shell chromium google-chrome; do
    [ -n "$browser" ] || browser=$(command -v "$name" || :)
done
[ -n "$browser" ] || skip "no browser (package chromium-headless-shell)"

# ---- a page --------------------------------------------------------------------------------------
# 20 of each kind, each of a size of its own, up to 180 KB. Each tells in a way of its own kind that
# it is what it should be: a script calls, a style sets a property, a picture has a width, and what is
# fetched has a length; of all of them the browser knows how many bytes came.
kinds='js css svg png txt'
pixel=iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
mkdir -p root/parts
for i in $(seq 0 19); do
    padding=$(head -c $((i * i * 503)) /dev/zero | tr '\0' x)
    printf 'came("js %d"); // %s\n' "$i" "$padding" >"root/parts/$i.js"
    printf ':root { --part-%d: came; } /* %s */\n' "$i" "$padding" >"root/parts/$i.css"
    printf '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="7"><!-- %s --></svg>\n' \
        $((100 + i)) "$padding" >"root/parts/$i.svg"
    { echo "$pixel" | base64 -d && printf %s "$padding"; } >"root/parts/$i.png"
    printf 'text %d %s' "$i" "$padding" >"root/parts/$i.txt"
done
{
    echo '<!DOCTYPE html><meta charset="utf-8"><title>parts</title>'
    echo '<script>'
    echo 'const sizes = {'
    (cd root && wc -c parts/*) | sed -n 's/^ *\([0-9]*\) \(parts.*\)/"\2": \1,/p'
    cat <<'END'
};
const seen = new Set();
function came(what) { seen.add(what); }
function tell(what) { new Image().src = "/told?" + what; }
window.onerror = (message) => tell("error=" + encodeURIComponent(message));
const texts = Array.from({length: 20}, async (_, i) => {
    const answer = await fetch("parts/" + i + ".txt");
    const text = await answer.text();
    if (answer.ok && text.startsWith("text " + i) && text.length == sizes["parts/" + i + ".txt"])
        came("txt " + i);
});
function count_known() {
    const style = getComputedStyle(document.documentElement);
    for (let i = 0; i < 20; i++) {
        if (style.getPropertyValue("--part-" + i).trim() == "came") came("css " + i);
        if (document.getElementById("svg" + i).naturalWidth == 100 + i) came("svg " + i);
        if (document.getElementById("png" + i).naturalWidth == 1) came("png " + i);
    }
}
function count_sized() {
    let sized = 0;
    for (const entry of performance.getEntriesByType("resource")) {
        const name = new URL(entry.name).pathname.slice(1);
        if (sizes[name] == entry.encodedBodySize) sized++;
    }
    return sized;
}
async function ask_again() {
    let again = 0;
    await Promise.all(Object.keys(sizes).map(async (name) => {
        const answer = await fetch(name, {cache: "no-cache"});
        const bytes = await answer.arrayBuffer();
        if (answer.ok && bytes.byteLength == sizes[name]) again++;
    }));
    return again;
}
window.onload = async () => {
    await Promise.all(texts);
    count_known();
    tell("known=" + seen.size + "&sized=" + count_sized());
    tell("again=" + await ask_again());
};
</script>
END
    for i in $(seq 0 19); do
        echo "<link rel=\"stylesheet\" href=\"parts/$i.css\"><script src=\"parts/$i.js\"></script>"
        echo "<img id=\"svg$i\" src=\"parts/$i.svg\"><img id=\"png$i\" src=\"parts/$i.png\">"
    done
} >root/index.html
# Entity tags are strong once a file is older than what its time can tell apart.
find root -type f -exec touch -d 2020-01-01 {} +

# ---- the browser ---------------------------------------------------------------------------------
browse() {
    "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
        --ignore-certificate-errors-spki-list="$trusted" --user-data-dir="$scratch/profile.$1" \
        --remote-debugging-port=0 \
        "$1://127.0.0.1:$port/" >"browser.$1" 2>&1 &
    browsing=$!
}

# told WHAT: until the page has said so; anything else of the kind fails.
told() {
    tries=0
    until grep -q "GET /told?$1" log 2>/dev/null; do
        tries=$((tries + 1))
        ! grep -q 'GET /told?error' log 2>/dev/null || fail "the page: $(grep told log)"
        kill -0 "$browsing" 2>/dev/null || fail "the browser ended: $(cat "browser.$2")"
        [ $tries -lt 2000 ] || fail "the page never tells: $(cat "browser.$2")"
        command sleep 0.05
    done
}

# look HOW WORD...: all of it, with a service that is started so.
look() {
    how=$1
    shift
    rm -f log
    begin http --root root --access-log log --smp 1 "$@"
    browse "$how"
    told 'known=[0-9]*&sized=[0-9]* ' "$how"
    grep -q 'GET /told?known=100&sized=100 ' log || fail "$how: of 100: $(grep told log)"
    told 'again=[0-9]* ' "$how"
    grep -q 'GET /told?again=100 ' log || fail "$how: of 100: $(grep told log)"
    for kind in $kinds; do
        [ "$(grep -c "GET /parts/[0-9]*\.$kind HTTP/1.1\" 200 " log)" = 20 ] ||
            fail "$how: not each $kind once: $(cat log)"
        # A browser that has kept it asks by condition, and nothing is sent again.
        [ "$(grep -c "GET /parts/[0-9]*\.$kind HTTP/1.1\" 304 " log)" = 20 ] ||
            fail "$how: not each $kind by condition: $(cat log)"
    done
    # More than 200 requests by a few connections, which stay.
    kill -USR1 "$serving"
    said_in_time 'vine_service_accepted_total{service="http",listen="127.0.0.1:[0-9]*"} [0-9]'
    accepted=$(sed -n 's/.*vine_service_accepted_total{service="http",listen="[^"]*"} \([0-9]*\).*/\1/p' said)
    [ "$accepted" -ge 2 ] && [ "$accepted" -le 20 ] || fail "$how: $accepted connections"
    kill -TERM "$browsing"
    wait "$browsing" || :
    end
}

openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out certificate -days 2 \
    -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2>/dev/null
# What is not trusted is not kept.
trusted=$(openssl x509 -in certificate -pubkey -noout | openssl pkey -pubin -outform der |
    openssl dgst -sha256 -binary | base64)

look http
look https --tls certificate,key
look http --isolate mprotect --reactor-backend epoll
