/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/semaphore.h - units of something of one core, and those who wait for them.
 *
 * Owns:     nothing but a count.
 * Threads:  one core.
 * Blocking: never; see vine/waiting.h.
 * Trust:    not concerned.
 * Limits:   nobody overtakes: who wants few units waits behind who wants many, and came before.
 */
#ifndef VINE_SEMAPHORE_H
#define VINE_SEMAPHORE_H

#include <vine/waiting.h>

VINE_BEGIN_DECLARATIONS

/* Private fields. */
struct vine_semaphore {
    struct vine_waiters waiters;
    uint64_t units;
    bool is_broken;
};

VINE_API void vine_semaphore_init(struct vine_semaphore *semaphore, uint64_t units);

/* Nobody may wait any more: break it first, and let those who waited come to their end. */
VINE_API void vine_semaphore_fini(struct vine_semaphore *semaphore);

/*
 * Take `units` if they are there and nobody waits.
 *
 * Returns 0, -EAGAIN: not now, or -VINE_ECLOSED: it is broken.
 */
VINE_API VINE_MUST_CHECK int vine_semaphore_try_wait(struct vine_semaphore *semaphore,
                                                     uint64_t units);

/* Have `waiting` called when `units` were taken for it, or with another result of
 * vine/waiting.h. It is called later in any case, be they there or not. */
VINE_API void vine_semaphore_wait(struct vine_semaphore *semaphore, struct vine_waiting *waiting,
                                  uint64_t units);

/* Put units back, or in: whoever they suffice for is called. */
VINE_API void vine_semaphore_signal(struct vine_semaphore *semaphore, uint64_t units);

/* All who wait, and whoever comes later, get -VINE_ECLOSED. Units can still be put back. */
VINE_API void vine_semaphore_break(struct vine_semaphore *semaphore);

/* Units that nobody has. */
static inline uint64_t vine_semaphore_units(const struct vine_semaphore *semaphore)
{
    return semaphore->units;
}

static inline bool vine_semaphore_has_waiters(const struct vine_semaphore *semaphore)
{
    return semaphore->waiters.first != NULL;
}

VINE_END_DECLARATIONS

#endif
