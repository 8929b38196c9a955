/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/group.h - what a machine may take of its host: a control group (version 2) for each,
 * below the one that was delegated to this program.
 *
 * Owns:     the groups that it makes, and a descriptor of the one that they are in.
 * Threads:  one at a time.
 * Blocking: never but for the kernel's work on these files.
 * Trust:    a group is delegated if it says so (systemd's `Delegate=yes`: user.delegate or
 *           trusted.delegate), or if it is the root of those that can be seen and this user may
 *           write there. Others are somebody else's to arrange, and are left alone.
 * Limits:   what is delegated: controllers that are not cannot limit anything.
 *
 * A group with processes gives its own groups no controllers: so this process, and whatever else is
 * where it was found, moves one down, into VINE__GROUP_OWN. A unit of systemd from 254 on does that
 * by itself with `DelegateSubgroup=vine-server`, and has to if its machines outlive a restart: it
 * cannot start a process again above groups that have controllers.
 */
#ifndef VINE_VMM_ENGINE_GROUP_H
#define VINE_VMM_ENGINE_GROUP_H

#include <vine/base.h>

#include <stddef.h>
#include <stdint.h>

#define VINE__GROUP_OWN "vine-server"

/* 0: not limited. */
struct vine__group_limits {
    /* memory.max. QEMU takes some 100 MB beside its guest's memory; memories of links count for
     * who touched them first. Beyond it the kernel ends the machine, which is a crash, once it has
     * put into swap what it may. */
    uint64_t memory_bytes;
    uint32_t cpu_percent; /* cpu.max, of one processor: 250 is two and a half */
    uint32_t cpu_weight;  /* cpu.weight, 1 to 10000, beside others; 100 is usual */
    uint32_t task_count;  /* pids.max: QEMU's threads */
};

struct vine__groups;

/*
 * Find what is delegated to this process, by the files below `root` ("": this machine's), once:
 * when the program starts. What machines have left there that ended meanwhile goes. `why` has a
 * sentence for the log: why there is nothing, or "".
 *
 * Returns 0; -EOPNOTSUPP  no group of version 2 is delegated: machines run without limits; -ENOMEM;
 * or what the system said.
 */
VINE_MUST_CHECK int vine__groups_open(const char *root, struct vine__groups **ret_groups, char *why,
                                      size_t why_size);
void vine__groups_close(struct vine__groups *groups);

/* Make a group for a machine, or take the one that was left, and set its limits; those that cannot
 * be set for want of a controller are not, and `why` says which, or "". `*ret_fd` is for a process
 * to join: it writes "0" there.
 * Returns 0; -EINVAL  the name is none, or the kernel does not take a limit; or what the system
 * said. */
VINE_MUST_CHECK int vine__group_make(struct vine__groups *groups, const char *name,
                                     const struct vine__group_limits *limits, int *ret_fd,
                                     char *why, size_t why_size);

/* Why the kernel has ended a process of this group, as part of a sentence; NULL: it has not, or not
 * for want of memory. */
const char *vine__group_lack(struct vine__groups *groups, const char *name);

/* All of its processes have ended. */
void vine__group_remove(struct vine__groups *groups, const char *name);

#endif
