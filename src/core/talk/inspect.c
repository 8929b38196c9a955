/* SPDX-License-Identifier: Apache-2.0 */
/* What an appliance tells its operator: asked for page by page, copied once, and then checked. */
#include <vine/inspect.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/wake/futex.h"
#include "core/ring/deadline.h"
#include "core/talk/message.h"
#include "core/talk/pipe_internal.h"
#include "utils/bits.h"
#include "utils/hostile.h"

#define PAGE_BYTES (32u << 10)
/* More than any appliance of ours has: one that has no end is not listened to for ever. */
#define PAGES_MAX 512u

/* What has to be made first is asked for again after so long; and anew so often. */
#define READY_LOOK_NS    500000u
#define EXAMINATIONS_MAX 8u

#define RECORD_BYTES_MAX sizeof(struct vine_wire_pipe)

VINE_STATIC_ASSERT(RECORD_BYTES_MAX >= sizeof(struct vine_wire_statistics) &&
                       RECORD_BYTES_MAX >= sizeof(struct vine_wire_finding),
                   "the longest record");

#define ROOM                                                                                       \
    {                                                                                              \
        .kind = VINE_OUTPUT, .data_type = VINE_TYPE_BYTES, .max = 1u << 20                         \
    }
#define FROM                                                                                       \
    {                                                                                              \
        .kind = VINE_BYTES, .max = sizeof(uint64_t)                                                \
    }

static struct vine_procedure list_statistics = {
    .id = VINE_WIRE_LIST_STATISTICS,
    .info = {.argument_count = 2, .arguments = {FROM, ROOM}},
    .output_count = 1,
    .outputs = {&list_statistics.info.arguments[1]},
};
static struct vine_procedure list_pipes = {
    .id = VINE_WIRE_LIST_PIPES,
    .info = {.argument_count = 2, .arguments = {FROM, ROOM}},
    .output_count = 1,
    .outputs = {&list_pipes.info.arguments[1]},
};

static struct vine_procedure examine = {
    .id = VINE_WIRE_EXAMINE,
    .info = {.argument_count = 2, .arguments = {FROM, ROOM}},
    .output_count = 1,
    .outputs = {&examine.info.arguments[1]},
};

/* What becomes of the records of pages. */
struct reading {
    struct vine_procedure *question;
    size_t least_bytes;  /* that a record has had from the first version on */
    size_t record_bytes; /* that are understood */
    void (*take)(struct reading *reading, void *record);
    size_t found;
    size_t count; /* that there is memory for */
    void *results;
};

/* Check a private copy of a page, and take its records. Returns 0 or -VINE_EPROTOCOL. */
static int take_page(struct reading *reading, unsigned char *bytes, size_t size, uint64_t *ret_next)
{
    struct vine_wire_page page;

    if (VINE__HOSTILE(size < sizeof page))
        return -VINE_EPROTOCOL;
    memcpy(&page, bytes, sizeof page);
    if (VINE__HOSTILE(page.record_bytes < reading->least_bytes ||
                      page.record_bytes % sizeof(uint64_t) != 0 ||
                      page.count > (size - sizeof page) / page.record_bytes))
        return -VINE_EPROTOCOL;
    for (uint32_t i = 0; i < page.count; i++) {
        /* What an older appliance does not tell is 0; what a later one has behind it is left. */
        unsigned char record[RECORD_BYTES_MAX] = {0};

        memcpy(record, bytes + sizeof page + (size_t)i * page.record_bytes,
               vine__min_u64(page.record_bytes, reading->record_bytes));
        reading->take(reading, record);
    }
    *ret_next = page.next;
    return 0;
}

static int ask(struct vine_pipe *pipe, struct vine_data *room, struct reading *reading,
               uint64_t *from)
{
    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .bytes = from,
        .bytes_size = sizeof *from,
        .outputs = &room,
        .output_count = 1,
    };
    int error = vine__task_run_builtin(pipe, reading->question, &options);
    unsigned char *bytes = NULL;

    if (error)
        return error;

    const size_t size = (size_t)vine_data_size(room);

    bytes = malloc(size + 1);
    error = bytes == NULL ? -ENOMEM : vine_data_read(room, 0, bytes, size);
    if (!error)
        error = take_page(reading, bytes, size, from);
    free(bytes);
    return error;
}

/* The page from *from on. */
static int read_page(struct vine_pipe *pipe, struct reading *reading, uint64_t *from)
{
    struct vine_data *room = NULL;
    int error = vine_data_expect(pipe, VINE_TYPE_BYTES, PAGE_BYTES, &room);

    if (!error)
        error = ask(pipe, room, reading, from);
    vine_data_free(room);
    return error;
}

/* Returns how many records there are, or a negative code. */
static int read_all(struct vine_pipe *pipe, struct reading *reading)
{
    uint64_t from = 0;
    int error = vine__pipe_check(pipe);

    for (uint32_t pages = 0; !error && pages < PAGES_MAX; pages++) {
        error = read_page(pipe, reading, &from);
        if (!error && from == 0)
            return (int)reading->found;
    }
    return error ? error : -VINE_EPROTOCOL;
}

/* The same of an answer that is in the making: a page without a record says so. */
static int read_when_ready(struct vine_pipe *pipe, struct reading *reading)
{
    struct vine__deadline deadline = vine__deadline_after(pipe->call_timeout_ns);
    static const uint32_t word;
    uint64_t from = 0;
    int error = vine__pipe_check(pipe);

    for (uint32_t pages = 0; !error && pages < PAGES_MAX;) {
        const size_t before = reading->found;

        error = read_page(pipe, reading, &from);
        if (!error && from == 0)
            return (int)reading->found;
        pages += reading->found != before;
        if (error || reading->found != before)
            continue;
        if (vine__deadline_left(&deadline) == 0)
            return -ETIMEDOUT;
        (void)!vine__futex_wait_private(&word, 0, READY_LOOK_NS);
    }
    return error ? error : -VINE_EPROTOCOL;
}

static struct vine_durations durations(const struct vine_wire_times *times)
{
    return (struct vine_durations){
        .total_ns = times->total_ns,
        .p50_ns = times->p50_ns,
        .p99_ns = times->p99_ns,
        .max_ns = times->max_ns,
    };
}

static void take_statistics(struct reading *reading, void *record)
{
    struct vine_procedure_stats *stats = reading->results;
    struct vine_wire_statistics wire;

    memcpy(&wire, record, sizeof wire);
    vine__talk_tame(wire.name, sizeof wire.name);
    if (reading->found < reading->count) {
        stats += reading->found;
        *stats = (struct vine_procedure_stats){
            .tasks_done = wire.tasks_done,
            .tasks_failed = wire.tasks_failed,
            .bytes_in = wire.bytes_in,
            .bytes_out = wire.bytes_out,
            .tasks_late = wire.tasks_late,
            .runs_long = wire.runs_long,
            .queued = durations(&wire.queued),
            .run = durations(&wire.run),
        };
        memcpy(stats->name, wire.name, sizeof stats->name);
    }
    reading->found++;
}

int vine_inspect_procedures(struct vine_pipe *pipe, struct vine_procedure_stats *stats,
                            size_t count)
{
    struct reading reading = {
        .question = &list_statistics,
        .least_bytes = sizeof(struct vine_wire_statistics),
        .record_bytes = sizeof(struct vine_wire_statistics),
        .take = take_statistics,
        .count = count,
        .results = stats,
    };

    return read_all(pipe, &reading);
}

static void understand(struct vine_wire_pipe *wire, struct vine_pipe_facts *ret)
{
    vine__talk_tame(wire->name, sizeof wire->name);
    vine__talk_tame(wire->link, sizeof wire->link);
    vine__talk_tame(wire->reason, sizeof wire->reason);
    *ret = (struct vine_pipe_facts){
        .number = wire->number,
        .pid = wire->pid,
        .uid = wire->uid == UINT32_MAX ? -1 : (int64_t)wire->uid,
        .is_own = (wire->flags & VINE_WIRE_PIPE_OWN) != 0,
        .is_closed = (wire->flags & VINE_WIRE_PIPE_CLOSED) != 0,
        .error = wire->error == 0 ? 0 : vine__error_from_wire(wire->error, -VINE_EPROTOCOL),
        .age_ns = wire->age_ns,
        .closed_ns = wire->closed_ns,
        .tasks_done = wire->tasks_done,
        .tasks_failed = wire->tasks_failed,
        .bytes_in = wire->bytes_in,
        .bytes_out = wire->bytes_out,
        .quota_bytes = wire->quota_bytes,
        .held_bytes = wire->held_bytes,
        .tasks_in_flight = wire->in_flight,
        .channels = wire->channels,
        .threads_sharing = wire->sharing,
    };
    memcpy(ret->name, wire->name, sizeof ret->name);
    memcpy(ret->link, wire->link, sizeof ret->link);
    memcpy(ret->reason, wire->reason, sizeof ret->reason);
}

/* One that was closed since it was told of as open takes that place. */
static void take_pipe(struct reading *reading, void *record)
{
    struct vine_pipe_facts *facts = reading->results;
    struct vine_wire_pipe wire;
    size_t place = reading->found;

    memcpy(&wire, record, sizeof wire);
    if ((wire.flags & VINE_WIRE_PIPE_CLOSED) != 0)
        for (size_t i = 0; i < reading->found && i < reading->count; i++)
            if (facts[i].number == wire.number)
                place = i;
    if (place < reading->count)
        understand(&wire, &facts[place]);
    reading->found += place == reading->found;
}

int vine_inspect_pipes(struct vine_pipe *pipe, struct vine_pipe_facts *facts, size_t count)
{
    struct reading reading = {
        .question = &list_pipes,
        .least_bytes = VINE_WIRE_PIPE_LEAST,
        .record_bytes = sizeof(struct vine_wire_pipe),
        .take = take_pipe,
        .count = count,
        .results = facts,
    };

    return read_all(pipe, &reading);
}

static void take_finding(struct reading *reading, void *record)
{
    struct vine_finding *finding = reading->results;
    struct vine_wire_finding wire;

    memcpy(&wire, record, sizeof wire);
    if (wire.kind < VINE_WIRE_FOUND_TASKS || wire.kind > VINE_WIRE_FOUND_FAULT)
        return; /* a later one knows it */
    vine__talk_tame(wire.name, sizeof wire.name);
    vine__talk_tame(wire.found, sizeof wire.found);
    vine__talk_tame(wire.expected, sizeof wire.expected);
    if (reading->found < reading->count) {
        finding += reading->found;
        *finding = (struct vine_finding){
            .pipe = wire.pipe,
            .kind = (enum vine_finding_kind)wire.kind,
            .channel = wire.channel == UINT32_MAX ? -1 : (int64_t)wire.channel,
            .count = wire.count,
            .bytes = wire.bytes,
            .oldest_ns = wire.oldest_ns,
            .offset = wire.offset == UINT64_MAX ? -1 : (int64_t)(wire.offset & INT64_MAX),
        };
        memcpy(finding->ages, wire.ages, sizeof finding->ages);
        memcpy(finding->name, wire.name, sizeof finding->name);
        memcpy(finding->found, wire.found, sizeof finding->found);
        memcpy(finding->expected, wire.expected, sizeof finding->expected);
    }
    reading->found++;
}

int vine_inspect_books(struct vine_pipe *pipe, struct vine_finding *findings, size_t count)
{
    struct reading reading = {
        .question = &examine,
        .least_bytes = sizeof(struct vine_wire_finding),
        .record_bytes = sizeof(struct vine_wire_finding),
        .take = take_finding,
        .count = count,
        .results = findings,
    };
    int found = 0;

    /* It may be another one's examination that ended before all of it was told. */
    for (uint32_t tries = 0; tries < EXAMINATIONS_MAX; tries++) {
        reading.found = 0;
        found = read_when_ready(pipe, &reading);
        if (found != -VINE_ECANCELED)
            break;
    }
    return found;
}
