/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_package.h - a kernel's Debian package: what apt knows of it, and itself, downloaded once.
 */
#ifndef VINE_TOOLS_GUEST_PACKAGE_H
#define VINE_TOOLS_GUEST_PACKAGE_H

#include <stddef.h>
#include <stdint.h>

struct guest_package {
    char name[128];
    char version[128];
    char file[256];  /* how it is called where it is kept */
    char sha256[65]; /* hexadecimal */
    uint64_t size_bytes;
};

#define GUEST_PACKAGE_RELEASE "cloud-amd64" /* stands for the newest one of its kind */

/* Ask apt for the package of a kernel: `release` is such as 6.1.0-56-cloud-amd64, or one that
 * stands for another. Returns a status; what went wrong was told. */
int guest_package_find(const char *release, struct guest_package *ret_package);

/* Have it in `folder`: it lies there with its sum already, or is downloaded. The folder is the
 * caller's alone meanwhile. Returns a status. */
int guest_package_get(const struct guest_package *package, const char *folder);

/* The SHA-256 of bytes, hexadecimal. */
void guest_package_sum(const void *bytes, size_t size, char ret_text[65]);

#endif
