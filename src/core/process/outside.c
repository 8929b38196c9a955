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

static bool is_within(const void *start, size_t start_bytes, const void *bytes, size_t size_bytes)
{
    const uintptr_t at = (uintptr_t)bytes - (uintptr_t)start;

    return at <= start_bytes && size_bytes <= start_bytes - at;
}

/* Whether one of its sockets has these bytes: as what came, or as a block that is written on. */
static bool has_socket_with(struct vine__process *process, const void *bytes, size_t size_bytes,
                            bool is_for_reading)
{
    const uint32_t places = process->furthers != NULL ? VINE__PLACES_MAX : 1;

    for (uint32_t place = 0; place < places; place++) {
        const struct outlet *const outlet = vine__outlet_at(process, place);

        if (outlet == NULL)
            continue;
        if (is_for_reading && outlet->view != NULL &&
            is_within(outlet->view, outlet->view_size, bytes, size_bytes))
            return true;
        if (outlet->written != NULL &&
            is_within(outlet->written, VINE__BLOCK_BYTES, bytes, size_bytes))
            return true;
    }
    return false;
}

/* Whether it lies in its heap, as far as that may be touched, or in a block to write into. */
static bool is_writable(const struct vine__process *process, const void *bytes, size_t size_bytes)
{
    const struct vine__guard_region *const region = &process->heap->region;
    const struct blocks *const blocks = &process->core->blocks[region->colour];

    if (size_bytes == 0 || is_within(region->start, region->size_bytes, bytes, size_bytes))
        return true;
    for (uint32_t i = 0; i < VINE__LENT_MAX; i++)
        if (blocks->lent[i] != NULL &&
            is_within(blocks->lent[i], VINE__BLOCK_BYTES, bytes, size_bytes))
            return true;
    return false;
}

bool vine_outside_can_write(const struct vine_outside *outside, const void *bytes,
                            size_t size_bytes)
{
    return is_writable(outside->process, bytes, size_bytes) ||
           has_socket_with(outside->process, bytes, size_bytes, false);
}

bool vine_outside_can_read(const struct vine_outside *outside, const void *bytes, size_t size_bytes)
{
    return has_socket_with(outside->process, bytes, size_bytes, true) ||
           is_writable(outside->process, bytes, size_bytes);
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

    if (outside.process == NULL || &outside.process->heap->region != region)
        return -EPERM;
    if (call.size_bytes > sizeof(copy) ||
        !is_within(region->start, region->size_bytes, call.asked, call.size_bytes))
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
