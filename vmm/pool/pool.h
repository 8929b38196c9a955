/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/pool/pool.h - virtual machines on disk: NAME.img, an ext4 with their kernels, disks and
 * configurations, and NAME.json.
 *
 * Three calls in order deliver configurations: open, mount, load. A pool is never made by them:
 * change.h does that, and changes one; check.h looks after one.
 *
 * Owns:     the image's descriptor with its locks; a mount, which ends with it; what was loaded.
 * Threads:  one at a time on one pool; any number of pools.
 * Blocking: reads of files; where another process's change is going into the image just then, the
 *           moment that this takes; mount and umount, programs of the system.
 * Trust:    every file of a pool may hold anything. What is wrong is a problem, in words; what is
 *           wrong with one machine leaves the others usable.
 * Limits:   VINE__POOL_VMS_MAX machines. Formats: docs/formats/pool.md.
 */
#ifndef VINE_VMM_POOL_POOL_H
#define VINE_VMM_POOL_POOL_H

#include "vmm/pool/configuration.h"
#include "vmm/pool/problem.h"
#include "vmm/pool/roll.h"
#include "vmm/pool/settings.h"
#include "vmm/pool/source.h"

#include <vine/base.h>

#include <stdbool.h>
#include <stdint.h>

enum vine__pool_use {
    VINE__POOL_READ, /* beside others, and beside one who changes it */
    VINE__POOL_OWN,  /* nobody else changes it until it is closed */
};

struct vine__pool_vm {
    struct vine__pool_entry entry;
    bool is_usable;
    struct vine__problem problem;                /* of one that is not */
    struct vine__vm_configuration configuration; /* all zero, of one that has none */
};

struct vine__pool_contents {
    struct vine__pool_settings settings;
    struct vine__pool_vm *vms; /* in the order of vms.json */
    uint32_t vm_count;
    uint32_t usable_count;
    struct vine__problem problem; /* NAME.json has a link to no machine; all else is usable */
    uint64_t size_bytes;          /* of the file system in the image; 0, 0: it is mounted */
    uint64_t free_bytes;
};

struct vine__pool;

/*
 * Open folder/NAME.img and folder/NAME.json, both of which must be there.
 *
 * Returns 0; -EINVAL: the name can be none; -ENOENT: a file is missing; -EBUSY: somebody else owns
 * it, or has it mounted; -EPERM: a file is a symbolic link that somebody else can have made;
 * another error. The problem says what.
 */
VINE_MUST_CHECK int vine__pool_open(const char *folder, const char *name, enum vine__pool_use use,
                                    struct vine__pool **ret_pool, struct vine__problem *problem);

/*
 * Where NAME.json has the system mount it: for free(); NULL: it says no place. The image, which may
 * have any file system, is not looked at. Returns 0, or an error with a problem.
 */
VINE_MUST_CHECK int vine__pool_mount_point(const struct vine__pool *pool, char **ret_point,
                                           struct vine__problem *problem);

/* The path of its image, links followed: the pool's. */
const char *vine__pool_image(const struct vine__pool *pool);

/*
 * Come to what is in the image: `point` NULL reads it in place, as any user may; else the system's
 * mount puts it there, for which one has to be root and to own the pool. It is told both paths: who
 * can change what lies there may choose what is mounted, and over what.
 *
 * Returns 0, or an error, and what mount said is in the problem.
 */
VINE_MUST_CHECK int vine__pool_mount(struct vine__pool *pool, const char *point,
                                     struct vine__problem *problem);

/* Whether it can be loaded: one that is mounted, or read in place, and of which no change has ended
 * so that it has to be opened anew. */
bool vine__pool_can_be_read(const struct vine__pool *pool);

/*
 * Read NAME.json, vms.json, and every machine's configuration; what was loaded before is forgotten.
 *
 * Returns 0, though machines may be unusable; or an error: NAME.json or vms.json, or the image, is
 * bad. The contents are the pool's, until it is loaded again, changed or closed.
 */
VINE_MUST_CHECK int vine__pool_load(struct vine__pool *pool,
                                    const struct vine__pool_contents **ret_contents,
                                    struct vine__problem *problem);

/* The machine of this name, or NULL. */
const struct vine__pool_vm *vine__pool_find(const struct vine__pool_contents *contents,
                                            const char *name);

struct vine__pool_copy {
    enum vine__vm_file file;
    const char *disk; /* its name, of a disk */
    int fd;           /* written from its beginning, holes as holes; -1: it is only read */
    struct vine__progress progress;
    uint64_t most_bytes;               /* at a time, and then they are on the disk; 0: all */
    struct vine__source_result result; /* ours: what was read */
    uint64_t done_bytes;               /* ours, 0 at first */
    void *sum;                         /* ours, NULL at first */
};

/* Copy a file of a machine out of the pool, which may have been changed since the last time, but
 * for this machine. Returns 0; 1: there is more, ask again; or an error with a problem. */
VINE_MUST_CHECK int vine__pool_copy_out(struct vine__pool *pool, const struct vine__pool_vm *vm,
                                        struct vine__pool_copy *copy,
                                        struct vine__problem *problem);

/* Of one that is not gone on with, or was never begun. */
void vine__pool_copy_end(struct vine__pool_copy *copy);

/* Unmounts. NULL is allowed. */
void vine__pool_close(struct vine__pool *pool);

#endif
