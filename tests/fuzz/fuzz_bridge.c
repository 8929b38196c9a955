/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bridge whose completer is the fuzzer. Each two bytes of the input are a step: a submission, an
 * abandonment, time that passes, a loss, or a completion with any id, true or not. Beside the
 * bridge goes a book that knows by ids alone what has to happen: which operation ends and how, what
 * is counted, and when a place is free.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vine/bridge.h>
#include <vine/error.h>

#define OPERATIONS 5
#define RECORDS    512

struct question {
    uint32_t number;
};

struct answer {
    uint64_t number;
};

VINE_BRIDGE_TYPES(oracle, struct question, struct answer);

enum fate {
    PENDING,
    HELD, /* ended, and its place waits for its completion */
    OVER,
};

struct record {
    struct vine_operation_id id;
    enum fate fate;
    uint64_t deadline_ns; /* 0: none */
    int calls;
    int status;
};

static struct {
    struct record records[RECORDS];
    uint32_t count;
    struct vine_bridge_stats wanted;
    int is_lost;
} book;

static void check(int condition)
{
    if (!condition)
        abort();
}

static void ended(void *context, int status, const struct answer *answer)
{
    struct record *record = context;

    check((status == 0) == (answer != NULL));
    record->calls++;
    record->status = status;
}

/* What the record has to have come to. */
static void check_ended(const struct record *record, int status)
{
    check(record->calls == 1 && record->status == status);
}

static void submit(struct oracle_submit_handle handle, uint8_t byte, uint64_t now_ns)
{
    struct record *record = &book.records[book.count];
    const struct question question = {book.count};
    const struct oracle_operation operation = {
        .callback = ended,
        .context = record,
        .deadline_ns = byte & 1 ? now_ns + (byte >> 1) % 8 : 0,
        .kind = byte >> 6,
    };
    uint32_t places = 0;
    int error;

    if (book.count == RECORDS)
        return;
    for (uint32_t i = 0; i < book.count; i++)
        places += book.records[i].fate != OVER;
    memset(record, 0, sizeof *record);
    error = oracle_submit(handle, &question, &operation, &record->id);
    check(error == (book.is_lost ? -VINE_EPEERLOST : places == OPERATIONS ? -EAGAIN : 0));
    if (error)
        return;
    record->deadline_ns = operation.deadline_ns;
    book.count++;
    book.wanted.submitted++;
}

static void abandon(struct oracle_submit_handle handle, uint8_t byte)
{
    struct record *record =
        book.count > 0 ? &book.records[book.count - 1 - byte % book.count] : NULL;

    if (record == NULL)
        return;
    check(oracle_abandon(handle, record->id) == (record->fate == PENDING ? 0 : -EALREADY));
    if (record->fate == PENDING) {
        record->fate = HELD;
        book.wanted.abandoned++;
    }
}

static void expire(struct oracle_receive_handle handle, uint64_t now_ns)
{
    int due = 0;

    for (uint32_t i = 0; i < book.count; i++)
        due += book.records[i].fate == PENDING && book.records[i].deadline_ns != 0 &&
               book.records[i].deadline_ns <= now_ns;
    check(oracle_next_deadline(handle) <= now_ns || due == 0);
    check(oracle_expire(handle, now_ns) == due);
    for (uint32_t i = 0; i < book.count; i++) {
        struct record *record = &book.records[i];

        if (record->fate == PENDING && record->deadline_ns != 0 && record->deadline_ns <= now_ns) {
            check_ended(record, -ETIMEDOUT);
            record->fate = HELD;
        }
    }
    book.wanted.timed_out += (uint64_t)due;
}

static void lose(struct oracle_receive_handle handle)
{
    int pending = 0;

    for (uint32_t i = 0; i < book.count; i++)
        pending += book.records[i].fate == PENDING;
    check(oracle_lost(handle) == pending);
    for (uint32_t i = 0; i < book.count; i++) {
        if (book.records[i].fate == PENDING)
            check_ended(&book.records[i], -VINE_EPEERLOST);
        book.records[i].fate = OVER;
    }
    book.wanted.lost += (uint64_t)pending;
    book.is_lost = 1;
}

static uint64_t wrong_ids(const struct vine_bridge_stats *stats)
{
    return stats->duplicate + stats->unknown + stats->forged + stats->wrong_kind;
}

static void complete(struct vine_completer *end, struct oracle_receive_handle handle, uint64_t id)
{
    const struct answer answer = {id};
    const struct oracle_completer completer = {.end = end};
    struct record *record = NULL;
    struct oracle_ticket ticket = {{id}};
    struct question question;

    /* Submissions are read so that their ring does not stay full. */
    while (oracle_submission(completer, &ticket, &question) == 0)
        ;
    ticket.id.value = id;
    if (book.is_lost) {
        check(oracle_receive(handle) == -VINE_EPEERLOST);
        return;
    }
    check(oracle_complete(completer, ticket, &answer) == 0);
    check(oracle_receive(handle) == 1);
    for (uint32_t i = 0; i < book.count; i++)
        if (book.records[i].id.value == id)
            record = &book.records[i];
    if (record != NULL && record->fate == PENDING) {
        check_ended(record, 0);
        record->fate = OVER;
        book.wanted.completed++;
    } else if (record != NULL && record->fate == HELD) {
        record->fate = OVER;
        book.wanted.late++;
    } else {
        book.wanted.duplicate++; /* or another kind of wrong */
    }
}

static uint64_t some_id(uint8_t byte, const uint8_t *bytes, size_t size)
{
    struct vine_operation_id id = {0};

    if (book.count > 0)
        id = book.records[book.count - 1 - (byte >> 3) % book.count].id;
    switch (byte % 8) {
    case 0:
        return id.value + (1ULL << 32);
    case 1:
        return id.value - (1ULL << 32);
    case 2:
        return id.value ^ (1ULL << 24);
    case 3:
        return id.value + 1;
    case 4:
        memcpy(&id, bytes, size < 8 ? size : 8);
        return id.value;
    default:
        return id.value;
    }
}

static void check_stats(struct oracle_receive_handle handle)
{
    struct vine_bridge_stats stats;

    oracle_get_stats(handle, &stats);
    check(stats.submitted == book.wanted.submitted && stats.completed == book.wanted.completed &&
          stats.abandoned == book.wanted.abandoned && stats.timed_out == book.wanted.timed_out &&
          stats.lost == book.wanted.lost && stats.late == book.wanted.late);
    check(wrong_ids(&stats) == book.wanted.duplicate);
    check(stats.submitted ==
          stats.completed + stats.abandoned + stats.timed_out + stats.lost + stats.pending);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct vine_channel_options channel = {
        .size_bytes = sizeof channel, .submission_slots = 8, .completion_slots = 8};
    const struct vine_bridge_options options = {
        .size_bytes = sizeof options,
        .cache = size > 0 && data[0] & 1 ? VINE_OP_CACHE_LOCKED : VINE_OP_CACHE_UNLOCKED,
        .operations_max = OPERATIONS,
    };
    void *ours = aligned_alloc(64, vine_channel_side_size(8));
    void *theirs = aligned_alloc(64, vine_channel_side_size(8));
    struct vine_submitter submitter;
    struct vine_completer completer;
    struct oracle_driver driver;
    uint64_t now_ns = 1;

    check(ours != NULL && theirs != NULL);
    memset(ours, 0, vine_channel_side_size(8));
    memset(theirs, 0, vine_channel_side_size(8));
    memset(&book, 0, sizeof book);
    check(vine_submitter_init(&submitter, ours, theirs, &channel) == 0);
    check(vine_completer_init(&completer, theirs, ours, &channel) == 0);
    check(oracle_driver_create(&submitter, &options, &driver) == 0);
    for (size_t i = 1; i + 1 < size; i += 2) {
        const uint8_t byte = data[i + 1];

        switch (data[i] % 8) {
        case 0:
        case 1:
        case 2:
            submit(driver.submit, byte, now_ns);
            break;
        case 3:
            abandon(driver.submit, byte);
            break;
        case 4:
            now_ns += byte % 8;
            expire(driver.receive, now_ns);
            break;
        case 5:
            if (byte == 255)
                lose(driver.receive);
            break;
        default:
            complete(&completer, driver.receive, some_id(byte, data + i + 1, size - i - 1));
            break;
        }
        check_stats(driver.receive);
    }
    oracle_close_submit(driver.submit);
    oracle_close_receive(driver.receive);
    for (uint32_t i = 0; i < book.count; i++)
        if (book.records[i].fate == PENDING)
            check_ended(&book.records[i], -VINE_ECLOSED);
        else
            check(book.records[i].calls <= 1);
    free(ours);
    free(theirs);
    return 0;
}
