/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vm/guest.h - a kernel and an initrd to boot in a test, or a reason why there are none.
 *
 * Owns:     a folder of the test's own, which any user may read; the kernel comes from the build's
 *           folder and is kept there.
 * Threads:  call it before any is started.
 * Blocking: while apt-get fetches a kernel, the first time.
 * Trust:    the test's own.
 * Limits:   x86-64.
 */
#ifndef VINE_TESTS_VM_GUEST_H
#define VINE_TESTS_VM_GUEST_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "harness/folder.h"

struct guest {
    char folder[64];
    char kernel[128];
    char initrd[128];
};

/* Returns 0, or the exit code of a test that cannot run, whose reason was printed. */
static inline int guest_prepare(struct guest *guest)
{
    const char *const source = getenv("VINE_SOURCE_DIR");
    const char *const build = getenv("VINE_BUILD_DIR");
    const char *const compiler = getenv("VINE_C_COMPILER");
    char command[2048];

    (void)snprintf(guest->folder, sizeof(guest->folder), "/tmp/vine-vm-XXXXXX");
    if (source == NULL || build == NULL || compiler == NULL || folder_make(guest->folder) != 0) {
        printf("no VINE_SOURCE_DIR and so on, or no folder\n");
        return 77;
    }
    (void)snprintf(guest->kernel, sizeof(guest->kernel), "%s/vmlinuz", guest->folder);
    (void)snprintf(guest->initrd, sizeof(guest->initrd), "%s/initrd", guest->folder);
    (void)snprintf(
        command, sizeof(command),
        "'%s/tests/vm/fetch' '%s/vm' || exit; chmod 755 '%s'; cp '%s/vm/vmlinuz' '%s' || exit 1; "
        "mkdir '%s/root' && cd '%s/root' || exit 1; mkdir dev "
        "proc sys; cp '%s'/vm/*.ko . && '%s' -std=gnu17 -D_GNU_SOURCE -O1 -static -I '%s/src' "
        "-I '%s/include' -o init '%s/tests/vm/init.c' && find . | cpio -o -H newc --quiet "
        "-R 0:0 >../initrd; chmod 644 ../initrd ../vmlinuz",
        source, build, guest->folder, build, guest->folder, guest->folder, guest->folder, build,
        compiler, source, source, source);
    const int status = system(command);

    if (status == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        return 77;
    printf("cannot build a guest\n");
    return 1;
}

#endif
