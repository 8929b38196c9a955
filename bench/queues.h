/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/queues.h - ways in which tasks of many producers come to one consumer.
 *
 * Owns:     nothing. What crosses lies in memory that is mapped by two processes before they part;
 *           everything else is each process's own, and made anew by `open`.
 * Threads:  the consumer is one; a producer is one at a time, and several may be one thread.
 * Blocking: queues_sleep alone.
 * Trust:    both sides are ours.
 * Limits:   QUEUES_PRODUCERS_MAX producers; messages of QUEUES_BYTES.
 */
#ifndef VINE_BENCH_QUEUES_H
#define VINE_BENCH_QUEUES_H

#include "bench.h"

#include "arch/clock/clock.h"
#include "utils/atomic.h"

#define QUEUES_PRODUCERS_MAX 1024u
#define QUEUES_BYTES         56u
#define QUEUES_OWN_SLOTS     64u   /* of a queue with one producer */
#define QUEUES_SHARED_SLOTS  4096u /* of one with many */
#define QUEUES_BURST         32u   /* is taken from a queue before the next one has its turn */
#define QUEUES_MEMORY_BYTES  (6U << 20)

/* Who sleeps, and who has woken it: a line for each process that writes it. */
struct queues_sleep {
    uint64_t asleep __attribute__((aligned(64))); /* by the consumer: which sleep it is; 0: none */
    uint64_t rung __attribute__((aligned(64)));   /* by producers: the last sleep that they ended */
};

struct queues {
    unsigned char *memory; /* QUEUES_MEMORY_BYTES, mapped by both */
    struct queues_sleep *sleep;
    uint32_t producer_count;
    bool sleeps;    /* the consumer sleeps when it finds nothing, and producers wake it */
    bool is_fenced; /* by a full fence of each push, not by a membarrier of each sleep */
    int bell;       /* an eventfd */
    /* This process's. */
    uint64_t calls; /* system calls */
    uint64_t sleep_count;
    uint64_t taken;
    uint64_t *ret_latencies; /* in ticks; NULL: messages carry no time */
};

struct queues_way {
    const char *name;
    size_t (*bytes)(uint32_t producer_count); /* of shared memory */
    void (*format)(struct queues *queues);    /* in one process, before either opens */
    void (*open)(struct queues *queues);
    bool (*push)(struct queues *queues, uint32_t producer, const void *message);
    void (*turn)(struct queues *queues);     /* look for messages once, and take some */
    bool (*is_empty)(struct queues *queues); /* asked by a consumer that is about to sleep */
    void (*block)(struct queues *queues);    /* NULL: the bell alone can end a sleep */
};

/* One for each producer (queues_own.c), by how the consumer finds those that have something; and
 * one for all, or two by the number of who produces (queues_shared.c). */
enum { QUEUES_OWN_COUNT = 5, QUEUES_SHARED_COUNT = 4 };
extern const struct queues_way queues_own[QUEUES_OWN_COUNT];
extern const struct queues_way queues_shared[QUEUES_SHARED_COUNT];

/* What the last way of the first table needs, before the processes part. `bell`: the common one. */
void queues_make_bells(int bell);

/* The consumer has found nothing: say that it sleeps, look once more, sleep. */
void queues_sleep(struct queues *queues, const struct queues_way *way);

/* After a push: wake a consumer that sleeps, once for each sleep. */
void queues_ring(struct queues *queues, uint64_t asleep);
static inline void queues_wake(struct queues *queues)
{
    uint64_t asleep;

    if (!queues->sleeps)
        return;
    if (queues->is_fenced)
        vine__fence_full();
    else
        vine__compiler_barrier(); /* the sleeper's membarrier is the fence */
    asleep = vine__load_relaxed_u64(&queues->sleep->asleep);
    if (VINE__UNLIKELY(asleep != 0))
        queues_ring(queues, asleep);
}

/* A message that begins with the time at which it was sent has arrived. */
static inline void queues_deliver(struct queues *queues, const void *message)
{
    if (queues->ret_latencies != NULL) {
        const int64_t spent = (int64_t)(vine__clock_ticks() - *(const uint64_t *)message);

        queues->ret_latencies[queues->taken] = spent > 0 ? (uint64_t)spent : 0;
    }
    queues->taken++;
    /* The copy is part of what is measured: nobody may leave it out. */
    __asm__ volatile("" : : "r"(message) : "memory");
}

#endif
