/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Procedures of the protocol that tell operators: answers are pages of records, each of which says
 * from where the next one goes on.
 *
 * Whoever may open a pipe may ask, as often as he likes: a page is so short that it takes the time
 * of some tasks, and that time counts as his pipe's, as of any other task. The appliance's own user
 * and root, and who shares a named segment with it, are told of all pipes; others of their own
 * user's. Sums over all pipes are told to all, as those of accelerators are.
 */
#include <stdio.h>
#include <string.h>

#include <vine/error.h>

#include "core/talk/appliance_internal.h"

#define PIPES_AT_ONCE      62u
#define PROCEDURES_AT_ONCE 16u

VINE_STATIC_ASSERT(PIPES_AT_ONCE * sizeof(struct vine_wire_pipe) <= 16384, "a page on the stack");

uint64_t vine__builtin_place(const struct vine_call *call)
{
    uint64_t from = 0;

    memcpy(&from, call->bytes, call->bytes_size < sizeof from ? call->bytes_size : sizeof from);
    return from;
}

uint32_t vine__builtin_room(const struct vine_call *call, size_t record_bytes)
{
    const uint64_t room = call->outputs[0].memory != NULL ? call->outputs[0].room_bytes : 0;

    return room > sizeof(struct vine_wire_page)
               ? (uint32_t)((room - sizeof(struct vine_wire_page)) / record_bytes)
               : 0;
}

void vine__builtin_answer(struct vine_call *call, const void *records, uint32_t record_bytes,
                          uint32_t count, uint64_t next)
{
    struct vine__call_output *output = &call->outputs[0];
    const struct vine_wire_page page = {.record_bytes = record_bytes, .count = count, .next = next};

    memcpy(output->memory, &page, sizeof page);
    memcpy((unsigned char *)output->memory + sizeof page, records, (size_t)record_bytes * count);
    output->size_bytes = sizeof page + (uint64_t)record_bytes * count;
}

bool vine__builtin_sees_all(const struct vine__served *pipe)
{
    const uint32_t uid = pipe->agreement.peer_uid;

    if (pipe->link_to.named != NULL)
        return true;
    return uid != VINE__UID_UNKNOWN && (uid == 0 || uid == pipe->appliance->common->uid);
}

int vine__builtin_list_pipes(struct vine_call *call)
{
    const struct vine__roll_reader reader = {call->pipe, vine__builtin_sees_all(call->pipe)};
    const uint32_t room = vine__builtin_room(call, sizeof(struct vine_wire_pipe));
    struct vine_wire_pipe pipes[PIPES_AT_ONCE];
    uint64_t cursor = vine__builtin_place(call);

    if (room == 0)
        return -VINE_EOVERFLOW;

    const uint32_t count = vine__roll_read(&call->pipe->appliance->common->roll, &reader, pipes,
                                           room < PIPES_AT_ONCE ? room : PIPES_AT_ONCE, &cursor);

    vine__builtin_answer(call, pipes, sizeof pipes[0], count, cursor);
    return 0;
}

static struct vine_wire_times times_of(const struct vine__tally_times *times)
{
    const struct vine__tally_summary summary = vine__tally_summarize(times);

    return (struct vine_wire_times){
        .total_ns = summary.total_ns,
        .p50_ns = summary.p50_ns,
        .p99_ns = summary.p99_ns,
        .max_ns = summary.max_ns,
    };
}

/* What all parts counted of the procedure in this place. */
static struct vine_wire_statistics statistics_of(const struct vine__common *common, uint32_t index,
                                                 const char *name)
{
    struct vine__tally sum = {0};

    for (uint32_t i = 0; i < vine__parts_count(common); i++) {
        const struct vine_appliance *part = vine__part_at(common, i);
        /* P6 pairs with P5. */
        const struct vine__tally *tally =
            part != NULL ? vine__load_acquire_pointer((void *const *)&part->tallies[index]) : NULL;

        if (tally != NULL)
            vine__tally_sum(&sum, tally);
    }

    struct vine_wire_statistics statistics = {
        .tasks_done = sum.tasks_done,
        .tasks_failed = sum.tasks_failed,
        .bytes_in = sum.bytes_in,
        .bytes_out = sum.bytes_out,
        .tasks_late = sum.tasks_late,
        .runs_long = sum.runs_long,
        .queued = times_of(&sum.queued),
        .run = times_of(&sum.run),
    };

    (void)snprintf(statistics.name, sizeof statistics.name, "%s", name);
    return statistics;
}

int vine__builtin_list_statistics(struct vine_call *call)
{
    const struct vine_appliance *appliance = call->pipe->appliance;
    /* P2 pairs with P1. */
    const uint32_t total = vine__load_acquire_u32(&appliance->common->procedure_count);
    const uint32_t room = vine__builtin_room(call, sizeof(struct vine_wire_statistics));
    const uint32_t most = room < PROCEDURES_AT_ONCE ? room : PROCEDURES_AT_ONCE;
    struct vine_wire_statistics page[PROCEDURES_AT_ONCE];
    uint64_t index = vine__builtin_place(call);
    uint32_t count = 0;

    if (room == 0)
        return -VINE_EOVERFLOW;
    for (; index < total && count < most; index++) {
        const struct vine_procedure_definition *definition =
            vine__procedure_at(appliance, (uint32_t)index);

        if (definition != NULL)
            page[count++] = statistics_of(appliance->common, (uint32_t)index, definition->name);
    }
    vine__builtin_answer(call, page, sizeof page[0], count, index < total ? index : 0);
    return 0;
}
