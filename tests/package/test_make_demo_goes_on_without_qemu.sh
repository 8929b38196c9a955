#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make demo` on a machine where QEMU cannot be installed: the job is done between two processes,
# and why is said. MODE=process does not ask for QEMU at all, and where it is had the machines do
# the job.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$VINE_SOURCE_DIR"
cp -R Makefile packages.list scripts "$scratch"
cd "$scratch"
fail() {
    echo "FAILED: $*"
    sed 's/^/  log: /' log
    sed 's/^/  says: /' said
    exit 1
}

# What would take minutes, or change this machine, only says that it was called. No package is
# there, and apt-get installs what is not $WITHOUT; of what machines need it makes the programs.
for part in build demo-vm demo-process; do
    printf '#!/bin/sh\necho "%s $*" >>log\n' "$part" >"scripts/$part"
done
mkdir bin
for program in sh dirname awk sed tail mktemp rm cat chmod env make nproc mkdir; do
    ln -s "$(command -v "$program")" "bin/$program"
done
cat >bin/apt-get <<'APT'
#!/bin/sh
for word; do
    [ "$word" != "${WITHOUT:-none}" ] || { echo "E: no $word to be had"; exit 100; }
done
for word; do
    case $word in
    qemu-system-x86) tools="qemu-system-x86_64" ;;
    e2fsprogs) tools="mkfs.ext4 debugfs" ;;
    *) continue ;;
    esac
    echo "installs $word" >>log
    for tool in $tools; do printf '#!/bin/sh\n' >"bin/$tool" && chmod +x "bin/$tool"; done
done
APT
printf '#!/bin/sh\n' >bin/dpkg-query
printf '#!/bin/sh\n' >bin/dpkg-deb
printf '#!/bin/sh\necho 0\n' >bin/id
printf '#!/bin/sh\necho x86_64\n' >bin/uname
chmod +x bin/apt-get bin/dpkg-query bin/dpkg-deb bin/id bin/uname scripts/build scripts/demo-*
unset MAKEFLAGS MFLAGS MAKELEVEL SUDO_USER

# demo LINE...: `make demo` ends well; of building, installing and doing the job it does this.
demo() {
    : >log
    # What is looked for in /usr/sbin and /sbin besides is this machine's: not here.
    sed -i 's|PATH=$PATH:/usr/sbin:/sbin|PATH=$PATH|' scripts/demo
    PATH=$scratch/bin make demo DIR=/tree ${MODE:+"MODE=$MODE"} >shown 2>said ||
        fail "it ended with $?"
    printf '%s\n' "$@" >wanted
    cmp -s log wanted || fail "instead of: $*"
}
says() {
    grep -q -e "$1" said || fail "does not say '$1'"
}

WITHOUT=qemu-system-x86
export WITHOUT
MODE=process demo "build release vine $(nproc)" 'demo-process /tree'
[ ! -s said ] || fail "says something"
MODE='' demo "build release vine $(nproc)" 'demo-process /tree'
says 'no qemu-system-x86 to be had'
says 'without the packages that virtual machines need'
says 'there is no qemu-system-x86_64: between two processes instead'
WITHOUT=
MODE='' demo 'installs qemu-system-x86' 'installs e2fsprogs' "build release vine $(nproc)" \
    'demo-vm /tree'
[ ! -s said ] || fail "says something"

# What both ways need is no warning.
WITHOUT=zstd
if PATH=$scratch/bin make demo DIR=/tree >shown 2>said; then
    fail "it goes on without zstd"
fi
says 'no zstd to be had'
