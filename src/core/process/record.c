/* SPDX-License-Identifier: Apache-2.0 */
/* core/process/record.c - the memory of the dispatch record, which those inside read. */

#include "core/process/process_internal.h"

#define PAGE_BYTES 4096U

int vine__record_create(struct processes *core)
{
    const struct vine__reservation_options options = {
        .size_bytes = (sizeof(struct page) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES,
        .alignment_bytes = PAGE_BYTES,
        .node = VINE__RESERVATION_NODE_ANY,
    };
    int error = vine__reservation_open(&options, &core->page_memory, NULL);

    if (error != 0)
        return error;
    core->page = (struct page *)(void *)core->page_memory.base;
    return vine__guard_paint_record(core->page_memory.base, core->page_memory.size_bytes);
}

void vine__record_destroy(struct processes *core)
{
    vine__reservation_close(&core->page_memory);
}
