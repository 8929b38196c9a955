/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=world links=runtime long=1200 */
/*
 * A write-ahead log on core/file as it is: all cores append, one writes what has come and syncs
 * it, and then acknowledges it. The power fails at any moment, and what is there is recovered.
 *
 * What may fail: reads, writes and syncs, with -EIO, half done or interrupted; after a sync that
 * failed nobody knows what is on the disk; the disk is full; writes are torn at sectors, lost and
 * reordered when the power fails; with direct I/O and without.
 *
 * What holds: what was acknowledged is there, once and with its bytes; what is there was appended.
 * Who appends hears of it once.
 */
#include "sim/world.h"

#include <vine/file.h>

#include "utils/container_of.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define RUNS       4000
#define RUNS_PLANT 600
#define CYCLES     4
#define IDS_MAX    400
#define BYTES_MAX  200
#define FILE_MAX   (256 * 1024)
#define TRIES      64

static enum { PLANT_NONE, PLANT_NO_SYNC, PLANT_SYNC_ERROR, PLANT_NO_SUM } plant;

struct record {
    uint32_t magic, index;
    uint32_t id, size, sum;
};
#define MAGIC 0x1e60f1e6U

/* Whoever looks on from outside: nothing of it is lost with the power. */
static struct {
    bool is_acknowledged[IDS_MAX];
    uint32_t ids; /* handed out */
} outside;

struct append {
    struct vine_core_call call;
    struct vine_reply reply;
    struct append *next;
    uint32_t id, left;
    bool is_under_way;
};

/* The program, in one life of it. */
static struct {
    struct vine_file_op op;
    struct vine_file file;
    struct vine_file_status status;
    unsigned char *bytes; /* of the file, and then of a batch */
    uint64_t size, end;
    uint32_t count, tries, step;
    struct append *waiting, *batch;
    uint64_t batch_bytes;
    bool is_writing, has_failed, is_direct;
    struct append appends[WORLD_CORES_MAX * 2];
    uint32_t appends_left;
} program;

/* ---- records --------------------------------------------------------------------------------- */

static unsigned char byte_of(uint32_t id, uint32_t at)
{
    return (unsigned char)(id * 17 + at * 5 + 1);
}

static uint32_t size_of(uint32_t id)
{
    return id * 7919 % BYTES_MAX;
}

static uint32_t sum_of(const struct record *record, const unsigned char *bytes)
{
    uint32_t sum = 2166136261U ^ record->index ^ record->id << 9 ^ record->size << 20;

    for (uint32_t i = 0; i < record->size; i++)
        sum = (sum ^ bytes[i]) * 16777619U;
    return sum;
}

static uint64_t put_record(unsigned char *to, uint32_t index, uint32_t id)
{
    struct record record = {.magic = MAGIC, .index = index, .id = id, .size = size_of(id)};

    for (uint32_t i = 0; i < record.size; i++)
        to[sizeof(record) + i] = byte_of(id, i);
    record.sum = sum_of(&record, to + sizeof(record));
    memcpy(to, &record, sizeof(record));
    return sizeof(record) + record.size;
}

/* Returns the size of what is at `at`, or 0: that is no record. */
static uint64_t get_record(const unsigned char *at, uint64_t left, uint32_t index,
                           struct record *ret_record)
{
    memcpy(ret_record, at, left < sizeof(*ret_record) ? left : sizeof(*ret_record));
    if (left < sizeof(*ret_record) || ret_record->magic != MAGIC || ret_record->index != index ||
        ret_record->size >= BYTES_MAX || left < sizeof(*ret_record) + ret_record->size)
        return 0;
    if (plant != PLANT_NO_SUM && ret_record->sum != sum_of(ret_record, at + sizeof(*ret_record)))
        return 0;
    return sizeof(*ret_record) + ret_record->size;
}

/* What was recovered, against what was acknowledged. */
static void check(const unsigned char *bytes, uint64_t size, uint64_t *ret_end, uint32_t *ret_count)
{
    bool is_there[IDS_MAX] = {false};
    struct record record;
    uint64_t end = 0, step;
    uint32_t count = 0;

    while ((step = get_record(bytes + end, size - end, count, &record)) != 0) {
        world_holds(record.id < outside.ids, "record %u was never appended", record.id);
        world_holds(!is_there[record.id], "record %u is there twice", record.id);
        is_there[record.id] = true;
        for (uint32_t i = 0; i < record.size; i++)
            world_holds(bytes[end + sizeof(record) + i] == byte_of(record.id, i),
                        "record %u has other bytes", record.id);
        end += step;
        count++;
    }
    for (uint32_t id = 0; id < outside.ids; id++)
        world_holds(is_there[id] || !outside.is_acknowledged[id],
                    "record %u was acknowledged and is lost", id);
    *ret_end = end;
    *ret_count = count;
}

/* ---- appending ------------------------------------------------------------------------------- */

static void write_batch(void);

static void end_batch(int64_t result)
{
    struct append *append = program.batch, *next;

    program.batch = NULL;
    program.is_writing = false;
    for (; append != NULL; append = next) {
        next = append->next;
        vine_core_call_reply(append->reply, result);
    }
    write_batch();
}

static void see_synced(struct vine_file_op *op)
{
    int64_t result = vine_file_result(op);

    if (plant == PLANT_SYNC_ERROR)
        result = 0;
    if (result < 0)
        program.has_failed = true; /* and stays so: what is on the disk is not known */
    else
        program.end += program.batch_bytes;
    end_batch(result);
}

static void see_written(struct vine_file_op *op)
{
    const int64_t result = vine_file_result(op);

    if (result < 0) {
        program.has_failed = true;
        end_batch(result);
    } else if (plant == PLANT_NO_SYNC) {
        program.end += program.batch_bytes;
        end_batch(0);
    } else {
        vine_file_op_init(op, see_synced);
        vine_file_sync(op, &program.file, world_chance(2) == 0 ? VINE_FILE_DATA_ONLY : 0);
    }
}

static void write_batch(void)
{
    if (program.is_writing || program.waiting == NULL)
        return;
    program.batch = program.waiting;
    program.waiting = NULL;
    program.is_writing = true;
    program.batch_bytes = 0;
    if (program.has_failed || program.end + 64 * 1024 > FILE_MAX) {
        end_batch(-EIO);
        return;
    }
    for (const struct append *append = program.batch; append != NULL; append = append->next)
        program.batch_bytes +=
            put_record(program.bytes + program.batch_bytes, program.count++, append->id);
    vine_file_op_init(&program.op, see_written);
    vine_file_write(&program.op, &program.file, program.bytes, program.batch_bytes, program.end);
}

static int64_t append_here(void *argument)
{
    struct append *const append = argument;

    append->reply = vine_core_call_defer();
    append->next = program.waiting;
    program.waiting = append;
    write_batch();
    return 0;
}

static void stop_when_over(struct vine_file_op *op)
{
    (void)op;
    vine_stop(0);
}

static int64_t one_over(void *nothing)
{
    (void)nothing;
    if (--program.appends_left == 0) {
        vine_file_op_init(&program.op, stop_when_over);
        vine_file_close(&program.op, &program.file);
    }
    return 0;
}

static void see_appended(struct vine_core_call *call);

static void append_next(struct append *append)
{
    if (append->left == 0 || outside.ids == IDS_MAX) {
        if (vine_submit_to(0, one_over, NULL) != 0)
            world_break("no place for a call");
        return;
    }
    append->left--;
    append->id = outside.ids++;
    append->is_under_way = true;
    vine_core_call(&append->call, 0, append_here, append, see_appended);
}

static void see_appended(struct vine_core_call *call)
{
    struct append *const append = VINE_CONTAINER_OF(call, struct append, call);

    world_holds(append->is_under_way, "an append has ended twice");
    append->is_under_way = false;
    if (vine_core_call_result(call) == 0)
        outside.is_acknowledged[append->id] = true;
    else
        append->left = 0;
    append_next(append);
}

static int64_t begin_append(void *append)
{
    append_next(append);
    return 0;
}

static void begin_appends(void)
{
    program.appends_left = 2 * world.core_count;
    for (uint32_t i = 0; i < program.appends_left; i++) {
        program.appends[i].left = (uint32_t)world_between(1, 12);
        if (vine_submit_to(i % world.core_count, begin_append, &program.appends[i]) != 0)
            world_break("no place for a call");
    }
}

/* ---- recovering ------------------------------------------------------------------------------ */

/* What is read is checked, and written to another file that takes the name of the first: after a
 * sync that failed, what a program can read may be nowhere but in memory. */
enum { OPEN, STAT, READ, CLOSE, MAKE, WRITE, SYNC, RENAME, SYNC_NAMES, DONE };

static void recover(struct vine_file_op *op);

static void begin_step(void)
{
    const int direct = program.is_direct ? O_DIRECT : 0;
    struct vine_file_op *const op = &program.op;
    struct vine_file *const file = &program.file;

    vine_file_op_init(op, recover);
    switch (program.step) {
    case OPEN:
        vine_file_open(op, file, NULL, "/log", O_RDWR | direct, 0);
        break;
    case STAT:
        vine_file_stat(op, file, &program.status);
        break;
    case READ:
        vine_file_read(op, file, program.bytes, program.status.size_bytes, 0);
        break;
    case CLOSE:
        vine_file_close(op, file);
        break;
    case MAKE:
        vine_file_open(op, file, NULL, "/log.new", O_RDWR | O_CREAT | O_TRUNC | direct, 0600);
        break;
    case WRITE:
        vine_file_write(op, file, program.bytes, program.end, 0);
        break;
    case SYNC:
    case SYNC_NAMES:
        vine_file_sync(op, file, 0);
        break;
    case RENAME:
        vine_file_rename(op, NULL, "/log.new", NULL, "/log", 0);
        break;
    default:
        begin_appends();
    }
}

/* A file that may not have all is made anew. Where that goes wrong for ever, as with a full disk,
 * there is no life. */
static void try_again(void)
{
    if (++program.tries < TRIES) {
        if (program.step > MAKE && program.step < RENAME)
            program.step = CLOSE;
        begin_step();
    } else if (program.file.is_open) {
        vine_file_op_init(&program.op, stop_when_over);
        vine_file_close(&program.op, &program.file);
    } else {
        vine_stop(0);
    }
}

static void recover(struct vine_file_op *op)
{
    const int64_t result = vine_file_result(op);

    if (program.step == OPEN && result == -ENOENT) {
        world_holds(!outside.is_acknowledged[0], "the log is gone");
        program.step = MAKE;
        begin_step();
        return;
    }
    if (result < 0) {
        if (program.step == SYNC_NAMES) {
            program.has_failed = true; /* nothing can be acknowledged in this life */
            program.step = DONE;
            begin_step();
        } else {
            try_again();
        }
        return;
    }
    if (program.step == READ)
        check(program.bytes, (uint64_t)result, &program.end, &program.count);
    program.step++;
    begin_step();
}

static void live(uint64_t seed, const struct world_options *options, bool is_cut_off)
{
    unsigned char *const bytes = malloc(FILE_MAX + 64 * 1024);

    memset(&program, 0, sizeof(program));
    program.bytes = bytes;
    world_open(seed, options);
    program.is_direct = world_chance(2) == 0;
    begin_step();
    if (is_cut_off)
        world_run_for(world_between(0, 20 * MS));
    /* An open for direct I/O has memory of its own, which a process takes with it; we stay. */
    while (is_cut_off && program.tries < TRIES && (program.step == OPEN || program.step == MAKE))
        world_run_for(10 * US);
    if (!is_cut_off)
        world_run();
    if (is_cut_off)
        world_crash();
    else
        world_close();
    free(bytes);
}

static void run(uint64_t seed)
{
    const bool is_calm = seed % 4 == 0;
    struct world_options options = {.core_count = (uint32_t)(1 + seed % 4)};

    if (!is_calm) {
        options.disk_short = 100;
        options.disk_interrupt = 20;
        options.disk_read_error = 20;
        options.disk_write_error = seed % 4 == 1 ? 30 : 0;
        options.disk_sync_error = seed % 4 == 2 ? 60 : 0;
        options.pause_chance = seed % 5 == 0 ? 10 : 0;
        options.disk_bytes = seed % 8 == 3 ? 8192 : 0;
    }
    memset(&outside, 0, sizeof(outside));
    for (uint32_t cycle = 0; cycle < CYCLES; cycle++)
        live(seed, &options, cycle + 1 < CYCLES && (seed >> cycle) % 3 != 0);
}

static void what_was_acknowledged_is_there_when_the_power_is_back(void **state)
{
    (void)state;
    plant = PLANT_NONE;
    world_try_seeds(run, RUNS);
}

static void a_seed_makes_the_same_trace_twice(void **state)
{
    (void)state;
    plant = PLANT_NONE;
    world_try_traces(run);
}

static void an_acknowledgement_without_a_sync_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_NO_SYNC;
    assert_true(world_finds(run, RUNS_PLANT));
}

static void a_failed_sync_that_is_taken_for_none_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_SYNC_ERROR;
    assert_true(world_finds(run, RUNS_PLANT));
}

static void a_recovery_that_checks_no_sum_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_NO_SUM;
    assert_true(world_finds(run, RUNS_PLANT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_is_there_when_the_power_is_back),
        cmocka_unit_test(a_seed_makes_the_same_trace_twice),
        cmocka_unit_test(an_acknowledgement_without_a_sync_is_found_out),
        cmocka_unit_test(a_failed_sync_that_is_taken_for_none_is_found_out),
        cmocka_unit_test(a_recovery_that_checks_no_sum_is_found_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
