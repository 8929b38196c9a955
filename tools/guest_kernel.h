/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_kernel.h - a kernel for guests, and its modules, out of Debian's package of it.
 *
 * Owns:     what lies in $XDG_CACHE_HOME/vine/guest (~/.cache without the variable): packages as
 *           they were downloaded, and what was taken out of the last one.
 * Blocking: downloads; waits for another build that works in the cache.
 * Trust:    apt, which checks signatures, says which package it is and what its SHA-256 is; a
 *           package that does not have it is not used.
 */
#ifndef VINE_TOOLS_GUEST_KERNEL_H
#define VINE_TOOLS_GUEST_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "guest_files.h"

struct guest_kernel {
    char package[128];
    char version[128]; /* of the package */
    void *image;       /* what QEMU starts; for free() */
    size_t image_size;
    bool is_elf;   /* unpacked already */
    void *modules; /* an archive (cpio.h); for free() */
    size_t modules_size;
};

/* `release` is the kernel's, such as 6.1.0-56-cloud-amd64, or NULL: the newest that apt knows.
 * Returns a status; what went wrong was told. */
int guest_kernel_get(const char *release, struct guest_kernel *ret_kernel);
void guest_kernel_free(struct guest_kernel *kernel);

#endif
