/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/contests.h - the two sides of a contest, out of a call that sends and one that receives.
 *
 * Owns:     nothing.
 * Threads:  as bench/duet.h.
 * Blocking: never; both sides spin with a pause, as the mailbox does.
 * Trust:    both sides are ours.
 * Limits:   messages of DUET_BYTES, copied in and out.
 */
#ifndef VINE_BENCH_CONTESTS_H
#define VINE_BENCH_CONTESTS_H

#include "duet.h"

#include "arch/cpu/cpu.h"

/* lead_NAME and follow_NAME for round trips. `send` and `receive` are expressions that see `duet`
 * and `message`, and are true once it is done. */
#define ROUND_TRIP(name, send, receive)                                                            \
    static void lead_##name(struct duet *duet, uint64_t count)                                     \
    {                                                                                              \
        unsigned char message[DUET_LARGE_BYTES] = {1};                                             \
                                                                                                   \
        (void)duet;                                                                                \
        for (uint64_t n = 0; n < count; n++) {                                                     \
            while (!(send))                                                                        \
                vine__cpu_relax();                                                                 \
            while (!(receive))                                                                     \
                vine__cpu_relax();                                                                 \
        }                                                                                          \
    }                                                                                              \
    static void follow_##name(struct duet *duet, uint64_t count)                                   \
    {                                                                                              \
        unsigned char message[DUET_LARGE_BYTES];                                                   \
                                                                                                   \
        (void)duet;                                                                                \
        for (uint64_t n = 0; n < count; n++) {                                                     \
            while (!(receive))                                                                     \
                vine__cpu_relax();                                                                 \
            while (!(send))                                                                        \
                vine__cpu_relax();                                                                 \
        }                                                                                          \
    }

/* The same for streams of messages of DUET_BYTES, `batch` at a time. `push` and `pop` say how many
 * of `want` they moved. */
#define STREAM(name, batch, push, pop)                                                             \
    static void lead_##name(struct duet *duet, uint64_t count)                                     \
    {                                                                                              \
        unsigned char messages[(batch)*DUET_BYTES] = {1};                                          \
        const uint32_t want = (batch);                                                             \
                                                                                                   \
        (void)duet;                                                                                \
        (void)want;                                                                                \
        for (uint64_t sent = 0; sent < count;) {                                                   \
            const int moved = (int)(push);                                                         \
                                                                                                   \
            if (moved > 0)                                                                         \
                sent += (uint64_t)moved;                                                           \
            else                                                                                   \
                vine__cpu_relax();                                                                 \
        }                                                                                          \
    }                                                                                              \
    static void follow_##name(struct duet *duet, uint64_t count)                                   \
    {                                                                                              \
        unsigned char messages[(batch)*DUET_BYTES];                                                \
        const uint32_t want = (batch);                                                             \
                                                                                                   \
        (void)duet;                                                                                \
        (void)want;                                                                                \
        for (uint64_t taken = 0; taken < count;) {                                                 \
            const int moved = (int)(pop);                                                          \
                                                                                                   \
            if (moved > 0)                                                                         \
                taken += (uint64_t)moved;                                                          \
            else                                                                                   \
                vine__cpu_relax();                                                                 \
            /* The copy is what is measured: nobody may leave it out. */                           \
            __asm__ volatile("" : : "r"(messages) : "memory");                                     \
        }                                                                                          \
    }

#define CONTEST(title, function, number, in, reference, ratio)                                     \
    {                                                                                              \
        .name = title, .lead = lead_##function, .follow = follow_##function, .count = number,      \
        .unit = in, .against = reference, .bar = ratio                                             \
    }

#endif
