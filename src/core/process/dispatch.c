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

VINE__INSIDE static void run_next(void *argument)
{
    const struct page *const page = argument;
    struct vine__polling_inside *const inside = (struct vine__polling_inside *)page->inside;

    vine__socket_renew(&inside->io, &page->record.items[0]);
    vine__inside_next(&inside->base, &page->record);
}

/* ---- outside --------------------------------------------------------------------------------- */

/* What a run has left. Returns whether another one has to follow at once: it has faulted, and is
 * to hear of it. It may be gone then, else. */
static bool look(struct vine__process *process, int run_error,
                 const struct vine__guard_fault *fault)
{
    struct vine__polling *const polling = &process->polling;
    const bool has_faulted = run_error == -EFAULT;
    int error;

    if (has_faulted) {
        if (!vine__process_take_fault(process, fault))
            return false;
    } else if (run_error != 0) {
        vine__process_take_mistake(process, run_error);
        return false;
    } else {
        polling->fault_count = 0;
    }
    error = vine__polling_take(polling);
    if (VINE__UNLIKELY(error != 0)) {
        vine__process_take_mistake(process, error);
        return false;
    }
    if (has_faulted)
        return true;
    if (polling->inside->has_ended) {
        vine__process_take_end(process);
        return false;
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
    return false;
}

/* Its heap is open. */
static void run(struct processes *core, struct vine__process *process)
{
    struct vine__polling *const polling = &process->polling;
    struct page *const page = core->page;
    struct vine__guard_fault fault;
    int error;

    do {
        vine__polling_bring(polling, &page->record);
        page->inside = polling->inside;
        error = vine__guard_run(&polling->heap->region, run_inside, page, &fault);
    } while (look(process, error, &fault));
}

void vine__process_dispatch(struct vine__polling *polling)
{
    struct vine__process *const process = vine__process_of(polling);
    struct processes *const core = vine__core_of(process);

    if (polling->has_ended)
        return;
    polling->is_parking = false; /* it goes on, and may ask for it again */
    if (vine__guard_open(&polling->heap->region) != 0) {
        vine_work_post(&polling->work);
        return;
    }
    core->running = process;
    core->counts.runs++;
    run(core, process);
}

/* ---- from one thing to the next -------------------------------------------------------------- */

bool vine__process_is_quick(const struct vine__process *process)
{
    return process->polling.is_quick && process->polling.cancel == 0 &&
           !process->polling.has_answer && !vine__processes_here()->is_draining;
}

bool vine__process_next(struct vine__process *process, const unsigned char *bytes, uint32_t size,
                        bool is_end)
{
    struct vine__polling *const polling = &process->polling;
    struct processes *const core = vine__processes_here();
    struct page *const page = core->page;

    core->running = process;
    core->counts.runs++;
    core->run_error = vine__guard_open(&polling->heap->region);
    if (VINE__UNLIKELY(core->run_error != 0))
        return false;
    vine__polling_bring_next(&core->polling, polling, &page->record, bytes, size, is_end);
    page->inside = polling->inside;
    core->run_error = vine__guard_run(&polling->heap->region, run_next, page, &core->fault);
    if (VINE__UNLIKELY(core->run_error != 0) || !vine__polling_has_rested(polling, size > 0))
        return false;
    polling->fault_count = 0;
    vine__guard_close(&polling->heap->region);
    vine__parker_begin(process);
    return true;
}

void vine__process_look(struct vine__process *process)
{
    struct processes *const core = vine__processes_here();

    vine__polling_stir(&process->polling);
    if (look(process, core->run_error, &core->fault))
        run(core, process);
}
