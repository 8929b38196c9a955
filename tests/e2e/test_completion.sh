# SPDX-License-Identifier: Apache-2.0
# test: timeout=600
#
# What a line that is being typed may become: by the command itself, which every shell asks, and
# with keys that go to a shell on a terminal.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/vm_server.sh"
server=
tab=$(printf '\t')

# ask WORD...: what the last of them may become is in the file `shown`.
ask() { expect 0 "$vine" help --complete -- "$@" >shown; }

# beside WHAT WORD...: no more than these words, and WHAT the shell adds.
beside() {
    { head -n 1 shown; sed 1d shown | cut -f 1 | sort; } >words
    { echo "$1"; shift; [ $# = 0 ] || printf '%s\n' "$@" | sort; } | diff - words || fail "other words: $(cat shown)"
}
has() { cut -f 1 shown | grep -qxF -e "$1" || fail "no $1 among $(cat shown)"; }
lacks() { ! cut -f 1 shown | grep -qxF -e "$1" || fail "$1 among $(cat shown)"; }

# Verbs, and what groups of them are about.
ask ''
beside words $("$vine" help | sed -n '/^Verbs/,/^$/s/^  \([a-z]*\).*  .*/\1/p' | sort -u)
for group in guest pool vm client; do grep -q "^$group$tab[a-z]" shown || fail "nothing on $group"; done
ask ru
beside words run
ask vm st
beside words start stop
ask vm frobnicate ''
beside words
ask frobnicate x ''
beside words
ask help ''
has vm
ask help vm wa
beside words wait
ask help version ''
beside words

# Options of every verb; those that were given stand a second time only where they may.
for verb in run appliance agent procs pipes config doctor bench "guest build" "guest run" "guest ctl" "guest bells" \
    "guest bench" "guest echo" "pool create" "pool ls" "pool show" "pool check" "pool add" "pool rm" "pool export" \
    server up down "vm create" "vm ls" "vm show" "vm start" "vm stop" "vm restart" "vm kill" "vm console" "vm log" \
    "vm events" "vm wait" "vm configure" "vm rm" "vm kernel" "vm initrd" "vm disk" "vm limits" \
    "client add" "client ls" "client rm" "client give" help version; do
    # shellcheck disable=SC2086
    ask $verb --
    # shellcheck disable=SC2086
    beside words $("$vine" $verb --help | sed -n 's/^  *\(-[A-Za-z], \)\{0,1\}\(--[a-z-]*\).*/\2/p')
done
ask vm stop --timeout 5s x --
lacks --timeout
has --json
ask pool add --disk a=b --
has --disk
ask run -
has -o
grep -q "^--output$tab[a-z]" shown || fail "nothing on --output"

# Closed choices, behind a blank and behind =, wherever the operands are.
ask server --accelerator ''
beside words auto kvm tcg
ask server --accelerator=k
beside words --accelerator=kvm
ask pool add farm x --autostart ''
beside words never always as_before
ask pool add --restart on
beside words on_failure
ask appliance --isolate=
beside words --isolate=best --isolate=pku --isolate=mprotect --isolate=none
ask help --completion ''
beside words bash zsh fish
ask vm wait x ''
beside words off starting running paused stopping backoff deleted
ask vm wait --timeout 5s x -- sto
beside words stopping
ask guest ctl path ''
beside words ls plug unplug pause resume stop kill start end
ask client add -p ''
beside list view manage run manage-all run-all none
ask client add --permissions view,man
beside list view,manage view,manage-all
ask client add --permissions=view,run-
beside list --permissions=view,run-all
ask client add -p view,
lacks view,view
ask run z
beside words zstd
ask run no
beside words
if [ -x "$VINE_BUILD_DIR/vine-serve" ]; then
    ask serve ''
    beside files echo http resp
    ask serve http --iso
    beside words --isolate
    ask serve http --isolate p
    beside words pku
fi

# Files, folders and pools, in the place of each operand.
for line in 'run sha256' 'run sha256 x' 'vm kernel x' 'vm configure x' 'vm initrd x' 'vm disk x root' 'guest run' \
    'pool add p x --kernel' 'vm show -s' 'server -c' 'pool add p x --disk'; do
    # shellcheck disable=SC2086
    ask $line ''
    beside files
done
for line in 'pool ls' 'appliance --procs' 'guest build -o' 'server --state'; do
    # shellcheck disable=SC2086
    ask $line ''
    beside directories
done
for line in 'pool show' 'pool check' 'pool check a' 'pool rm' 'pool add' 'pool create' 'pool export' 'vm kernel -p' \
    'up -s none' 'down -s none' 'server -p'; do
    # shellcheck disable=SC2086
    ask $line ''
    beside 'files .img'
done
for line in 'vm disk x' 'pool add p' 'vm ls' 'vm create' 'client add' 'vm wait x off' 'run -L' 'version'; do
    # shellcheck disable=SC2086
    ask $line ''
    beside words
done

# Machines of a pool that is here, and nothing of one that is not.
expect 0 "$vine" pool create farm --size 32M
expect 0 "$vine" pool add farm zip
expect 0 "$vine" pool add farm app
for line in 'pool show farm' 'pool rm farm.img' "pool export $PWD/farm" 'vm kernel -p farm' 'vm limits --pool=./farm'; do
    # shellcheck disable=SC2086
    until_true sh -c "'$vine' help --complete -- $line '' | grep -qx zip"
    # shellcheck disable=SC2086
    ask $line nothing
    beside words
done
mv farm.img farm.json "$HOME"
until_true sh -c "'$vine' help --complete -- pool show '~/farm' z | grep -qx zip"
mv "$HOME/farm.img" "$HOME/farm.json" .
ask pool rm farms ''
beside words

# Without a server there are no names, and nothing is said.
for line in 'vm show' 'vm stop a' 'vm create --owner' 'client rm' 'client give x' 'client add --pool'; do
    # shellcheck disable=SC2086
    ask $line -s none.sock ''
    beside words
    [ ! -s said ] || fail "$line: not silent"
done

# ---- keys on a terminal ----------------------------------------------------------------------------

for shell in bash zsh fish; do
    "$vine" help --completion $shell >complete.$shell
    command -v $shell >/dev/null || { echo "skipped: no $shell, whose completions are not read"; continue; }
    $shell -n complete.$shell || fail "$shell does not read its completions"
done
mkdir bin 'a folder'
# What is typed, and not what would come of it.
cat >bin/vine <<STUB
#!/bin/sh
[ "\$1 \$2" != 'help --complete' ] || exec '$vine' "\$@"
printf '%s|' "\$@" >>'$scratch/typed'
STUB
chmod 755 bin/vine
mkdir zsh
printf 'PATH=%s/bin:$PATH\n. %s/complete.bash\n' "$scratch" "$scratch" >bashrc
printf 'PATH=%s/bin:$PATH\nautoload -U compinit\ncompinit -u -D\n. %s/complete.zsh\n' \
    "$scratch" "$scratch" >zsh/.zshrc

# shell NAME: what it does with the lines that are typed.
shell() {
    case $1 in
    bash) INPUTRC=/dev/null TERM=dumb script -qec 'bash --noprofile --rcfile bashrc -i' /dev/null ;;
    zsh) ZDOTDIR=$scratch/zsh TERM=dumb script -qec 'zsh --no-global-rcs -i' /dev/null ;;
    esac
}

# typed SHELL KEYS WORDS: with a tab behind the keys the command has these words, each with a |
# behind it; whether there is a slash behind a folder is the shell's affair.
typed() {
    rm -f typed
    printf 'vine %s\t\nexit\n' "$2" >keys
    shell "$1" <keys >screen 2>&1 || fail "$1, $2: $(cat screen)"
    [ "$(sed 's,/|,|,g' typed)" = "$3" ]
}
completes() { typed "$shell" "$@" || fail "$shell: $1 became $(cat typed) instead of $2: $(cat screen)"; }

shells=
for shell in bash zsh; do
    if command -v $shell >/dev/null && command -v script >/dev/null; then
        shells="$shells $shell"
    else
        echo "skipped: no keys are typed into $shell, for want of it or of script"
    fi
done
echo >root.ext4
echo >'a folder/a file.json'
for shell in $shells; do
    completes ru 'run|'
    completes 'run --su' 'run|--sums|'
    completes 'guest bui' 'guest|build|'
    completes 'pool show ./f' 'pool|show|./farm.img|'
    completes 'up -s none f' 'up|-s|none|farm.img|'
    completes 'pool rm ./f' 'pool|rm|./farm.img|'
    completes 'pool ls a' 'pool|ls|a folder|'
    completes 'vm disk x root ro' 'vm|disk|x|root|root.ext4|'
    completes 'vm kernel x ~/../ro' "vm|kernel|x|$HOME/../root.ext4|"
    completes 'guest run a\ folder/a' 'guest|run|a folder/a file.json|'
    completes 'guest run "a folder/a' 'guest|run|a folder/a file.json|'
    completes 'server --accelerator k' 'server|--accelerator|kvm|'
    completes 'server --accelerator=k' 'server|--accelerator=kvm|'
    completes 'server --config=ro' 'server|--config=root.ext4|'
    completes 'pool add farm x --disk root=ro' 'pool|add|farm|x|--disk|root=root.ext4|'
    completes 'client add -p view,run-' 'client|add|-p|view,run-all|'
    completes 'run sha256 -a pci:auto ro' 'run|sha256|-a|pci:auto|root.ext4|'
done

# One shell says itself what a line may become.
becomes() {
    PATH=$scratch/bin:$PATH fish --no-config -c '. complete.fish; complete -C $argv[1]' "vine $1" >shown
    [ "$(cut -f 1 shown)" = "$2" ] || fail "fish: $1 may become $(cat shown) instead of $2"
}
if command -v fish >/dev/null; then
    becomes 'run --su' --sums
    becomes 'up -s none f' farm.img
    becomes 'pool ls a' 'a folder/'
    becomes 'vm disk x root ro' root.ext4
    becomes 'guest run a\ folder/a' 'a folder/a file.json'
    becomes 'guest run "a folder/a' 'a folder/a file.json'
    becomes 'server --accelerator=k' --accelerator=kvm
    becomes 'server --config=ro' --config=root.ext4
    becomes 'client add -p view,run-' view,run-all
fi

# ---- names that a server has -----------------------------------------------------------------------

[ -x "$VINE_BUILD_DIR/vine-server" ] || skip "no vine-server, so none is asked for names"
# shellcheck disable=SC2086
begin_server $server_options --pool ./farm
socket=run/control.sock
expect 0 "$vine" client add alice -s $socket
# It may be slow, and nobody waits for it long.
answers() {
    # shellcheck disable=SC2086
    "$vine" help --complete -- $1 '' >shown
    cut -f 1 shown | grep -qxF -e "$2"
}
until_true answers "vm show -s $socket" zip
beside words zip app
grep -q "^zip${tab}off$" shown || fail "no state: $(cat shown)"
until_true answers "vm kill --socket=$PWD/$socket zip" app
until_true answers "client rm -s $socket" alice
until_true answers "client give zip -s $socket" alice
until_true answers "vm create -s $socket --owner" alice
until_true answers "client add -s $socket --pool" farm
until_true answers "up -s $socket" farm
beside 'files .img' farm
mkdir elsewhere
(cd elsewhere && until_true answers "down -s ../$socket" "$scratch/farm")
for shell in $shells; do until_true typed "$shell" "vm stop -s $socket z" "vm|stop|-s|$socket|zip|"; done

# One that does not answer is not waited for.
kill -STOP "$server"
for line in 'vm show' 'client rm' 'client add --pool' down; do
    # shellcheck disable=SC2086
    expect 0 timeout 100 "$vine" help --complete -- $line -s $socket '' >shown
    [ "$(wc -l <shown)" = 1 ] || fail "$line: $(cat shown)"
done
kill -CONT "$server"
end_server
server=
