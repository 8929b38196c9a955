/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/pool/source.h - what is copied into a pool, or out of it, and who is told how far it is.
 */
#ifndef VINE_VMM_POOL_SOURCE_H
#define VINE_VMM_POOL_SOURCE_H

#include "vmm/pool/roll.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called a few times for each MiB. Whoever returns false ends the copy: -ECANCELED. */
typedef bool (*vine__progress_fn)(void *context, const char *what, uint64_t done_bytes,
                                  uint64_t bytes);

struct vine__progress {
    vine__progress_fn tell; /* NULL: nobody */
    void *context;
};

/* Bytes in memory, or those of a descriptor from where it stands to its end. */
struct vine__source {
    const char *name; /* for messages */
    const void *bytes;
    size_t size;
    int fd; /* -1: the bytes */
    uint64_t size_max;
    struct vine__progress progress;
};

struct vine__source_result {
    uint64_t size_bytes;
    char digest[VINE__DIGEST_BYTES];
};

#endif
