/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Allocations that fail while files are opened, read, written and closed, one after the other until
 * none is left to fail: the operation that lacks memory says so, what is under way ends, and all of
 * it goes well the next time. On a core with an I/O queue, and on one that goes through another's.
 */
#include "file_tests.h"

#include <vine/file_stream.h>

#include "harness/failing_malloc.h"

#define FAILURES_MAX 1000
#define BYTES        300000

static unsigned char pattern[BYTES], got[BYTES];

static int make_folder(void **state)
{
    (void)state;
    snprintf(world.folder, sizeof(world.folder), "/tmp/vine-memory-XXXXXX");
    for (size_t i = 0; i < BYTES; i++)
        pattern[i] = (unsigned char)(i * 31 >> 3);
    return folder_make(world.folder);
}

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", world.folder, name);
    return path;
}

/* 0, or memory was short. */
static bool went_well(int64_t result, int64_t expected)
{
    if (result != -ENOMEM && result != expected)
        fail_msg("%lld, and not %lld", (long long)result, (long long)expected);
    return result == expected;
}

static bool write_and_read(int flags)
{
    struct vine_file file = {0};
    bool is_well;

    if (!went_well(AWAIT(vine_file_open, &file, NULL, path_of("file"),
                         O_RDWR | O_CREAT | O_TRUNC | flags, 0600),
                   0))
        return false;
    is_well = went_well(AWAIT(vine_file_write, &file, pattern, BYTES, 0), BYTES);
    memset(got, 0, sizeof(got));
    if (is_well)
        is_well = went_well(AWAIT(vine_file_read, &file, got, BYTES, 0), BYTES);
    if (is_well)
        assert_memory_equal(got, pattern, BYTES);
    close_file(&file);
    return is_well;
}

/* ---- streams --------------------------------------------------------------------------------- */

static bool stream_is_done;

static void on_output(struct vine_output_stream *stream)
{
    (void)stream;
    stream_is_done = true;
}

static void on_input(struct vine_input_stream *stream)
{
    (void)stream;
    stream_is_done = true;
}

#define STREAM(begin, ...)                                                                         \
    (stream_is_done = false, begin(__VA_ARGS__), world_run_until(&stream_is_done))

static bool stream_out(struct vine_file *file)
{
    struct vine_output_stream stream;
    bool is_well;

    if (!went_well(vine_output_stream_open(&stream, file, NULL), 0))
        return false;
    STREAM(vine_output_stream_write, &stream, pattern, BYTES, on_output);
    is_well = vine_output_stream_result(&stream) >= 0;
    STREAM(vine_output_stream_close, &stream, on_output);
    return vine_output_stream_result(&stream) >= 0 && is_well;
}

static bool stream_in(struct vine_file *file)
{
    struct vine_input_stream stream;
    size_t at = 0;
    int64_t size;

    if (!went_well(vine_input_stream_open(&stream, file, NULL), 0))
        return false;
    for (;;) {
        STREAM(vine_input_stream_next, &stream, on_input);
        size = vine_input_stream_result(&stream);
        if (size <= 0)
            break;
        assert_memory_equal(vine_input_stream_bytes(&stream), pattern + at, (size_t)size);
        at += (size_t)size;
    }
    STREAM(vine_input_stream_close, &stream, on_input);
    assert_true(size == 0 || size == -ENOMEM);
    return size == 0 && at == BYTES;
}

static bool stream_through(int flags)
{
    struct vine_file file = {0};
    bool is_well;

    if (!went_well(AWAIT(vine_file_open, &file, NULL, path_of("stream"),
                         O_RDWR | O_CREAT | O_TRUNC | flags, 0600),
                   0))
        return false;
    is_well = stream_out(&file) && stream_in(&file);
    close_file(&file);
    return is_well;
}

/* ---- each allocation ------------------------------------------------------------------------- */

static uint32_t working_core;

static void fail_each(bool (*work)(int flags), int flags)
{
    uint64_t nth = 1;
    uint32_t failed = 0;

    for (; nth < FAILURES_MAX; nth++) {
        const uint64_t before = vine__arena_injected_failures();

        world_open(2, 16);
        (void)vine__reactor_enter(world.reactors[working_core]);
        vine__arena_fail_nth_of_all(nth);
        failed += !work(flags);

        const bool has_failed = vine__arena_injected_failures() > before;

        vine__arena_fail_nth_of_all(0);
        assert_true(work(flags));
        world_close();
        if (!has_failed)
            break;
    }
    print_message("%llu allocations, of which %u were missed\n", (unsigned long long)nth - 1,
                  failed);
    assert_in_range(nth, 1, FAILURES_MAX - 1);
}

static void a_file_whose_memory_is_short_is_told(void **state)
{
    (void)state;
    for (working_core = 0; working_core < 2; working_core++) {
        fail_each(write_and_read, 0);
        fail_each(write_and_read, O_DIRECT);
    }
}

static void a_stream_whose_memory_is_short_is_told(void **state)
{
    (void)state;
    for (working_core = 0; working_core < 2; working_core++) {
        fail_each(stream_through, 0);
        fail_each(stream_through, O_DIRECT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_file_whose_memory_is_short_is_told, make_folder),
        cmocka_unit_test_setup(a_stream_whose_memory_is_short_is_told, make_folder),
    };

    return RUN_OVER_BOTH(tests);
}
