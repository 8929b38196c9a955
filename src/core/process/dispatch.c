/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/dispatch.c - a run of a micro-process: in with what has ended, out with
 * what is asked.
 */

#include "core/process/process_internal.h"
#include "utils/atomic.h"

/* ---- inside ---------------------------------------------------------------------------------- */

VINE__INSIDE static void take(struct vine__inside *base, const struct vine__item *item)
{
    if (item->kind == VINE__ITEM_NEXT)
        vine__socket_renew(&((struct vine__polling_inside *)base)->io, item);
    vine__inside_take(base, item);
}

VINE__INSIDE static void run_inside(void *argument)
{
    const struct page *const page = argument;
    struct vine__inside *const base = page->inside;

    vine__inside_begin(base, &page->record);
    for (uint32_t i = 0; i < page->record.item_count; i++) {
        const struct vine__item *const item = &page->record.items[i];

        if (item->kind == VINE__ITEM_RECEIVED)
            vine__socket_received((void *)((unsigned char *)base + item->place), item);
        else if (item->kind == VINE__ITEM_HUNG_UP)
            vine__socket_hung_up((void *)((unsigned char *)base + item->place));
        else if (item->kind == VINE__ITEM_MAIL)
            vine__mail_came(base, item);
        else
            take(base, item);
    }
    vine__inside_drain(base);
}

/* ---- outside --------------------------------------------------------------------------------- */

void vine__process_dispatch(struct vine__polling *polling)
{
    struct vine__process *const process = vine__process_of(polling);
    struct processes *const core = vine__core_of(process);
    struct page *const page = core->page;
    struct vine__guard_fault fault;
    bool has_faulted;
    int error;

    if (polling->has_ended)
        return;
    polling->is_parking = false; /* it goes on, and may ask for it again */
    if (vine__guard_open(&polling->heap->region) != 0) {
        vine_work_post(&polling->work);
        return;
    }
    core->running = process;
    core->counts.runs++;
    do {
        vine__polling_bring(polling, &page->record);
        page->inside = polling->inside;
        error = vine__guard_run(&polling->heap->region, run_inside, page, &fault);
        has_faulted = error == -EFAULT;
        if (has_faulted) {
            if (!vine__process_take_fault(process, &fault))
                return;
        } else if (error != 0) {
            vine__process_take_mistake(process, error);
            return;
        } else {
            process->polling.fault_count = 0;
        }
        error = vine__polling_take(polling);
        if (VINE__UNLIKELY(error != 0)) {
            vine__process_take_mistake(process, error);
            return;
        }
    } while (has_faulted);
    if (polling->inside->has_ended) {
        vine__process_take_end(process);
        return;
    }
    if (polling->is_done)
        vine__process_done(process);
    if (polling->is_parking) {
        process->origin->has_parkers = true;
        vine__parker_begin(process);
    }
    /* What is too much for one run is for another turn: there may be no end of it. */
    if (polling->inside->is_spent || polling->is_behind)
        vine_work_post(&polling->work);
    vine__guard_close(&polling->heap->region);
}
