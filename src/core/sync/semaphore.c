/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/semaphore.h>

#include "core/sync/waiting_internal.h"
#include "utils/assert.h"
#include "utils/container_of.h"

#include <errno.h>
#include <vine/error.h>

/* Invariant: who waits first wants more units than there are. */
static void serve(struct vine_waiters *waiters)
{
    struct vine_semaphore *semaphore = VINE_CONTAINER_OF(waiters, struct vine_semaphore, waiters);

    while (waiters->first != NULL && waiters->first->what.units <= semaphore->units) {
        semaphore->units -= waiters->first->what.units;
        vine__waiting_end(waiters->first, 0);
    }
}

void vine_semaphore_init(struct vine_semaphore *semaphore, uint64_t units)
{
    *semaphore = (struct vine_semaphore){.waiters.left = serve, .units = units};
}

void vine_semaphore_fini(struct vine_semaphore *semaphore)
{
    VINE_ASSERT(semaphore->waiters.first == NULL);
    semaphore->is_broken = true;
}

int vine_semaphore_try_wait(struct vine_semaphore *semaphore, uint64_t units)
{
    if (semaphore->is_broken)
        return -VINE_ECLOSED;
    if (semaphore->waiters.first != NULL || semaphore->units < units)
        return -EAGAIN;
    semaphore->units -= units;
    return 0;
}

void vine_semaphore_wait(struct vine_semaphore *semaphore, struct vine_waiting *waiting,
                         uint64_t units)
{
    if (!vine__waiting_begin(waiting))
        return;

    const int error = vine_semaphore_try_wait(semaphore, units);

    if (error != -EAGAIN) {
        vine__waiting_end(waiting, error);
        return;
    }
    waiting->what.units = units;
    vine__waiting_enqueue(&semaphore->waiters, waiting);
}

void vine_semaphore_signal(struct vine_semaphore *semaphore, uint64_t units)
{
    VINE_ASSERT(units <= UINT64_MAX - semaphore->units);
    semaphore->units += units;
    serve(&semaphore->waiters);
}

void vine_semaphore_break(struct vine_semaphore *semaphore)
{
    semaphore->is_broken = true;
    vine__waiters_end(&semaphore->waiters, -VINE_ECLOSED);
}
