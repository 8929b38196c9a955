/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=procedures links=streams links=runtime */
/* test: links=zlib links=libzstd links=libcrypto */
/*
 * zstd, gzip and sha256 as streams: whole, for a slow reader, cut off, beyond the quota; and tasks
 * of their own, which are what they are without streams.
 */
#include "../core/appliance/handlers.h"

#include <openssl/evp.h>
#include <vine/stream.h>
#include <zlib.h>
#include <zstd.h>

#include "../procedures/procedures.h"
#include "../procedures/streams/streams.h"
#include "unit/procedures/sample.h"

#define CHUNK     32768U
#define INPUT_MAX ((2U << 20) + 7)
#define MADE_MAX  (INPUT_MAX + INPUT_MAX / 8 + 4096)

static struct vine_procedure_definition definitions[16];
static uint8_t input[INPUT_MAX];
static uint32_t workers; /* threads beside the core */

static void *work(void *part)
{
    vine_appliance_work(part);
    return NULL;
}

static void serve_with(void (*run)(struct vine_pipe *pipe, struct application *application),
                       uint32_t count, const struct vine_appliance_options *options)
{
    pthread_t threads[4];
    uint64_t seed = 7;

    assert_true(vine_shipped_procedure_count <= 16 && workers <= 4);
    sample_fill(SAMPLE_TEXT, &seed, input, sizeof input);
    for (size_t i = 0; i < vine_shipped_procedure_count; i++)
        definitions[i] = *vine_streams_of(vine_shipped_procedures[i]);
    serve(definitions, vine_shipped_procedure_count, options, 0);
    for (uint32_t i = 0; i < workers; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, served.part), 0);
    serve_applications(run, count);
    serve_until_over();
    for (uint32_t i = 0; i < workers; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    serve_no_more();
}

static struct vine_stream *stream_of(struct vine_pipe *pipe, const char *name, uint64_t level)
{
    const struct vine_stream_options options = {.size_bytes = sizeof options,
                                                .scalars = &level,
                                                .scalar_count = level > 0,
                                                .chunk_bytes = CHUNK};
    struct vine_stream *stream = NULL;

    assert_true(vine_procedure_describe(procedure_of(pipe, name))->has_streams);
    assert_int_equal(vine_stream_open(pipe, procedure_of(pipe, name), &options, &stream), 0);
    return stream;
}

/* ---- what comes out -------------------------------------------------------------------------- */

struct made {
    uint8_t *bytes;
    size_t size;
    bool is_whole;
};

/* Read what is there, or wait for it. Returns whether anything was. */
static bool read_some(struct vine_stream *stream, struct made *made, uint64_t timeout_ns)
{
    size_t size = 0;
    const int error = vine_stream_read(stream, made->bytes + made->size, MADE_MAX - made->size,
                                       timeout_ns, &size);

    if (error == -EAGAIN && timeout_ns == 0)
        return false;
    assert_int_equal(error, 0);
    made->size += size;
    made->is_whole = size == 0;
    return size > 0;
}

static void put_through(struct vine_stream *stream, size_t size, size_t piece, struct made *made)
{
    *made = (struct made){.bytes = malloc(MADE_MAX)};
    assert_non_null(made->bytes);
    for (size_t done = 0; done < size;) {
        const size_t left = size - done;
        size_t part = 0;
        const int error =
            vine_stream_write(stream, input + done, left < piece ? left : piece, LIMIT_NS, &part);

        assert_true(error == 0 || error == -EAGAIN);
        done += error == 0 ? part : 0;
        while (read_some(stream, made, error == 0 ? 0 : LIMIT_NS) && error == 0)
            continue;
    }
    assert_int_equal(vine_stream_end(stream, LIMIT_NS), 0);
    while (!made->is_whole)
        (void)read_some(stream, made, LIMIT_NS);
    assert_int_equal(vine_stream_error(stream), 0);
    vine_stream_close(stream);
}

static size_t expand_gzip(const struct made *made, uint8_t *to, size_t room)
{
    z_stream stream = {.next_in = made->bytes, .avail_in = (uInt)made->size};

    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    stream.next_out = to;
    stream.avail_out = (uInt)room;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(inflateEnd(&stream), Z_OK);
    return room - stream.avail_out;
}

static void expect_made_of(const char *name, struct made *made, size_t size)
{
    uint8_t *const back = malloc(INPUT_MAX + 1);
    size_t got;

    assert_non_null(back);
    if (strcmp(name, "sha256") == 0) {
        assert_int_equal(EVP_Digest(input, size, back, NULL, EVP_sha256(), NULL), 1);
        assert_int_equal(made->size, 32);
        assert_memory_equal(made->bytes, back, 32);
    } else {
        got = strcmp(name, "zstd") == 0 ? ZSTD_decompress(back, size + 1, made->bytes, made->size)
                                        : expand_gzip(made, back, size + 1);
        assert_int_equal(got, size);
        assert_memory_equal(back, input, size);
        assert_true(size < 100000 || made->size < size / 2);
    }
    free(back);
    free(made->bytes);
}

static const struct {
    const char *name;
    uint64_t level;
} kinds[] = {{"zstd", 0}, {"zstd", 1}, {"gzip", 0}, {"gzip", 3}, {"sha256", 0}};

#define KINDS (sizeof kinds / sizeof kinds[0])

static void put_all_through(struct vine_pipe *pipe, struct application *application)
{
    static const size_t sizes[] = {0, 1, 32, 100000, INPUT_MAX};
    struct made made;

    for (size_t i = 0; i < KINDS; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            put_through(stream_of(pipe, kinds[i].name, kinds[i].level), sizes[j],
                        application->number == 0 ? 1000000 : 777, &made);
            expect_made_of(kinds[i].name, &made, sizes[j]);
        }
}

static void all_that_goes_in_comes_out(void **state)
{
    (void)state;
    workers = 2;
    serve_with(put_all_through, 2, NULL);
}

static void it_does_so_without_workers(void **state)
{
    (void)state;
    workers = 0;
    serve_with(put_all_through, 1, NULL);
}

static void put_slowly_through(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *const stream = stream_of(pipe, "zstd", 19);
    struct made made = {.bytes = malloc(MADE_MAX)};
    uint64_t seed = 3;
    size_t done = 0;
    int error = 0;

    (void)application;
    assert_non_null(made.bytes);
    sample_fill(SAMPLE_RANDOM, &seed, input, sizeof input);
    /* Nobody reads, and so there is an end of what is taken. */
    while (error == 0) {
        size_t part = 0;

        assert_true(done < sizeof input);
        error = vine_stream_write(stream, input + done, CHUNK, VINE_NS_PER_SECOND, &part);
        done += error == 0 ? part : 0;
    }
    assert_true(error == -EAGAIN || error == -ETIMEDOUT);
    assert_int_equal(vine_stream_end(stream, LIMIT_NS), 0);
    while (!made.is_whole)
        (void)read_some(stream, &made, LIMIT_NS);
    vine_stream_close(stream);
    free(made.bytes);
}

static void who_does_not_read_is_not_written_for(void **state)
{
    (void)state;
    workers = 1;
    serve_with(put_slowly_through, 1, NULL);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* That nothing is left of them there is what serving waits for. */
static void cut_off(struct vine_pipe *pipe, struct application *application)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct vine_stream *const stream = stream_of(pipe, kinds[i].name, kinds[i].level);
        size_t size = 0;

        assert_int_equal(vine_stream_write(stream, input, 100000, LIMIT_NS, &size), 0);
        if (application->number == 0) {
            vine_stream_cancel(stream);
            assert_int_equal(vine_stream_error(stream), -VINE_ECANCELED);
        }
        vine_stream_close(stream);
    }
}

static void those_that_are_cut_off_leave_nothing(void **state)
{
    (void)state;
    workers = 2;
    serve_with(cut_off, 3, NULL);
}

/* 94 MB are beyond what the pipe may make its appliance hold. */
static void ask_for_too_much(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "zstd", 19);
    struct made made;
    size_t size = 0;
    uint8_t byte;

    (void)application;
    assert_int_equal(vine_stream_write(stream, input, 1, LIMIT_NS, &size), 0);
    assert_int_equal(vine_stream_read(stream, &byte, 1, LIMIT_NS, &size), -VINE_EQUOTA);
    vine_stream_close(stream);
    /* What fits does, again and again: it is given back. */
    for (uint32_t i = 0; i < 20; i++) {
        put_through(stream_of(pipe, "zstd", 1), 1000, 1000, &made);
        expect_made_of("zstd", &made, 1000);
    }
}

static void a_pipe_pays_for_what_its_streams_hold(void **state)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .memory_max_bytes = 32U << 20};

    (void)state;
    workers = 1;
    serve_with(ask_for_too_much, 1, &options);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static void use_tasks(struct vine_pipe *pipe, struct application *application)
{
    struct vine_session *const session = session_of(pipe, "sha256");
    struct vine_procedure *const procedure = procedure_of(pipe, "sha256");
    struct made made = {.bytes = malloc(MADE_MAX)};
    uint8_t digest[32], expected[32];
    struct issued issued;

    (void)application;
    issued = issue(pipe, "zstd", NULL, input, 200000, VINE_ZSTD_ROOM(200000), false);
    made.size = finish(&issued, 0, made.bytes, MADE_MAX);
    expect_made_of("zstd", &made, 200000);

    /* The digest of a session comes with its last task, as it does without streams. */
    for (uint32_t i = 0; i < 3; i++) {
        struct vine_data *data = NULL;
        struct vine_task *task = NULL;
        const struct vine_task_options options = {.size_bytes = sizeof options,
                                                  .inputs = &data,
                                                  .input_count = 1,
                                                  .session = session,
                                                  .session_last = i == 2};

        assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, 300000, &data), 0);
        assert_int_equal(vine_data_write(data, 0, input + i * 300000, 300000), 0);
        assert_int_equal(vine_task_issue(pipe, procedure, &options, &task), 0);
        assert_int_equal(vine_task_wait(task, LIMIT_NS), 0);
        assert_int_equal(vine_task_result(task, digest, sizeof digest), i == 2 ? 32 : 0);
        vine_task_free(task);
        vine_data_free(data);
    }
    assert_int_equal(EVP_Digest(input, 900000, expected, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(digest, expected, sizeof digest);
    vine_session_close(session);
}

static void tasks_are_what_they_are_without_streams(void **state)
{
    (void)state;
    workers = 1;
    serve_with(use_tasks, 2, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_goes_in_comes_out),
        cmocka_unit_test(it_does_so_without_workers),
        cmocka_unit_test(who_does_not_read_is_not_written_for),
        cmocka_unit_test(those_that_are_cut_off_leave_nothing),
        cmocka_unit_test(a_pipe_pays_for_what_its_streams_hold),
        cmocka_unit_test(tasks_are_what_they_are_without_streams),
    };

    return run_by_all_guards(tests);
}
