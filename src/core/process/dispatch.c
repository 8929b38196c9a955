/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/dispatch.c - a run of a micro-process: in with what has ended, out with
 * what is asked.
 */

#include "core/process/process_internal.h"
#include "utils/assert.h"
#include "utils/atomic.h"

/* ---- inside ---------------------------------------------------------------------------------- */

VINE__INSIDE static void run_inside(void *argument)
{
    const struct page *const page = argument;
    struct vine__inside *const base = &page->inside->base;

    vine__inside_begin(base, &page->record);
    for (uint32_t i = 0; i < page->record.item_count; i++) {
        const struct vine__item *const item = &page->record.items[i];

        if (item->kind == VINE__ITEM_RECEIVED)
            vine__socket_received((void *)((unsigned char *)page->inside + item->place), item);
        else if (item->kind == VINE__ITEM_HUNG_UP)
            vine__socket_hung_up((void *)((unsigned char *)page->inside + item->place));
        else if (item->kind == VINE__ITEM_MAIL)
            vine__mail_came(base, item);
        else
            vine__inside_take(base, item);
    }
    vine__inside_drain(base);
}

/* ---- outside --------------------------------------------------------------------------------- */

/* What the inside wrote to a socket. */
static int take_from(struct outlet *outlet, struct vine_socket *socket)
{
    const uint32_t wants = socket->wants;

    if (VINE__UNLIKELY(wants != 0)) {
        socket->wants = 0;
        vine__outlet_want(outlet, wants);
    }
    if (!socket->is_dirty)
        return 0;

    const uint32_t block = socket->block;
    const uint32_t size = socket->out.size;

    socket->is_dirty = false;
    socket->block = 0;
    return vine__outlet_written(outlet, block, size);
}

static int take_written(struct vine__process *process)
{
    struct inside *const inside = (struct inside *)process->inside;
    int error = take_from(&process->io, &inside->io);

    if (VINE__LIKELY(process->furthers == NULL))
        return error;
    for (uint32_t place = 1; place < VINE__PLACES_MAX && error == 0; place++) {
        struct further *const further = process->furthers->at[place];

        if (further != NULL && further->outlet.connection != NULL)
            error = take_from(&further->outlet, vine__outlet_inside(&further->outlet));
    }
    return error;
}

/* What a run left for those outside. Returns 0, -VINE_ECORRUPT or -ENOMEM. */
static int take_out(struct vine__process *process)
{
    int error = take_written(process);

    if (error == 0)
        error = vine__process_take_asks(process);
    if (error == 0 && VINE__UNLIKELY(process->inside->leaving != NULL))
        error = vine__furthers_let_go(process);
    return error;
}

void vine__process_dispatch(struct vine__process *process)
{
    struct page *const page = process->core->page;
    struct inside *const inside = (struct inside *)process->inside;
    struct vine__guard_fault fault;
    bool again;
    int error;

    if (process->has_ended)
        return;
    process->io.is_parking = false; /* it goes on, and may ask for it again */
    if (vine__guard_open(&process->heap->region) != 0) {
        vine_work_post(&process->work);
        return;
    }
    process->core->running = process;
    process->core->counts.runs++;
    do {
        again = !vine__process_bring(process, &page->record);
        page->inside = inside;
        error = vine__guard_run(&process->heap->region, run_inside, page, &fault);
        if (error == -EFAULT) {
            if (!vine__process_take_fault(process, &fault))
                return;
            again = true;
        } else if (error != 0) {
            vine__process_take_mistake(process, error);
            return;
        } else if (!again) {
            process->fault_count = 0;
        }
        error = take_out(process);
        if (VINE__UNLIKELY(error != 0)) {
            vine__process_take_mistake(process, error);
            return;
        }
    } while (again);
    if (inside->base.has_ended) {
        vine__process_take_end(process);
        return;
    }
    if (inside->base.is_spent)
        vine_work_post(&process->work);
    vine__guard_close(&process->heap->region);
}
