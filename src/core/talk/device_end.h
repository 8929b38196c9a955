/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/device_end.h - one end of a link between two machines, as the machine sees it: a device
 * that it writes, one that it reads, and what its host says of both ends.
 *
 * Owns:     the mappings, and the right to write: one process of a machine has an end at a time.
 * Threads:  one at a time; vine__device_end_peer on any.
 * Blocking: never.
 * Trust:    what the host says is checked; the device that is read belongs to the other machine and
 *           may change at any moment.
 * Limits:   none of its own.
 */
#ifndef VINE_CORE_TALK_DEVICE_END_H
#define VINE_CORE_TALK_DEVICE_END_H

#include "arch/guest/guest.h"
#include "arch/memory/memory.h"
#include "core/talk/talk_layout.h"
#include "core/talk/why.h"

struct vine__device_end {
    const struct vine__guest *guest; /* the holder's; outlives the end */
    const char *sysfs_root;          /* likewise; NULL: /sys */
    struct vine__guest_link link;    /* when it was opened */
    char ours[VINE__GUEST_BDF_BYTES];
    char theirs[VINE__GUEST_BDF_BYTES];
    struct vine__memory *our_memory;   /* locked; a half has a mapping of its own */
    struct vine__memory *their_memory; /* for looks at their board */
};

/* Take this machine's end of the link in `place`. Returns 0; -ENOENT  no link is there; -EBUSY
 * another process has it; -ENODEV, -VINE_ETRUNCATED  devices are absent, or smaller than the host
 * says; -EAGAIN  the host is writing; with a sentence in `why`. */
VINE_MUST_CHECK int vine__device_end_open(struct vine__device_end *end,
                                          const struct vine__guest *guest, const char *sysfs_root,
                                          uint32_t place, struct vine__why *why);

/* Accepts a zeroed one. */
void vine__device_end_close(struct vine__device_end *end);

/* What an earlier process of this machine answered last on our board, 0: nobody. Who still has a
 * pipe to it is told that it is gone; the number stays for whoever comes after us. */
uint64_t vine__device_end_succeed(struct vine__device_end *end);

/* The other machine's board. Everything in it may change at any moment. */
const struct vine_board_layout *vine__device_end_board(const struct vine__device_end *end);

/* How the other machine is, as the host says now. `seen` is its generation when the pipe was made,
 * 0 before there is one. Returns 0; -EAGAIN  the host is writing: what it said last holds until it
 * says something else; -VINE_EPEERLOST  it is not there, or is another than `seen`, or the link is
 * another than was opened; with a sentence in `why` (may be NULL). */
VINE_MUST_CHECK int vine__device_end_peer(const struct vine__device_end *end, uint64_t seen,
                                          struct vine__guest_end *ret_peer, struct vine__why *why);

#endif
