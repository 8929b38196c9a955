/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "file_tests.h"

#include <vine/file_stream.h>

#include <sys/stat.h>

#define BYTES_MAX (2 << 20)

static char folder_path[] = "/tmp/vine-stream-XXXXXX";
static char path[64];
static unsigned char bytes[BYTES_MAX];
static uint64_t random_state;
static bool is_done;
static uint32_t calls;        /* ends of what WAIT_FOR began: one each */
static uint32_t core_buffers; /* that this core has */

/* How many buffers the core has left: a stream gives back what it took. */
static uint32_t count_buffers(void)
{
    void *taken[64];
    uint32_t count = 0;

    while ((taken[count] = vine_file_buffer_get()) != NULL)
        count++;
    for (uint32_t i = 0; i < count; i++)
        vine_file_buffer_put(taken[i]);
    return count;
}

static int open_world(void **state)
{
    (void)state;
    world_open(1, 8);
    (void)snprintf(path, sizeof(path), "%s/file", folder_path);
    (void)unlink(path);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)next_random(&random_state);
    core_buffers = count_buffers();
    is_done = false;
    calls = 0;
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    assert_int_equal(count_buffers(), core_buffers);
    world_close();
    return 0;
}

/* Without O_DIRECT where the file system has none. */
static void open_file(struct vine_file *file, int flags)
{
    int64_t result;

    *file = (struct vine_file){0};
    result = AWAIT(vine_file_open, file, NULL, path, O_RDWR | O_CREAT | flags, 0600);
    if (result == -EINVAL && (flags & O_DIRECT) != 0)
        result =
            AWAIT(vine_file_open, file, NULL, path, O_RDWR | O_CREAT | (flags & ~O_DIRECT), 0600);
    assert_int_equal(result, 0);
}

static void open_pipe(struct vine_file *ret_reader, struct vine_file *ret_writer)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    vine_file_adopt(ret_reader, ends[0]);
    vine_file_adopt(ret_writer, ends[1]);
}

static void note_input(struct vine_input_stream *stream)
{
    (void)stream;
    calls++;
    is_done = true;
}

static void note_output(struct vine_output_stream *stream)
{
    (void)stream;
    calls++;
    is_done = true;
}

/* Begin and wait: an end does not come within the call, and comes once. */
#define WAIT_FOR(call)                                                                             \
    (assert_int_equal(calls, is_done), is_done = false, calls = 0, (call), assert_false(is_done),  \
     world_run_until(&is_done), assert_int_equal(calls, 1))

static int64_t next(struct vine_input_stream *stream)
{
    WAIT_FOR(vine_input_stream_next(stream, note_input));
    return vine_input_stream_result(stream);
}

static int64_t write_bytes(struct vine_output_stream *stream, const void *from, size_t size)
{
    WAIT_FOR(vine_output_stream_write(stream, from, size, note_output));
    return vine_output_stream_result(stream);
}

static int64_t flush(struct vine_output_stream *stream)
{
    WAIT_FOR(vine_output_stream_flush(stream, note_output));
    return vine_output_stream_result(stream);
}

static int64_t close_output(struct vine_output_stream *stream)
{
    WAIT_FOR(vine_output_stream_close(stream, note_output));
    return vine_output_stream_result(stream);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void impossible_options_are_refused(void **state)
{
    (void)state;
    const struct vine_file_stream_options wrong[] = {
        {.size_bytes = 3},
        {.size_bytes = sizeof(wrong[0]), .buffer_count = VINE_FILE_STREAM_BUFFERS_MAX + 1},
        {.size_bytes = sizeof(wrong[0]), .buffer_bytes = ((size_t)1 << 30) + 1},
        {.size_bytes = sizeof(wrong[0]), .offset = UINT64_MAX},
        {.size_bytes = sizeof(wrong[0]), .offset = 1, .length = INT64_MAX},
    };
    struct vine_input_stream input;
    struct vine_output_stream output;
    struct vine_file file;

    open_file(&file, 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(vine_input_stream_open(&input, &file, &wrong[i]), -EINVAL);
        assert_int_equal(vine_output_stream_open(&output, &file, &wrong[i]), -EINVAL);
    }
    close_file(&file);
}

static void what_has_no_places_is_streamed_from_where_it_stands(void **state)
{
    (void)state;
    const struct vine_file_stream_options options = {.size_bytes = sizeof(options), .offset = 1};
    struct vine_input_stream input;
    struct vine_output_stream output;
    struct vine_file reader, writer;

    open_pipe(&reader, &writer);
    assert_int_equal(vine_input_stream_open(&input, &reader, &options), -ESPIPE);
    assert_int_equal(vine_output_stream_open(&output, &writer, &options), -ESPIPE);
    close_file(&writer);
    close_file(&reader);
}

static void an_error_of_reading_comes_again_and_again(void **state)
{
    (void)state;
    struct vine_input_stream stream;
    struct vine_file folder = {0};

    assert_int_equal(AWAIT(vine_file_open, &folder, NULL, folder_path, O_RDONLY, 0), 0);
    assert_int_equal(vine_input_stream_open(&stream, &folder, NULL), 0);
    assert_int_equal(next(&stream), -EISDIR);
    assert_null(vine_input_stream_bytes(&stream));
    assert_int_equal(next(&stream), -EISDIR);
    WAIT_FOR(vine_input_stream_close(&stream, note_input));
    close_file(&folder);
}

static void the_first_error_of_writing_is_told_by_all_that_follows(void **state)
{
    (void)state;
    const struct vine_file_stream_options options = {
        .size_bytes = sizeof(options), .buffer_bytes = 4096, .buffer_count = 2};
    struct vine_output_stream stream;
    struct vine_file full = {0};

    assert_int_equal(AWAIT(vine_file_open, &full, NULL, "/dev/full", O_WRONLY, 0), 0);
    assert_int_equal(vine_output_stream_open(&stream, &full, &options), 0);
    assert_int_equal(write_bytes(&stream, bytes, 100), 0); /* it is behind */
    assert_int_equal(flush(&stream), -ENOSPC);
    assert_int_equal(write_bytes(&stream, bytes, 100), -ENOSPC);
    assert_int_equal(close_output(&stream), -ENOSPC);
    assert_int_equal(vine_output_stream_open(&stream, &full, &options), 0);
    assert_int_equal(write_bytes(&stream, bytes, 100000), -ENOSPC);
    assert_int_equal(close_output(&stream), -ENOSPC);
    assert_int_equal(vine_output_stream_open(&stream, &full, &options), 0);
    assert_int_equal(write_bytes(&stream, bytes, 5), 0);
    assert_int_equal(close_output(&stream), -ENOSPC);
    close_file(&full);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* All of [offset, offset + length) of a file of `size` bytes, view by view. */
static void check_reading(struct vine_file *file, size_t size,
                          const struct vine_file_stream_options *options)
{
    const uint64_t whole = options->offset < size ? size - options->offset : 0;
    const uint64_t expected =
        options->length != 0 && options->length < whole ? options->length : whole;
    struct vine_input_stream stream;
    uint64_t found = 0;
    int64_t result;

    assert_int_equal(vine_input_stream_open(&stream, file, options), 0);
    while ((result = next(&stream)) > 0) {
        assert_true(found + (uint64_t)result <= expected);
        assert_memory_equal(vine_input_stream_bytes(&stream), bytes + options->offset + found,
                            (size_t)result);
        found += (uint64_t)result;
    }
    assert_int_equal(result, 0);
    assert_int_equal(found, expected);
    assert_int_equal(next(&stream), 0);
    WAIT_FOR(vine_input_stream_close(&stream, note_input));
}

static struct vine_file_stream_options any_options(void)
{
    const struct vine_file_stream_options options = {
        .size_bytes = sizeof(options),
        .buffer_bytes = next_random(&random_state) % 100000,
        .buffer_count = (uint32_t)(next_random(&random_state) % 6),
        .offset = next_random(&random_state) % 3 == 0 ? 0 : next_random(&random_state) % 300000,
        .length = next_random(&random_state) % 2 == 0 ? 0 : next_random(&random_state) % 300000,
    };

    return options;
}

static void a_stream_is_the_files_bytes(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        const size_t size = next_random(&random_state) % 400000;
        const struct vine_file_stream_options options = any_options();
        struct vine_file file;

        open_file(&file, O_TRUNC | (round % 2 == 0 ? O_DIRECT : 0));
        assert_int_equal(AWAIT(vine_file_write, &file, bytes, size, 0), size);
        check_reading(&file, size, &options);
        close_file(&file);
    }
}

static void who_waits_is_read_ahead_further(void **state)
{
    (void)state;
    const struct vine_file_stream_options options = {
        .size_bytes = sizeof(options), .buffer_bytes = 4096, .buffer_count = 16};
    struct vine_input_stream stream;
    struct vine_file file;
    int64_t result;

    open_file(&file, O_TRUNC);
    assert_int_equal(AWAIT(vine_file_write, &file, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_int_equal(vine_input_stream_open(&stream, &file, &options), 0);
    assert_int_equal(stream.ahead, 0);
    do {
        result = next(&stream);
        assert_true(stream.ahead <= 16 && stream.window <= 16);
    } while (result > 0);
    assert_true(stream.window >= 2);
    WAIT_FOR(vine_input_stream_close(&stream, note_input));
    close_file(&file);
}

static void ask_again(struct vine_input_stream *stream)
{
    assert_int_equal(vine_input_stream_result(stream), 10);
    vine_input_stream_next(stream, note_input);
}

/* Both reads, of the last bytes and of what is beyond them, have ended before the first is told. */
static void the_end_is_told_once_though_more_was_read_ahead(void **state)
{
    const struct vine_file_stream_options options = {
        .size_bytes = sizeof(options), .buffer_bytes = 4096, .buffer_count = 4};
    struct vine_input_stream stream;
    struct vine_file file;

    (void)state;
    open_file(&file, 0);
    assert_int_equal(AWAIT(vine_file_write, &file, bytes, 4096 + 10, 0), 4096 + 10);
    assert_int_equal(vine_input_stream_open(&stream, &file, &options), 0);
    assert_int_equal(next(&stream), 4096);
    is_done = false;
    calls = 0;
    vine_input_stream_next(&stream, ask_again);
    while (vine__poller_pending(world.pollers[0]) > 0)
        (void)vine__poller_sleep(world.pollers[0], 256, 1000000);
    for (uint32_t i = 0; i < 10; i++)
        world_turn();
    assert_int_equal(calls, 1);
    assert_int_equal(vine_input_stream_result(&stream), 0);
    WAIT_FOR(vine_input_stream_close(&stream, note_input));
    close_file(&file);
}

static void closing_gives_up_what_is_being_read_ahead(void **state)
{
    (void)state;
    struct vine_file file;

    open_file(&file, O_TRUNC | O_DIRECT);
    assert_int_equal(AWAIT(vine_file_write, &file, bytes, sizeof(bytes), 0), sizeof(bytes));
    for (int views = 0; views < 6; views++) {
        struct vine_input_stream stream;

        assert_int_equal(vine_input_stream_open(&stream, &file, NULL), 0);
        for (int i = 0; i < views; i++)
            assert_true(next(&stream) > 0);
        WAIT_FOR(vine_input_stream_close(&stream, note_input));
        assert_int_equal(file.pending, 0);
    }
    close_file(&file);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void check_file(size_t size)
{
    static unsigned char found[BYTES_MAX];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, size);
    assert_int_equal(read(fd, found, sizeof(found)), size);
    assert_memory_equal(found, bytes, size);
    (void)close(fd);
}

static void what_is_handed_over_is_in_the_file_after_a_flush(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        const struct vine_file_stream_options options = any_options();
        struct vine_output_stream stream;
        struct vine_file file;
        size_t size = options.offset;

        open_file(&file, O_TRUNC | (round % 2 == 0 ? O_DIRECT : 0));
        assert_int_equal(AWAIT(vine_file_write, &file, bytes, size, 0), size);
        assert_int_equal(vine_output_stream_open(&stream, &file, &options), 0);
        for (int i = 0; i < 20; i++) {
            const uint64_t most = next_random(&random_state) % 4 == 0 ? 70000 : 3000;
            const size_t more = next_random(&random_state) % most;

            assert_int_equal(write_bytes(&stream, bytes + size, more), 0);
            size += more;
            if (next_random(&random_state) % 4 == 0) {
                assert_int_equal(flush(&stream), 0);
                check_file(size);
            }
        }
        assert_int_equal(close_output(&stream), 0);
        check_file(size);
        close_file(&file);
    }
}

/* As a program goes on: from within the function of the call before. */
static struct {
    struct vine_output_stream stream;
    size_t at;
    bool is_asked;
    bool is_done;
} chain;

static void chain_on(struct vine_output_stream *stream)
{
    assert_true(chain.is_asked);
    assert_int_equal(vine_output_stream_result(stream), 0);
    chain.is_asked = chain.at < sizeof(bytes);
    chain.is_done = !chain.is_asked;
    if (!chain.is_asked)
        return;
    const size_t left = sizeof(bytes) - chain.at;
    const size_t some = 1 + next_random(&random_state) % 9000;
    const size_t now = some < left ? some : left;

    chain.at += now;
    vine_output_stream_write(stream, bytes + chain.at - now, now, chain_on);
}

/* Also where the end of a buffer comes while that of a call is on its way. */
static void each_call_ends_once(void **state)
{
    (void)state;
    const struct vine_file_stream_options options = {
        .size_bytes = sizeof(options), .buffer_bytes = 4096, .buffer_count = 2};
    struct vine_file file;

    open_file(&file, O_TRUNC);
    chain.at = 0;
    chain.is_asked = true;
    chain.is_done = false;
    assert_int_equal(vine_output_stream_open(&chain.stream, &file, &options), 0);
    vine_output_stream_flush(&chain.stream, chain_on);
    world_run_until(&chain.is_done);
    assert_int_equal(close_output(&chain.stream), 0);
    check_file(sizeof(bytes));
    close_file(&file);
}

static void a_write_waits_when_all_buffers_are_on_their_way(void **state)
{
    (void)state;
    const struct vine_file_stream_options options = {
        .size_bytes = sizeof(options), .buffer_bytes = 4096, .buffer_count = 2};
    struct vine_output_stream stream;
    struct vine_file file;

    open_file(&file, O_TRUNC);
    assert_int_equal(vine_output_stream_open(&stream, &file, &options), 0);
    is_done = false;
    vine_output_stream_write(&stream, bytes, sizeof(bytes), note_output);
    calls = 0;
    while (!is_done) {
        assert_true(stream.under_way <= 2);
        world_turn();
    }
    assert_int_equal(vine_output_stream_result(&stream), 0);
    assert_int_equal(close_output(&stream), 0);
    check_file(sizeof(bytes));
    close_file(&file);
}

/* ---- what has no places ---------------------------------------------------------------------- */

static bool is_written;

static void note_written(struct vine_output_stream *stream)
{
    (void)stream;
    is_written = true;
}

/* More than it holds, so that it takes a part of what is written, and gives what it has. */
static void all_that_goes_into_a_pipe_comes_out_in_its_order(void **state)
{
    (void)state;
    const struct vine_file_stream_options writing = {
        .size_bytes = sizeof(writing), .buffer_bytes = 200000, .buffer_count = 4};
    const struct vine_file_stream_options reading = {
        .size_bytes = sizeof(reading), .buffer_bytes = 8192, .buffer_count = 4};
    struct vine_input_stream input;
    struct vine_output_stream output;
    struct vine_file reader, writer;
    uint64_t found = 0;

    open_pipe(&reader, &writer);
    assert_int_equal(vine_input_stream_open(&input, &reader, &reading), 0);
    assert_int_equal(vine_output_stream_open(&output, &writer, &writing), 0);
    /* A short read is not the end of it. */
    assert_int_equal(write_bytes(&output, bytes, 5), 0);
    assert_int_equal(flush(&output), 0);
    assert_int_equal(next(&input), 5);
    is_written = false;
    vine_output_stream_write(&output, bytes, sizeof(bytes), note_written);
    while (!is_written) {
        const int64_t result = next(&input);

        assert_true(result > 0 && found + (uint64_t)result <= sizeof(bytes));
        assert_memory_equal(vine_input_stream_bytes(&input), bytes + found, (size_t)result);
        found += (uint64_t)result;
    }
    is_written = false;
    vine_output_stream_close(&output, note_written);
    while (found < sizeof(bytes)) {
        const int64_t result = next(&input);

        assert_true(result > 0 && found + (uint64_t)result <= sizeof(bytes));
        assert_memory_equal(vine_input_stream_bytes(&input), bytes + found, (size_t)result);
        found += (uint64_t)result;
    }
    world_run_until(&is_written);
    assert_int_equal(vine_output_stream_result(&output), 0);
    close_file(&writer);
    assert_int_equal(next(&input), 0);
    WAIT_FOR(vine_input_stream_close(&input, note_input));
    close_file(&reader);
}

static void a_stream_over_a_pipe_ends_at_its_length(void **state)
{
    (void)state;
    const struct vine_file_stream_options options = {.size_bytes = sizeof(options), .length = 7};
    struct vine_input_stream input;
    struct vine_file reader, writer;

    open_pipe(&reader, &writer);
    assert_int_equal(vine_input_stream_open(&input, &reader, &options), 0);
    assert_int_equal(AWAIT(vine_file_write, &writer, bytes, 5, VINE_FILE_STREAM), 5);
    assert_int_equal(next(&input), 5);
    assert_int_equal(AWAIT(vine_file_write, &writer, bytes + 5, 5, VINE_FILE_STREAM), 5);
    assert_int_equal(next(&input), 2);
    assert_memory_equal(vine_input_stream_bytes(&input), bytes + 5, 2);
    assert_int_equal(next(&input), 0);
    WAIT_FOR(vine_input_stream_close(&input, note_input));
    close_file(&writer);
    close_file(&reader);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest streams[] = {
        IN_A_WORLD(impossible_options_are_refused),
        IN_A_WORLD(what_has_no_places_is_streamed_from_where_it_stands),
        IN_A_WORLD(an_error_of_reading_comes_again_and_again),
        IN_A_WORLD(the_first_error_of_writing_is_told_by_all_that_follows),
        IN_A_WORLD(a_stream_is_the_files_bytes),
        IN_A_WORLD(who_waits_is_read_ahead_further),
        IN_A_WORLD(the_end_is_told_once_though_more_was_read_ahead),
        IN_A_WORLD(closing_gives_up_what_is_being_read_ahead),
        IN_A_WORLD(what_is_handed_over_is_in_the_file_after_a_flush),
        IN_A_WORLD(each_call_ends_once),
        IN_A_WORLD(a_write_waits_when_all_buffers_are_on_their_way),
        IN_A_WORLD(all_that_goes_into_a_pipe_comes_out_in_its_order),
        IN_A_WORLD(a_stream_over_a_pipe_ends_at_its_length),
    };

    random_state = choose_seed();
    if (folder_make(folder_path) != 0)
        return 1;
    return RUN_OVER_BOTH(streams);
}
