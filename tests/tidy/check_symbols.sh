# SPDX-License-Identifier: Apache-2.0
# What libvine.a and libvine.so define begins with vine_; what the archive wants is in libc, and not
# among what a library must not do: print, exit, start threads, take signals, look names up.

banned='printf vprintf puts putchar perror __printf_chk __vprintf_chk exit _exit quick_exit atexit
    on_exit __cxa_atexit signal sigaction pthread_create dlopen dlsym getpwnam getpwuid getaddrinfo
    gethostbyname system popen fork vfork sleep usleep'

check() {
    [ -f "$archive" ] || { echo "$archive is not built"; return; }
    nm -A --defined-only --extern-only "$archive" | awk '
        $NF !~ /^vine_/ && NF >= 3 {
            symbol = $NF
            sub(/:[^:]*$/, "") # what is left is ARCHIVE:MEMBER
            sub(/.*\//, "")
            print $0 " defines " symbol ", which does not begin with vine_"
        }'
    [ ! -f "$shared" ] || nm -D --defined-only "$shared" | awk '
        $NF !~ /^vine_[a-z]/ { print "libvine.so shows " $NF }'

    libc=$($compiler -print-file-name=libc.so.6)
    loader=$(dirname "$libc")/$(ldd "$libc" 2>/dev/null | sed -n 's|.*/\(ld-linux[^ ]*\).*|\1|p')
    # libgcc is the compiler's own: arithmetic that the processor lacks.
    { nm -D --defined-only "$libc"
      nm --defined-only "$($compiler -print-libgcc-file-name)"
      [ ! -f "$loader" ] || nm -D --defined-only "$loader"; } 2>/dev/null |
        awk 'NF >= 3 { sub(/@.*/, "", $NF); print $NF }' | sort -u >"$scratch/libc"
    nm --defined-only --extern-only "$archive" | awk 'NF == 3 { print $3 }' | sort -u >"$scratch/own"
    nm -A --undefined-only "$archive" | awk '{ sub(/.*:/, "", $1); print $NF }' | sort -u |
        grep -v '^_GLOBAL_OFFSET_TABLE_$' >"$scratch/wanted"
    comm -23 "$scratch/wanted" "$scratch/own" >"$scratch/foreign"
    comm -23 "$scratch/foreign" "$scratch/libc" | sed 's/$/ is wanted by libvine.a and not in libc/'
    for symbol in $banned; do
        grep -qx "$symbol" "$scratch/foreign" || continue
        nm -A --undefined-only "$archive" | awk -v symbol="$symbol" '
            $NF == symbol {
                sub(/:[^:]*$/, "")
                sub(/.*:/, "")
                print "libvine.a: " $0 " uses " symbol ", which a library must not"
            }'
    done
}

plant() {
    printf 'int printf(const char *, ...);\nvoid stray(void);\nvoid stray(void) { (void)printf("%%d", 1); }\n' \
        >"$scratch/planted.c"
    "$compiler" -c -o "$scratch/planted.o" "$scratch/planted.c"
    cp "$archive" "$scratch/libvine.a"
    archive=$scratch/libvine.a
    ar q "$archive" "$scratch/planted.o"
    expected='planted.o uses printf'
}
