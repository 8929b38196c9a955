/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/pool/settings.h - what is said of a pool as a whole: NAME.json, beside its image.
 *
 * Owns:     settings hold their texts until vine__pool_settings_fini.
 * Threads:  one at a time on one.
 * Blocking: never.
 * Trust:    the text may be anything; what is delivered is within the limits.
 * Limits:   VINE__POOL_SETTINGS_BYTES_MAX. Format: docs/formats/pool.md.
 */
#ifndef VINE_VMM_POOL_SETTINGS_H
#define VINE_VMM_POOL_SETTINGS_H

#include "vmm/pool/configuration.h"
#include "vmm/pool/problem.h"

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define VINE__POOL_SETTINGS_VERSION   1
#define VINE__POOL_SETTINGS_BYTES_MAX (64 * 1024)

/* 0: none. */
struct vine__pool_limits {
    uint32_t vms;
    uint64_t kernel_bytes; /* of a kernel, and of an initrd */
    uint64_t disk_bytes;   /* of one disk */
};

struct vine__pool_settings {
    const char *mount_point; /* an absolute path, or NULL */
    struct vine__pool_limits limits;
    struct vine__vm_link links[VINE__VM_LINKS_MAX];
    uint32_t link_count;
    json_t *json; /* of which the texts are */
};

/* Returns 0; -EINVAL: the problem says which field is wrong, and why. */
VINE_MUST_CHECK int vine__pool_settings_parse(const char *file, const void *bytes, size_t size,
                                              struct vine__pool_settings *ret_settings,
                                              struct vine__problem *problem);

/* Those that were not parsed, all zero, are allowed. */
void vine__pool_settings_fini(struct vine__pool_settings *settings);

#endif
