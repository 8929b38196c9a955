/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/rest.c - micro-processes that do one thing after another, and between two of them
 * rest: who started them gives them the next.
 *
 * Those that rest are given back when they have for a while, or where heaps are short, as those are
 * that park (park.c): the same timer looks at both.
 */
#include "arch/cpu/cpu.h"
#include "core/process/process_internal.h"

/* There is no next one: tell it so in a run of its own. */
static void dismiss_soon(struct vine__process *process)
{
    vine__polling_dismiss(&process->polling);
    vine_work_post(&process->polling.work);
}

void vine__process_done(struct vine__process *process)
{
    struct vine__polling *const polling = &process->polling;
    const struct vine__process_options *const options = &process->origin->options;

    if (polling->is_resting || polling->has_answer || polling->io.is_sending)
        return; /* once that is sent, it comes here again */
    if (options->rests == NULL || vine__core_of(process)->is_draining ||
        !vine__polling_is_fresh(polling) || !options->rests(options->context)) {
        dismiss_soon(process);
        return;
    }
    polling->is_resting = true;
    vine__polling_see_quick(polling);
    vine__parker_begin(process);
}

bool vine__process_can_go_on(struct vine__process *process)
{
    struct vine__polling *const polling = &process->polling;

    return polling->is_resting && !polling->has_answer && vine__polling_is_fresh(polling);
}

void vine__process_give(struct vine__process *process, const unsigned char *bytes, uint32_t size,
                        bool is_end)
{
    struct vine__polling *const polling = &process->polling;

    VINE_ASSERT_SLOW(vine__process_can_go_on(process));
    vine__polling_give(polling, bytes, size, is_end);
    vine__process_dispatch(polling);
}

void vine__process_dismiss(struct vine__process *process)
{
    struct vine__polling *const polling = &process->polling;

    if (polling->has_ended || !polling->is_resting || polling->has_answer)
        return;
    vine__polling_dismiss(polling);
    vine__process_dispatch(polling);
}

void vine__process_leave_rest(struct vine__process *process)
{
    const struct vine__process_options *const options = &process->origin->options;

    options->dismissed(options->context);
    vine__process_dismiss(process);
}

void vine__process_lines(const struct vine__process *process, struct vine__process_lines *ret_lines)
{
    const struct vine__polling *const polling = &process->polling;

    *ret_lines = (struct vine__process_lines){
        .outside = polling,
        .head = &polling->inside->record,
        .coroutine = (const unsigned char *)polling->inside + polling->asker.place,
    };
}

void vine__process_fetch(const struct vine__process_lines *lines)
{
    const unsigned char *const head = lines->head;
    const unsigned char *const coroutine = lines->coroutine;

    vine__prefetch_to_write(lines->outside);
    for (uint32_t line = 0; line < 3; line++) /* the last one is the socket's */
        vine__prefetch_to_write(head + (size_t)line * VINE_CACHE_LINE);
    vine__prefetch_to_write(coroutine - VINE_CACHE_LINE); /* the frame, mostly */
    for (uint32_t line = 0; line < 3; line++)
        vine__prefetch_to_write(coroutine + (size_t)line * VINE_CACHE_LINE);
}
