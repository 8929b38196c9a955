/* SPDX-License-Identifier: Apache-2.0 */
#include "queues.h"

#include "arch/wake/membarrier.h"

#include <sys/eventfd.h>

void queues_ring(struct queues *queues, uint64_t asleep)
{
    if (vine__exchange_acq_rel_u64(&queues->sleep->rung, asleep) == asleep)
        return;
    queues->calls++;
    bench_require(eventfd_write(queues->bell, 1) == 0, "ring");
}

void queues_sleep(struct queues *queues, const struct queues_way *way)
{
    eventfd_t count;

    vine__store_release_u64(&queues->sleep->asleep, ++queues->sleep_count);
    if (queues->is_fenced) {
        vine__fence_full();
    } else {
        queues->calls++;
        bench_check(vine__membarrier_all(), "membarrier");
    }
    if (way->is_empty(queues)) {
        queues->calls++;
        if (way->block != NULL)
            way->block(queues);
        else
            bench_require(eventfd_read(queues->bell, &count) == 0, "sleep");
    }
    vine__store_release_u64(&queues->sleep->asleep, 0);
}
