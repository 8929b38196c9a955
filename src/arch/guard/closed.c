/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of one size lie together in runs of 64 KiB, which stay theirs; larger ones are runs that
 * lie one behind the other, by powers of two. A byte for each run says of which size its blocks
 * are. Free ones are in lists: of the thread that freed them, and what is too much for it, in one
 * for all.
 *
 * The lock: blocks are taken and freed by any thread, and nothing in arch knows of cores that could
 * own the lists. Threads come here once for BATCH blocks; it is held for as many steps, or for
 * those of a run that is cut into blocks, and nobody is called meanwhile but the kernel.
 */
#include "arch/guard/closed.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/guard/guard_internal.h"
#include "utils/assert.h"
#include "utils/atomic.h"

#define RUN_BYTES   (UINT64_C(64) << 10)
#define STEP_BYTES  (UINT64_C(1) << 20) /* what is mapped at once, at least */
#define RUN_COUNT   (VINE__CLOSED_RANGE_BYTES / RUN_BYTES)
#define GRAIN       VINE_CACHE_LINE
#define FINE        16U /* sizes by the grain, up to 1 KiB; */
#define COARSE      10U /* then 1.5, 2, 3, 4 ... 32 KiB; */
#define RUNS        9U  /* then 1, 2, 4 ... 256 runs */
#define SIZES       (FINE + COARSE + RUNS)
#define BATCH       32U
#define BATCH_BYTES (UINT64_C(32) << 10) /* at most so much goes at once, or one */

VINE_STATIC_ASSERT(VINE__CLOSED_BLOCK_MAX == RUN_BYTES << (RUNS - 1), "the largest size");

struct block {
    struct block *next;
};

struct blocks {
    struct block *first;
    uint32_t count;
};

/* Of one thread; itself a block. */
struct cache {
    struct blocks of[SIZES];
};

static struct {
    unsigned char *start; /* NULL: there is none. Written before other threads are there */
    uint64_t used_bytes;  /* runs that somebody has; with the lock, as all that follows */
    uint64_t mapped_bytes;
    struct blocks of[SIZES];
} range;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct cache *cache;

/* ---- sizes ----------------------------------------------------------------------------------- */

static uint64_t size_of(uint32_t number)
{
    if (number < FINE)
        return (uint64_t)(number + 1) * GRAIN;
    number -= FINE;
    if (number < COARSE) /* 1.5, 2, 3, 4 ... */
        return (UINT64_C(1024) << (number / 2)) * (number % 2 == 0 ? 3 : 4) / 2;
    return RUN_BYTES << (number - COARSE);
}

static uint32_t number_of(uint64_t size_bytes)
{
    uint32_t number = (uint32_t)((size_bytes + GRAIN - 1) / GRAIN);

    if (number <= FINE)
        return number - (number != 0);
    for (number = FINE; size_of(number) < size_bytes; number++)
        continue;
    return number;
}

static uint32_t batch_of(uint32_t number)
{
    const uint64_t count = BATCH_BYTES / size_of(number);

    return count > BATCH ? BATCH : count < 1 ? 1 : (uint32_t)count;
}

/* The size of each run's blocks, in the first runs themselves. */
static uint8_t *size_at(const void *block)
{
    return &range.start[(uint64_t)((const unsigned char *)block - range.start) / RUN_BYTES];
}

/* ---- what all have --------------------------------------------------------------------------- */

static int map_more(uint64_t size_bytes)
{
    const uint64_t more = (size_bytes + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    unsigned char *const start = range.start + range.mapped_bytes;
    int error = -ENOMEM;

    if (more > VINE__CLOSED_RANGE_BYTES - range.mapped_bytes)
        return error;
    if (vine__guard.keys.runtime >= 0)
        error =
            vine__guard_pku_protect(start, more, PROT_READ | PROT_WRITE, vine__guard.keys.runtime);
    else if (mprotect(start, more, PROT_READ | PROT_WRITE) == 0)
        error = 0;
    if (error == 0)
        range.mapped_bytes += more;
    return error;
}

/* With the lock: more blocks of a size. Returns whether there are. */
static bool carve(uint32_t number)
{
    const uint64_t size_bytes = size_of(number);
    const uint64_t bytes = size_bytes > RUN_BYTES ? size_bytes : RUN_BYTES;
    unsigned char *const start = range.start + range.used_bytes;

    if (range.used_bytes + bytes > range.mapped_bytes &&
        map_more(range.used_bytes + bytes - range.mapped_bytes) != 0)
        return false;
    range.used_bytes += bytes;
    *size_at(start) = (uint8_t)number;
    for (uint64_t at = bytes / size_bytes; at-- > 0;) {
        struct block *const block = (void *)(start + at * size_bytes);

        block->next = range.of[number].first;
        range.of[number].first = block;
        range.of[number].count++;
    }
    return true;
}

static void move(struct blocks *to, struct blocks *from, uint32_t count)
{
    for (; count > 0 && from->first != NULL; count--) {
        struct block *const block = from->first;

        from->first = block->next;
        from->count--;
        block->next = to->first;
        to->first = block;
        to->count++;
    }
}

static struct block *take(struct blocks *blocks)
{
    struct blocks one = {NULL, 0};

    move(&one, blocks, 1);
    return one.first;
}

/* Some of a size, for `to`. */
static void fetch(struct blocks *to, uint32_t number, uint32_t count)
{
    (void)pthread_mutex_lock(&lock);
    if (range.of[number].first != NULL || carve(number))
        move(to, &range.of[number], count);
    (void)pthread_mutex_unlock(&lock);
}

/* ---- what a thread has ----------------------------------------------------------------------- */

static struct cache *cache_here(void)
{
    struct blocks blocks = {NULL, 0};

    if (cache == NULL) {
        fetch(&blocks, number_of(sizeof(*cache)), 1);
        if (blocks.first != NULL)
            cache = memset(blocks.first, 0, sizeof(*cache));
    }
    return cache;
}

static void *alloc(size_t size_bytes)
{
    struct cache *const own = size_bytes <= VINE__CLOSED_BLOCK_MAX ? cache_here() : NULL;

    if (own == NULL)
        return NULL;

    const uint32_t number = number_of(size_bytes);

    if (own->of[number].first == NULL)
        fetch(&own->of[number], number, batch_of(number));
    return take(&own->of[number]);
}

static void *clear(void *memory, size_t size_bytes)
{
    return memory != NULL ? memset(memory, 0, size_bytes) : NULL;
}

void *vine__closed_alloc(size_t size_bytes)
{
    return range.start == NULL ? calloc(1, size_bytes) : clear(alloc(size_bytes), size_bytes);
}

void *vine__closed_alloc_raw(size_t size_bytes)
{
    return range.start == NULL ? malloc(size_bytes) : alloc(size_bytes);
}

void *vine__closed_alloc_lines(size_t size_bytes)
{
    const size_t whole_bytes = (size_bytes + GRAIN - 1) / GRAIN * GRAIN;

    return clear(range.start == NULL ? aligned_alloc(GRAIN, whole_bytes) : alloc(size_bytes),
                 size_bytes);
}

void vine__closed_free(void *memory)
{
    struct block *const block = memory;

    if (range.start == NULL ||
        (uintptr_t)memory - (uintptr_t)range.start >= VINE__CLOSED_RANGE_BYTES) {
        free(memory);
        return;
    }

    struct cache *const own = cache_here();
    const uint32_t number = *size_at(memory);
    const uint32_t batch = batch_of(number);

    if (own == NULL)
        return; /* so little memory is left: this is lost */
    block->next = own->of[number].first;
    own->of[number].first = block;
    if (++own->of[number].count < 2 * batch)
        return;
    (void)pthread_mutex_lock(&lock);
    move(&range.of[number], &own->of[number], batch);
    (void)pthread_mutex_unlock(&lock);
}

void *vine__closed_grow(void *block, size_t old_bytes, size_t size_bytes)
{
    void *const more = vine__closed_alloc(size_bytes);

    if (more != NULL && block != NULL) {
        memcpy(more, block, old_bytes);
        vine__closed_free(block);
    }
    return more;
}

void vine__closed_leave(void)
{
    struct cache *const own = cache;
    struct block *const block = (void *)own;
    const uint32_t number = number_of(sizeof(*own));

    if (own == NULL)
        return;
    cache = NULL;
    (void)pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < SIZES; i++)
        move(&range.of[i], &own->of[i], own->of[i].count);
    block->next = range.of[number].first;
    range.of[number].first = block;
    range.of[number].count++;
    (void)pthread_mutex_unlock(&lock);
}

void vine__closed_open(void)
{
    const uint64_t bytes = VINE__CLOSED_RANGE_BYTES + RUN_BYTES;

    if (range.start != NULL)
        return;

    unsigned char *const start =
        mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (start == MAP_FAILED)
        return; /* so it is not closed: libc's memory is used */
    range.start = start + -(uintptr_t)start % RUN_BYTES;
    if (map_more(RUN_COUNT) != 0) {
        (void)munmap(start, bytes);
        range.start = NULL;
        return;
    }
    range.used_bytes = RUN_COUNT;
}
