/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/boot.h - what a VM boots from: files that were taken out of its pool for it, and all
 * that an engine has to know of it.
 *
 * Owns:     its texts, until vine__boot_free; not the files, which the store puts back.
 * Threads:  any: nothing of it changes once it was made.
 * Blocking: never.
 * Trust:    what it says was checked by vmm/pool. Files may hold anything. Who runs it writes to
 *           those of its disks that are not read-only, and to nothing else.
 * Limits:   those of vmm/pool.
 */
#ifndef VINE_VMM_SERVER_BOOT_H
#define VINE_VMM_SERVER_BOOT_H

#include "vmm/pool/configuration.h"
#include "vmm/pool/names.h"

#include <stdbool.h>
#include <stdint.h>

/* A raw image, in the order in which the guest sees it. */
struct vine__boot_disk {
    char name[VINE__VM_NAME_BYTES];
    char *path;
    bool is_read_only;
};

/* A link of which this VM is one end, be it in its own configuration, in the other one's, or in the
 * pool's. */
struct vine__boot_link {
    char name[VINE__VM_NAME_BYTES]; /* how both ends call it */
    char application[VINE__VM_NAME_BYTES];
    char application_uid[VINE__VM_UID_BYTES];
    char appliance[VINE__VM_NAME_BYTES];
    char appliance_uid[VINE__VM_UID_BYTES];
    uint64_t size_bytes; /* of each half */
    uint32_t channels;   /* 0: nothing is said of them */
    bool has_network;
    bool has_serial;
};

struct vine__boot {
    char uid[VINE__VM_UID_BYTES];
    char name[VINE__VM_NAME_BYTES]; /* in its pool */
    char pool[VINE__POOL_NAME_BYTES];
    struct vine__vm_configuration *configuration;
    char *kernel; /* paths; NULL: none */
    char *initrd;
    struct vine__boot_disk disks[VINE__VM_DISKS_MAX];
    uint32_t disk_count;
    struct vine__boot_link *links;
    uint32_t link_count;
};

/* One that is half made, and NULL, are allowed. */
void vine__boot_free(struct vine__boot *boot);

#endif
