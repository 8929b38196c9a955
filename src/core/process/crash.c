/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/crash.c - micro-processes that fail: by a fault, which is raised in them, by an
 * error that nobody takes, or by writing nonsense where we read.
 */

#include <signal.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "core/process/process_internal.h"

#define FAULTS_MAX 16U /* one after the other, before it is given up */

void vine__process_describe(const struct vine__process *process, struct vine__process_end *end)
{
    const struct vine_coroutine *that;
    struct vine_coroutine copy;

    if (process->polling.has_ended)
        return;
    that = process->polling.inside->current;
    if (that == NULL)
        that = process->polling.inside->first;
    if (!vine__heap_has(process->polling.heap, (uintptr_t)that, sizeof(copy),
                        _Alignof(struct vine_coroutine)))
        return;
    memcpy(&copy, that, sizeof(copy));
    end->type = vine__type_of(copy.module, copy.type);
    end->point = vine__point_of(copy.module, copy.state);
}

/* Of a copy: it says numbers, whatever they are. */
static void explain_heap(const struct vine__process *process, char ret_text[VINE__HEAP_WHY_BYTES])
{
    struct vine__heap_head head;

    memcpy(&head, &process->polling.inside->heap, sizeof(head));
    vine__heap_explain(&head, ret_text);
}

static void tell(const struct vine__process *process, const struct vine__process_end *end)
{
    const struct vine__process_kind *const kind = process->origin->options.kind;

    if (kind != NULL && kind->crashed != NULL)
        kind->crashed(kind, end);
}

/* Nobody in there can say anything any more. */
static bool says_farewell(struct vine__process *process)
{
    const struct vine__process_kind *const kind = process->origin->options.kind;

    return kind != NULL && kind->farewell != NULL &&
           vine__polling_farewell(&process->polling, kind->farewell);
}

bool vine__process_take_fault(struct vine__process *process, const struct vine__guard_fault *fault)
{
    const bool is_overrun = fault->signal == SIGXCPU;
    const bool is_last = ++process->polling.fault_count == FAULTS_MAX ||
                         (is_overrun && process->polling.has_overrun);
    struct vine__process_end end = {.error = -EFAULT, .is_fault = true, .fault = *fault};

    vine__core_of(process)->counts.faults++;
    vine__core_of(process)->counts.overruns += is_overrun;
    process->polling.has_overrun |= is_overrun;
    vine__process_describe(process, &end);
    tell(process, &end);
    if (is_last) {
        vine__process_end(process, &end, !says_farewell(process));
        return false;
    }
    if (process->last_fault == NULL)
        process->last_fault = vine__closed_alloc(sizeof(*process->last_fault));
    if (process->last_fault != NULL)
        *process->last_fault = end;
    process->polling.raise = -EFAULT;
    return true;
}

/* Whether an error is its own doing, and not what a peer or the end of the service brought. */
static bool is_own(int error)
{
    return error != 0 && error != -ECANCELED && error != -ETIMEDOUT && error != -EPIPE &&
           error != -ECONNRESET && error != -VINE_ECLOSED;
}

void vine__process_take_end(struct vine__process *process)
{
    struct vine__process_end end = {.error = process->polling.inside->error};

    if (end.error == -EFAULT && process->last_fault != NULL) {
        end = *process->last_fault; /* which was told */
    } else if (is_own(end.error)) {
        vine__core_of(process)->counts.errors++;
        vine__process_describe(process, &end);
        if (end.error == -ENOMEM)
            explain_heap(process, end.heap);
        tell(process, &end);
    }
    if (is_own(end.error))
        (void)says_farewell(process);
    vine__process_end(process, &end, false);
}

void vine__process_take_mistake(struct vine__process *process, int error)
{
    struct vine__process_end end = {.error = error};

    vine__core_of(process)->counts.errors++;
    if (error == -VINE_ECORRUPT)
        vine__process_describe(process, &end);
    tell(process, &end);
    vine__process_end(process, &end, !says_farewell(process));
}
