/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of many producers: vine_mpmc, or the queue of one producer with a lock around that end;
 * one for all, or as many as there are processors, chosen by a hash of who produces, as a machine
 * would be by its number.
 */
#include "queues.h"

#include <pthread.h>
#include <string.h>

#include <vine/mpmc.h>
#include <vine/spsc.h>

#define QUEUES_MAX 2u

/* ---- lock-free ------------------------------------------------------------------------------- */

static struct vine_mpmc heads[QUEUES_MAX];
static struct vine_mpmc handles[QUEUES_PRODUCERS_MAX];
static uint32_t queue_count;

static uint32_t queue_of(uint32_t producer)
{
    return (producer * 2654435769u >> 16) % queue_count; /* Fibonacci hashing */
}

static size_t bytes_free_one(uint32_t producer_count)
{
    (void)producer_count;
    return vine_mpmc_size(QUEUES_SHARED_SLOTS);
}

static size_t bytes_free_each(uint32_t producer_count)
{
    return QUEUES_MAX * bytes_free_one(producer_count);
}

static void format_free(struct queues *queues)
{
    const size_t size = vine_mpmc_size(QUEUES_SHARED_SLOTS);

    for (uint32_t n = 0; n < QUEUES_MAX; n++)
        bench_check(vine_mpmc_format(queues->memory + n * size, size, QUEUES_SHARED_SLOTS),
                    "format");
}

static void open_free(struct queues *queues, uint32_t count)
{
    const size_t size = vine_mpmc_size(QUEUES_SHARED_SLOTS);

    queue_count = count;
    for (uint32_t n = 0; n < count; n++)
        bench_check(vine_mpmc_attach(&heads[n], queues->memory + n * size, size), "attach");
    for (uint32_t n = 0; n < queues->producer_count; n++)
        vine_mpmc_clone(&handles[n], &heads[queue_of(n)]);
}

static void open_free_one(struct queues *queues)
{
    open_free(queues, 1);
}

static void open_free_each(struct queues *queues)
{
    open_free(queues, QUEUES_MAX);
}

static bool push_free(struct queues *queues, uint32_t producer, const void *message)
{
    if (vine_mpmc_push(&handles[producer], message, QUEUES_BYTES) != 0)
        return false;
    queues_wake(queues);
    return true;
}

static void turn_free(struct queues *queues)
{
    unsigned char messages[QUEUES_BURST][QUEUES_BYTES] __attribute__((aligned(8)));

    for (uint32_t n = 0; n < queue_count; n++) {
        const int count = vine_mpmc_pop_burst(&heads[n], messages, QUEUES_BURST);

        for (int i = 0; i < count; i++)
            queues_deliver(queues, messages[i]);
    }
}

static bool is_free_empty(struct queues *queues)
{
    (void)queues;
    for (uint32_t n = 0; n < queue_count; n++)
        if (vine_mpmc_used(&heads[n]) != 0)
            return false;
    return true;
}

/* ---- locked ---------------------------------------------------------------------------------- */

struct locked {
    pthread_mutex_t lock __attribute__((aligned(64)));
    struct vine_spsc_producer producer; /* under the lock; its addresses are those of both */
    uint64_t consumed __attribute__((aligned(64)));
    struct vine_slot slots[QUEUES_SHARED_SLOTS];
};

static struct vine_spsc_consumer consumers[QUEUES_MAX];

static struct locked *locked_at(struct queues *queues, uint32_t n)
{
    return (struct locked *)(void *)queues->memory + n;
}

static size_t bytes_locked_one(uint32_t producer_count)
{
    (void)producer_count;
    return sizeof(struct locked);
}

static size_t bytes_locked_each(uint32_t producer_count)
{
    return QUEUES_MAX * bytes_locked_one(producer_count);
}

static void format_locked(struct queues *queues)
{
    pthread_mutexattr_t attributes;

    (void)pthread_mutexattr_init(&attributes);
    (void)pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    for (uint32_t n = 0; n < QUEUES_MAX; n++) {
        struct locked *locked = locked_at(queues, n);

        memset(locked, 0, sizeof(*locked));
        bench_require(pthread_mutex_init(&locked->lock, &attributes) == 0, "lock");
        bench_check(vine_spsc_producer_init(&locked->producer, locked->slots, QUEUES_SHARED_SLOTS,
                                            &locked->consumed),
                    "producer");
    }
    (void)pthread_mutexattr_destroy(&attributes);
}

static void open_locked(struct queues *queues, uint32_t count)
{
    queue_count = count;
    for (uint32_t n = 0; n < count; n++) {
        struct locked *locked = locked_at(queues, n);

        bench_check(vine_spsc_consumer_init(&consumers[n], locked->slots, QUEUES_SHARED_SLOTS,
                                            &locked->consumed),
                    "consumer");
    }
}

static void open_locked_one(struct queues *queues)
{
    open_locked(queues, 1);
}

static void open_locked_each(struct queues *queues)
{
    open_locked(queues, QUEUES_MAX);
}

static bool push_locked(struct queues *queues, uint32_t producer, const void *message)
{
    struct locked *locked = locked_at(queues, queue_of(producer));
    bool is_pushed;

    (void)pthread_mutex_lock(&locked->lock);
    is_pushed = vine_spsc_push(&locked->producer, message, QUEUES_BYTES) == 0;
    (void)pthread_mutex_unlock(&locked->lock);
    if (is_pushed)
        queues_wake(queues);
    return is_pushed;
}

static void turn_locked(struct queues *queues)
{
    unsigned char messages[QUEUES_BURST][QUEUES_BYTES] __attribute__((aligned(8)));

    for (uint32_t n = 0; n < queue_count; n++) {
        const int count = vine_spsc_pop_burst(&consumers[n], messages, QUEUES_BURST);

        for (int i = 0; i < count; i++)
            queues_deliver(queues, messages[i]);
    }
}

static bool is_locked_empty(struct queues *queues)
{
    (void)queues;
    for (uint32_t n = 0; n < queue_count; n++)
        if (vine_spsc_ready(&consumers[n]) != 0)
            return false;
    return true;
}

#define SHARED(title, kind, count)                                                                 \
    {                                                                                              \
        .name = title, .bytes = bytes_##kind##_##count, .format = format_##kind,                   \
        .open = open_##kind##_##count, .push = push_##kind, .turn = turn_##kind,                   \
        .is_empty = is_##kind##_empty,                                                             \
    }

const struct queues_way queues_shared[QUEUES_SHARED_COUNT] = {
    SHARED("one for all, lock-free", free, one),
    SHARED("two by hash, lock-free", free, each),
    SHARED("one for all, locked", locked, one),
    SHARED("two by hash, locked", locked, each),
};
