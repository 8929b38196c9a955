/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/carry.h - the bare mailbox and our ring, carrying 8 bytes to 64 KiB there and back.
 *
 * Owns:     the memory from DUET_AT_CARRY to DUET_AT_OPEN of both halves.
 * Threads:  as bench/duet.h.
 * Blocking: never.
 * Trust:    both sides are ours.
 * Limits:   DUET_LARGE_BYTES a message.
 *
 * What fits into a slot, or two, travels there. What does not lies in the sender's half, and its
 * place and length travel in the slot, as a task's data does. The mailbox is a sequence number with
 * the payload behind it. Everybody copies the payload in and out.
 */
#ifndef VINE_BENCH_CARRY_H
#define VINE_BENCH_CARRY_H

#include "duet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Contests of all sizes, out of lead_NAME and follow_NAME, which look at duet->bytes. */
#define CARRY_EACH(title, name, against)                                                           \
    {                                                                                              \
        CARRY_ONE(title ", 8 B", name, 8, 20000, against(CARRY_8)),                                \
            CARRY_ONE(title ", 64 B", name, 64, 20000, against(CARRY_64)),                         \
            CARRY_ONE(title ", 1 KiB", name, 1024, 10000, against(CARRY_1K)),                      \
            CARRY_ONE(title ", 64 KiB", name, 65536, 1500, against(CARRY_64K)),                    \
    }
#define CARRY_ONE(title, function, size, number, reference)                                        \
    {                                                                                              \
        .name = title, .lead = lead_##function, .follow = follow_##function, .count = number,      \
        .bytes = size, .unit = DUET_NS, .against = reference                                       \
    }
#define CARRY_NOTHING(which) NULL
#define CARRY_MAILBOX(which) &carry_mailbox[which]

/* Our ring's streams of messages of DUET_BYTES. */
extern const struct duet_contest carry_one_by_one;
extern const struct duet_contest carry_many_at_a_time;
#define CARRY_BATCH 32U

/* A peer's round trips; both functions look at duet->bytes. */
struct carry_peer {
    const char *name;
    duet_fn lead;
    duet_fn follow;
    uint64_t slowness; /* how many times as long as a ring's trip one takes, about */
};

/* Play the mailbox, our ring and the peer, at each size. `open` calls carry_open. */
void carry_play(const struct carry_peer *peer, int rounds, void (*open)(struct duet *duet));

void carry_open(struct duet *duet);

/* Where peers keep what is too large for their slots, in the sender's half: one message, which
 * nobody overwrites before its answer has come. */
#define CARRY_AT_PAYLOAD (DUET_AT_OPEN + (1U << 18))

static inline unsigned char *carry_ours(struct duet *duet)
{
    return duet->ours + CARRY_AT_PAYLOAD;
}

static inline const unsigned char *carry_theirs(const struct duet *duet)
{
    return duet->theirs + CARRY_AT_PAYLOAD;
}

#ifdef __cplusplus
}
#endif

#endif
