/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/outside.c - from a coroutine to a function of its service that runs outside.
 *
 * The way is the guard's gate: the same stack, with the runtime's rights. Of the micro-process that
 * calls nothing is believed but that it is the one that runs.
 */

#include <vine/outside.h>

#include <stddef.h>
#include <string.h>

#include "core/process/process_internal.h"
#include "utils/inside.h"

struct vine_outside {
    struct vine__process *process;
};

/* What one asks, on the stack that both sides use: read once. */
struct call {
    vine_outside_fn function;
    const void *asked;
    size_t size_bytes;
    int64_t result;
};

/* ---- outside --------------------------------------------------------------------------------- */

bool vine_outside_can_write(const struct vine_outside *outside, const void *bytes,
                            size_t size_bytes)
{
    return vine__polling_can_write(&outside->process->polling, bytes, size_bytes);
}

bool vine_outside_can_read(const struct vine_outside *outside, const void *bytes, size_t size_bytes)
{
    return vine__polling_can_read(&outside->process->polling, bytes, size_bytes);
}

void vine_outside_keep(struct vine_outside *outside, struct vine_kept *kept)
{
    VINE_ASSERT(outside->process->kept == NULL && kept->end != NULL);
    outside->process->kept = kept;
}

struct vine_kept *vine_outside_kept(const struct vine_outside *outside)
{
    return outside->process->kept;
}

int vine__outside_make(const struct vine_outside *outside, vine__maker_fn maker, const void *asked,
                       size_t size_bytes)
{
    return vine__polling_make(&outside->process->polling, maker, asked, size_bytes);
}

void vine__outside_end(struct vine__process *process)
{
    struct vine_kept *const kept = process->kept;

    process->kept = NULL;
    if (kept != NULL)
        kept->end(kept);
}

static int call_outside(struct vine__guard_region *region, uintptr_t argument)
{
    struct call *const asker = (struct call *)argument;
    const struct call call = *asker;
    const struct processes *const core = vine__processes_here();
    struct vine_outside outside = {.process = core != NULL ? core->running : NULL};
    _Alignas(max_align_t) unsigned char copy[VINE_OUTSIDE_BYTES_MAX];

    if (outside.process == NULL || &outside.process->polling.heap->region != region)
        return -EPERM;
    if (call.size_bytes > sizeof(copy) ||
        !vine__guard_region_has(region, (uintptr_t)call.asked, call.size_bytes))
        return -EFAULT;
    memcpy(copy, call.asked, call.size_bytes);
    asker->result = call.function(&outside, call.size_bytes > 0 ? copy : NULL);
    return 0;
}

/* ---- inside ---------------------------------------------------------------------------------- */

VINE__INSIDE void vine__outside(struct vine_coroutine *that, vine_outside_fn function,
                                const void *asked, size_t size_bytes)
{
    struct call call = {
        .function = function, .asked = size_bytes > 0 ? asked : that, .size_bytes = size_bytes};

    if (size_bytes > VINE_OUTSIDE_BYTES_MAX)
        vine__misuse(that, "vine_outside with %zu bytes: there may be %d", size_bytes,
                     VINE_OUTSIDE_BYTES_MAX);
    if (vine__guard_gate(call_outside, (uintptr_t)&call) != 0)
        vine__raise(that, -EFAULT);
    that->result = call.result;
}
