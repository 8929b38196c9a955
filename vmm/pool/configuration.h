/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/pool/configuration.h - what one virtual machine of a pool is made of: HASH_vmcfg.cfg.
 *
 * Owns:     a configuration holds its texts until vine__vm_configuration_fini.
 * Threads:  one at a time on one configuration.
 * Blocking: never.
 * Trust:    the text may be anything; what is delivered is within the limits.
 * Limits:   the constants. Format: docs/formats/pool.md.
 */
#ifndef VINE_VMM_POOL_CONFIGURATION_H
#define VINE_VMM_POOL_CONFIGURATION_H

#include "vmm/pool/names.h"
#include "vmm/pool/problem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define VINE__VM_CONFIGURATION_VERSION   1
#define VINE__VM_CONFIGURATION_BYTES_MAX (64 * 1024)
#define VINE__VM_DISKS_MAX               8
#define VINE__VM_LINKS_MAX               32
#define VINE__VM_KERNEL_OPTIONS_MAX      64
#define VINE__VM_GROUPS_MAX              16
#define VINE__VM_CPUS_MAX                255
#define VINE__VM_MEMORY_MIN              (UINT64_C(128) << 20)
#define VINE__VM_MEMORY_MAX              (UINT64_C(1) << 42)
#define VINE__VM_LINK_BYTES_MIN          UINT64_C(4096)
#define VINE__VM_LINK_BYTES_MAX          (UINT64_C(1) << 36)
#define VINE__VM_CHANNELS_MAX            64 /* what a pipe may have */

/* What becomes of a machine when the server starts. */
enum vine__vm_autostart {
    VINE__VM_AUTOSTART_NEVER,
    VINE__VM_AUTOSTART_ALWAYS,
    VINE__VM_AUTOSTART_AS_BEFORE, /* it is started if it ran when the server ended */
};

/* What becomes of a machine that has ended and was not told to. */
enum vine__vm_restart {
    VINE__VM_RESTART_NEVER,
    VINE__VM_RESTART_ON_FAILURE, /* it did not power off by itself: a crash, a panic, a reset */
    VINE__VM_RESTART_ALWAYS,
};

/* An image of the pool, blocks/HASH.NAME.img; seen by the guest in the order of the list. */
struct vine__vm_disk {
    const char *name;
    bool is_read_only;
};

struct vine__vm_link {
    const char *name; /* where nothing else is said, the appliance's */
    const char *application;
    const char *appliance;
    uint64_t size_bytes; /* of each half */
    uint32_t channels;   /* 0: nothing is said of them */
    bool has_network;    /* beside it, the two have a network between them */
    bool has_serial;     /* and a virtio-serial port */
};

/* What the whole QEMU may have; 0: what there is. */
struct vine__vm_limits {
    uint64_t memory_bytes;
    uint32_t cpu_percent; /* 100: one processor */
    uint32_t cpu_weight;  /* 1 to 10000 */
    uint32_t processes;
};

struct vine__vm_configuration {
    const char *name;
    uint64_t memory_bytes;
    uint32_t cpu_count;
    const char *kernel_options[VINE__VM_KERNEL_OPTIONS_MAX];
    uint32_t kernel_option_count;
    struct vine__vm_disk disks[VINE__VM_DISKS_MAX];
    uint32_t disk_count;
    struct vine__vm_link links[VINE__VM_LINKS_MAX];
    uint32_t link_count;
    struct vine__vm_limits limits;
    enum vine__vm_autostart autostart;
    enum vine__vm_restart restart;
    const char *accelerator_groups[VINE__VM_GROUPS_MAX];
    uint32_t accelerator_group_count;
    json_t *json; /* of which the texts are */
};

/*
 * Read a configuration out of a text; `file` is how problems call it.
 *
 * Returns 0; -EINVAL: the problem says which field is wrong, and why; -ENOMEM.
 */
VINE_MUST_CHECK int vine__vm_configuration_parse(const char *file, const void *bytes, size_t size,
                                                 struct vine__vm_configuration *ret_configuration,
                                                 struct vine__problem *problem);

/* One that was not parsed, all zero, is allowed. */
void vine__vm_configuration_fini(struct vine__vm_configuration *configuration);

/* A configuration with this name and nothing else, for whoever completes it. NULL: no memory. */
json_t *vine__vm_configuration_new(const char *name);

/* The word of a policy, as files have it. */
const char *vine__vm_autostart_text(enum vine__vm_autostart autostart);
const char *vine__vm_restart_text(enum vine__vm_restart restart);

#endif
