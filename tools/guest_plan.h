/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_plan.h - what `vine guest run` is to start, read from a JSON file (docs/formats/guest.md)
 * and checked.
 */
#ifndef VINE_TOOLS_GUEST_PLAN_H
#define VINE_TOOLS_GUEST_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/engine/description.h"

#define GUEST_PLAN_MACHINES_MAX 8
#define GUEST_PLAN_HOST         UINT32_MAX /* a process of this machine instead of one of ours */
#define GUEST_PLAN_HOST_NAME    "host"
#define GUEST_PLAN_LINKS_MAX    VINE_STATUS_LINKS_MAX

struct guest_plan_file {
    const char *path;   /* in the guest, without a slash before it */
    const char *source; /* here */
};

struct guest_plan_machine {
    const char *name;
    uint64_t memory_bytes;
    uint32_t processors;
    struct vine__machine_disk disks[VINE__MACHINE_DISKS_MAX];
    uint32_t disk_count;
    const char **kernel_options;
    uint32_t kernel_option_count;
    const char **init; /* lines of /etc/vine/init.conf; count 0: what the initrd has */
    uint32_t init_count;
    const char *kernel, *initrd; /* of its own; NULL: the plan's */
    struct guest_plan_file *files;
    uint32_t file_count;
    bool ends_all; /* when it has ended, the others are stopped */
};

struct guest_plan_link {
    const char *name;
    uint32_t machines[2]; /* by enum vine_status_end; one of them may be GUEST_PLAN_HOST */
    const char *socket;   /* where that process gets its end; NULL: in the run's folder */
    uint64_t size_bytes[2];
};

enum guest_plan_accelerator {
    GUEST_PLAN_AUTO, /* KVM where it boots the guest */
    GUEST_PLAN_KVM,
    GUEST_PLAN_TCG,
};

struct guest_plan {
    char *folder; /* of the file: relative paths start there */
    const char *kernel, *initrd;
    bool is_foreign; /* some initrd may be any: its init need not be ours */
    enum guest_plan_accelerator accelerator;
    struct guest_plan_machine machines[GUEST_PLAN_MACHINES_MAX];
    uint32_t machine_count;
    struct guest_plan_link links[GUEST_PLAN_LINKS_MAX];
    uint32_t link_count;
    uint32_t links_max;      /* places of each machine */
    uint64_t link_bytes_max; /* of the largest half that may come */
    bool network, serial;    /* between the first two machines */
    bool doorbells;
    struct json_t *root; /* what strings lie in, and those that were made of them */
    void **held;
    uint32_t held_count;
};

struct guest_plan_options {
    const char *guest; /* the folder of kernel and initrd, before what the file says; may be NULL */
    bool is_verbose;   /* kernels say what they do, unless the file gives them options */
};

/* Read and check the file. Says what is wrong, and where. Returns a status; the plan is for
 * guest_plan_free. */
int guest_plan_read(const char *path, const struct guest_plan_options *options,
                    struct guest_plan *ret_plan);

/* What the plan says of a machine, for the engine; whoever runs it adds the rest. */
void guest_plan_describe(const struct guest_plan *plan, uint32_t index,
                         struct vine__machine_description *ret_description);

void guest_plan_free(struct guest_plan *plan);

#endif
