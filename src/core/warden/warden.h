/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/warden/warden.h - who looks after the ends of links that processes of this machine have: one
 * that is killed says nothing, its machine lives on, and its host knows of no processes.
 *
 * Owns:     a descriptor for each process that has an end; for each link, while it is plugged, the
 *           folder of the device that this machine writes, and a mapping of that device's front;
 *           an end itself, for the moment in which its last owner's farewell is written.
 * Threads:  one. A process of its own: one that dies cannot tell of it.
 * Blocking: vine__warden_wait, for its time-out at most.
 * Trust:    of this machine's processes, that they write no other ends than they have; of the other
 *           machine nothing, for nothing of its is read.
 * Limits:   VINE_STATUS_LINKS_MAX links. Who dies while it is looked at is found at the next look.
 *
 * An end is its process's by a lock that the kernel takes away with the process. If nobody has the
 * lock, and the board still shows a pipe, then whoever made it has died: the warden takes the lock,
 * so that no successor comes in between, and writes what the dead one would have.
 *
 * A look takes one system call for each link, or two, and maps nothing that was mapped before: a
 * machine that rests is looked at all the time.
 *
 * It rings nobody: the doorbell belongs to one process at a time, and the dead one's successor is
 * to have it. The other side looks at its board now and then, whoever rings.
 */
#ifndef VINE_CORE_WARDEN_H
#define VINE_CORE_WARDEN_H

#include <vine/base.h>

#include <stdint.h>

struct vine__warden;

struct vine__warden_options {
    const char *sysfs_root;   /* NULL: /sys */
    const char *command_line; /* the path of the kernel's; NULL: /proc/cmdline */
    char *why;                /* on failure a sentence lands here; NULL if nobody reads it */
    size_t why_size;
};

/* Returns 0; -ENODEV  this machine was told of no links; or as vine__guest_open. */
VINE_MUST_CHECK int vine__warden_open(const struct vine__warden_options *options,
                                      struct vine__warden **ret_warden);

/* Accepts NULL. */
void vine__warden_close(struct vine__warden *warden);

/* An end whose process has died. */
struct vine__warden_finding {
    char link[32];
    int32_t pid; /* whose it was; 0: it came and went between two looks */
};

/* Look at all ends of this machine, and say farewell for who has died. Returns how many of them
 * there were, of which *ret_findings tells; `count_max` is VINE_STATUS_LINKS_MAX at least. */
uint32_t vine__warden_look(struct vine__warden *warden, struct vine__warden_finding *ret_findings,
                           uint32_t count_max);

/* How long to wait for the next look: less while processes come and go. Who has been seen with an
 * end and dies ends the wait; who came and died since is found by the look. */
uint64_t vine__warden_pause_ns(const struct vine__warden *warden);

/* Until a process ends that had an end at the last look; the time-out or a signal ends it, too. */
void vine__warden_wait(struct vine__warden *warden, uint64_t timeout_ns);

#endif
