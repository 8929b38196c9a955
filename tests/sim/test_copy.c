/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=world links=runtime long=1200 */
/*
 * Files that are copied by streams, one a core, over core/file as it is.
 *
 * What may fail: reads and writes, with -EIO or half done; they are interrupted, short, slow; the
 * disk is full; some go through the I/O queue of another core; a copy is given up half way.
 *
 * What holds: each function is called once; where no call has told of an error the destination is
 * the source; what is told is what happened, and stands where it occurred: all before it came.
 */
#include "sim/world.h"

#include <vine/file.h>
#include <vine/file_stream.h>

#include "utils/container_of.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS       4000
#define RUNS_PLANT 400
#define SOURCE_MAX 200000

static enum { PLANT_NONE, PLANT_IGNORES, PLANT_OPEN } plant;

enum { OPEN_FROM, OPEN_TO, COPY, SYNC, CLOSE_FROM, CLOSE_TO, DONE };

struct copy {
    struct vine_file_op op;
    struct vine_file from, to;
    struct vine_input_stream input;
    struct vine_output_stream output;
    char from_path[16], to_path[16];
    unsigned char *source;
    uint64_t size, offset, length; /* of the source; what of it is copied */
    uint64_t copied;               /* handed over without an error */
    uint32_t number, step;
    int64_t error;
    bool is_called; /* of a call's function: it has to be, once */
    bool gives_up, has_given_up;
    int from_flags, to_flags;
};

static struct {
    struct copy copies[WORLD_CORES_MAX];
    uint32_t count, left;
    bool is_calm;
} program;

static void begin_step(struct copy *copy);
static void read_next(struct copy *copy);

static void begin_call(struct copy *copy)
{
    world_holds(!copy->is_called, "copy %u: a call before the end of the last", copy->number);
    copy->is_called = true;
}

static void end_call(struct copy *copy)
{
    world_holds(copy->is_called, "copy %u: a function is called twice", copy->number);
    copy->is_called = false;
}

static void note(struct copy *copy, int64_t error)
{
    if (error < 0 && copy->error == 0)
        copy->error = error;
}

/* ---- the streams ----------------------------------------------------------------------------- */

static void input_closed(struct vine_input_stream *stream)
{
    struct copy *const copy = VINE_CONTAINER_OF(stream, struct copy, input);

    end_call(copy);
    copy->step = copy->to.is_open ? SYNC : CLOSE_FROM;
    begin_step(copy);
}

static void end_input(struct copy *copy)
{
    begin_call(copy);
    vine_input_stream_close(&copy->input, input_closed);
}

static void output_closed(struct vine_output_stream *stream)
{
    struct copy *const copy = VINE_CONTAINER_OF(stream, struct copy, output);

    end_call(copy);
    world_holds(copy->error == 0 || vine_output_stream_result(stream) == 0 ||
                    vine_output_stream_result(stream) == copy->error || copy->has_given_up ||
                    vine_input_stream_result(&copy->input) < 0,
                "copy %u: an error and then another", copy->number);
    if (plant != PLANT_IGNORES)
        note(copy, vine_output_stream_result(stream));
    end_input(copy);
}

static void end_output(struct copy *copy)
{
    begin_call(copy);
    vine_output_stream_close(&copy->output, output_closed);
}

static void flushed(struct vine_output_stream *stream)
{
    struct copy *const copy = VINE_CONTAINER_OF(stream, struct copy, output);
    static unsigned char there[SOURCE_MAX + 4096];

    end_call(copy);
    note(copy, vine_output_stream_result(stream));
    if (copy->error != 0) {
        end_output(copy);
        return;
    }
    const int64_t size = world_disk_get(copy->to_path, there, sizeof(there));

    world_holds(size >= (int64_t)copy->copied, "copy %u: %llu bytes of %llu after a flush",
                copy->number, (unsigned long long)size, (unsigned long long)copy->copied);
    world_holds(memcmp(there, copy->source + copy->offset, copy->copied) == 0,
                "copy %u: other bytes after a flush", copy->number);
    read_next(copy);
}

static void written(struct vine_output_stream *stream)
{
    struct copy *const copy = VINE_CONTAINER_OF(stream, struct copy, output);

    end_call(copy);
    if (plant != PLANT_IGNORES)
        note(copy, vine_output_stream_result(stream));
    copy->has_given_up = copy->gives_up && world_chance(4) == 0;
    if (copy->error != 0 || copy->has_given_up) {
        end_output(copy);
    } else if (plant != PLANT_IGNORES && world_chance(8) == 0) {
        begin_call(copy);
        vine_output_stream_flush(stream, flushed);
    } else {
        read_next(copy);
    }
}

static void have_read(struct vine_input_stream *stream)
{
    struct copy *const copy = VINE_CONTAINER_OF(stream, struct copy, input);
    const int64_t size = vine_input_stream_result(stream);

    end_call(copy);
    note(copy, size);
    if (size <= 0) {
        end_output(copy);
        return;
    }
    world_holds(copy->copied + (uint64_t)size <= copy->length &&
                    memcmp(vine_input_stream_bytes(stream),
                           copy->source + copy->offset + copy->copied, (size_t)size) == 0,
                "copy %u: other bytes are read at %llu", copy->number,
                (unsigned long long)copy->copied);
    copy->copied += (uint64_t)size;
    begin_call(copy);
    vine_output_stream_write(&copy->output, vine_input_stream_bytes(stream), (size_t)size, written);
}

static void read_next(struct copy *copy)
{
    begin_call(copy);
    vine_input_stream_next(&copy->input, have_read);
}

static void begin_copy(struct copy *copy)
{
    const struct vine_file_stream_options in = {
        .size_bytes = sizeof(in),
        .buffer_bytes = world_between(1, 20000),
        .buffer_count = (uint32_t)world_between(1, 5),
        .offset = copy->offset,
        .length = copy->length < copy->size - copy->offset ? copy->length : 0,
    };
    const struct vine_file_stream_options out = {
        .size_bytes = sizeof(out),
        .buffer_bytes = world_between(1, 20000),
        .buffer_count = (uint32_t)world_between(1, 5),
    };

    if (vine_input_stream_open(&copy->input, &copy->from, &in) != 0 ||
        vine_output_stream_open(&copy->output, &copy->to, &out) != 0)
        world_break("no memory");
    read_next(copy);
}

/* ---- the files ------------------------------------------------------------------------------- */

static void see_step(struct vine_file_op *op)
{
    struct copy *const copy = VINE_CONTAINER_OF(op, struct copy, op);
    const int64_t result = vine_file_result(op);

    end_call(copy);
    note(copy, result);
    copy->step++;
    if (result < 0 && copy->step <= COPY)
        copy->step = CLOSE_FROM;
    begin_step(copy);
}

static int64_t one_over(void *nothing)
{
    (void)nothing;
    if (--program.left == 0)
        vine_stop(0);
    return 0;
}

static void check(const struct copy *copy)
{
    static unsigned char there[SOURCE_MAX + 4096];
    const bool is_whole = copy->error == 0 && !copy->has_given_up;
    const int64_t size = world_disk_get(copy->to_path, there, sizeof(there));

    world_trace(copy->number, (uint64_t)copy->error);
    world_holds(copy->error == 0 || (copy->error == -EIO && !program.is_calm) ||
                    (copy->error == -ENOSPC && world.options.disk_bytes != 0),
                "copy %u: error %lld", copy->number, (long long)copy->error);
    if (!is_whole)
        return;
    world_holds(size == (int64_t)copy->length, "copy %u: %lld bytes for %llu, and no error",
                copy->number, (long long)size, (unsigned long long)copy->length);
    world_holds(memcmp(there, copy->source + copy->offset, copy->length) == 0,
                "copy %u: other bytes, and no error", copy->number);
}

static void begin_step(struct copy *copy)
{
    struct vine_file_op *const op = &copy->op;

    if ((copy->step == CLOSE_FROM && !copy->from.is_open) ||
        (copy->step == SYNC && copy->error != 0))
        copy->step++;
    if (copy->step == CLOSE_FROM && !copy->from.is_open)
        copy->step++;
    if (copy->step == CLOSE_TO && (!copy->to.is_open || plant == PLANT_OPEN))
        copy->step++;
    if (copy->step == COPY) {
        begin_copy(copy);
        return;
    }
    if (copy->step == DONE) {
        check(copy);
        if (vine_submit_to(0, one_over, NULL) != 0)
            world_break("no place for a call");
        return;
    }
    vine_file_op_init(op, see_step);
    begin_call(copy);
    switch (copy->step) {
    case OPEN_FROM:
        vine_file_open(op, &copy->from, NULL, copy->from_path, O_RDONLY | copy->from_flags, 0);
        break;
    case OPEN_TO:
        vine_file_open(op, &copy->to, NULL, copy->to_path,
                       O_RDWR | O_CREAT | O_TRUNC | copy->to_flags, 0600);
        break;
    case SYNC:
        vine_file_sync(op, &copy->to, 0);
        break;
    case CLOSE_FROM:
        vine_file_close(op, &copy->from);
        break;
    default:
        vine_file_close(op, &copy->to);
    }
}

/* ---- a run ----------------------------------------------------------------------------------- */

static int64_t begin(void *copy)
{
    begin_step(copy);
    return 0;
}

static void prepare(struct copy *copy, uint32_t number)
{
    copy->number = number;
    copy->size = world_chance(3) == 0 ? world_chance(SOURCE_MAX) : world_chance(10000);
    copy->offset = world_chance(3) == 0 ? world_chance(copy->size + 1) : 0;
    copy->length = copy->size - copy->offset;
    if (copy->length > 1 && world_chance(3) == 0)
        copy->length = world_between(1, copy->length);
    copy->source = malloc(copy->size + 1);
    for (uint64_t at = 0; at < copy->size; at++)
        copy->source[at] = (unsigned char)(at * 13 + at / 4093 + number);
    copy->gives_up = !program.is_calm && world_chance(8) == 0;
    copy->from_flags = world_chance(2) == 0 ? O_DIRECT : 0;
    copy->to_flags = world_chance(2) == 0 ? O_DIRECT : 0;
    (void)snprintf(copy->from_path, sizeof(copy->from_path), "/from%u", number);
    (void)snprintf(copy->to_path, sizeof(copy->to_path), "/to%u", number);
    world_disk_put(copy->from_path, copy->source, copy->size);
}

static void run(uint64_t seed)
{
    struct world_options options = {.disk_short = 200, .disk_interrupt = 50};

    memset(&program, 0, sizeof(program));
    program.is_calm = seed % 3 == 0;
    if (!program.is_calm) {
        options.disk_read_error = seed % 2 == 0 ? 20 : 0;
        options.disk_write_error = seed % 3 == 1 ? 20 : 0;
        options.disk_sync_error = seed % 5 == 0 ? 100 : 0;
        options.disk_name_error = seed % 7 == 0 ? 50 : 0;
        options.disk_bytes = seed % 4 == 2 ? 300000 : 0;
        options.pause_chance = seed % 5 == 0 ? 10 : 0;
    }
    world_open(seed, &options);
    program.count = (uint32_t)world_between(1, world.core_count);
    program.left = program.count;
    for (uint32_t i = 0; i < program.count; i++) {
        prepare(&program.copies[i], i);
        if (vine_submit_to(i, begin, &program.copies[i]) != 0)
            world_break("no place for a call");
    }
    world_run();
    world_close();
    for (uint32_t i = 0; i < program.count; i++)
        free(program.copies[i].source);
}

static void a_copy_is_its_source_or_its_author_is_told(void **state)
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

static void an_error_that_nobody_looks_at_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_IGNORES;
    assert_true(world_finds(run, RUNS_PLANT));
}

static void a_file_that_nobody_closes_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_OPEN;
    assert_true(world_finds(run, RUNS_PLANT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_its_source_or_its_author_is_told),
        cmocka_unit_test(a_seed_makes_the_same_trace_twice),
        cmocka_unit_test(an_error_that_nobody_looks_at_is_found_out),
        cmocka_unit_test(a_file_that_nobody_closes_is_found_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
