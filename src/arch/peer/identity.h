/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/peer/identity.h - how this process names itself to others on the same machine.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never (reads of /proc excepted).
 * Trust:    what a process says of itself is a hint; authority is the kernel's word on a socket.
 * Limits:   the scope is a hash of 64 bits: equal by accident once in 2^64.
 */
#ifndef VINE_ARCH_PEER_IDENTITY_H
#define VINE_ARCH_PEER_IDENTITY_H

#include <stdint.h>

struct vine__identity {
    int32_t pid;
    uint32_t uid;         /* the effective one */
    uint64_t start_ticks; /* 0 where /proc cannot be read */
    /* Of the running kernel and the pid and time namespaces, never 0: a pid from another scope says
     * nothing here, neither that its process lives nor that it is dead. */
    uint64_t scope;
};

/* Any thread; asks anew every time, so that a child of fork gets its own. */
void vine__identity_of_self(struct vine__identity *ret_identity);

#endif
