/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=procedures links=streams links=runtime timeout=240 */
/* test: links=zlib links=libzstd */
/*
 * unzstd and gunzip as streams: what is no file, with the reason; files behind each other, cut
 * anywhere; bombs, windows, and who leaves.
 */
#include "../core/appliance/handlers.h"

#include <vine/stream.h>
#include <zlib.h>
#include <zstd.h>

#include "../procedures/procedures.h"
#include "../procedures/streams/streams.h"
#include "unit/procedures/sample.h"

#define INPUT_MAX ((1U << 19) + 7)

struct bytes {
    uint8_t *at;
    size_t size, room;
};

static struct vine_procedure_definition definitions[16];
static uint8_t input[INPUT_MAX];
static uint32_t workers; /* threads beside the core */

static void bytes_free(struct bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct bytes){0};
}

/* `more` is not of these bytes themselves. */
static void bytes_append(struct bytes *bytes, const void *more, size_t size)
{
    if (bytes->size + size > bytes->room) {
        bytes->room = 2 * (bytes->size + size) + 64;
        bytes->at = realloc(bytes->at, bytes->room);
        assert_non_null(bytes->at);
    }
    if (size > 0)
        memcpy(bytes->at + bytes->size, more, size);
    bytes->size += size;
}

static void *work(void *part)
{
    vine_appliance_work(part);
    return NULL;
}

static void serve_with(void (*run)(struct vine_pipe *pipe, struct application *application),
                       uint32_t count, uint64_t memory_max_bytes)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .memory_max_bytes = memory_max_bytes};
    pthread_t threads[4];
    uint64_t seed = 7;

    assert_true(vine_shipped_procedure_count <= 16 && workers <= 4);
    sample_fill(SAMPLE_TEXT, &seed, input, sizeof input);
    for (size_t i = 0; i < vine_shipped_procedure_count; i++)
        definitions[i] = *vine_streams_of(vine_shipped_procedures[i]);
    serve(definitions, vine_shipped_procedure_count, &options, 0);
    for (uint32_t i = 0; i < workers; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, served.part), 0);
    serve_applications(run, count);
    serve_until_over();
    for (uint32_t i = 0; i < workers; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    serve_no_more();
}

static struct vine_stream *stream_of(struct vine_pipe *pipe, const char *name)
{
    struct vine_stream *stream = NULL;

    assert_true(vine_procedure_describe(procedure_of(pipe, name))->has_streams);
    assert_false(vine_procedure_describe(procedure_of(pipe, name))->has_streams_only);
    assert_int_equal(vine_stream_open(pipe, procedure_of(pipe, name), NULL, &stream), 0);
    return stream;
}

/* Read what is there, or wait for it, at most `size` bytes. Returns 1: the end; 0; or an error,
 * -EAGAIN without time too. */
static int read_some(struct vine_stream *stream, size_t size, uint64_t timeout_ns,
                     struct bytes *made)
{
    static _Thread_local uint8_t piece[100000];
    size_t got = 0;
    const int error = vine_stream_read(stream, piece, size, timeout_ns, &got);

    if (error != 0)
        return error;
    bytes_append(made, piece, got);
    return got == 0;
}

/* Returns how it ended, which is the first error. */
static int expand(struct vine_stream *stream, const struct bytes *file, size_t piece,
                  struct bytes *made)
{
    size_t done = 0, part = 0;
    int error = 0;

    while (error == 0 && done < file->size) {
        const size_t left = file->size - done;

        error = vine_stream_write(stream, file->at + done, left < piece ? left : piece, LIMIT_NS,
                                  &part);
        done += error == 0 ? part : 0;
        if (error == -EAGAIN)
            error = read_some(stream, 100000, LIMIT_NS, made) < 0 ? vine_stream_error(stream) : 0;
    }
    if (error == 0)
        error = vine_stream_end(stream, LIMIT_NS);
    while (error == 0)
        error = read_some(stream, 100000, LIMIT_NS, made);
    return error == 1 ? 0 : error;
}

static void expect_expanded(struct vine_pipe *pipe, const char *name, const struct bytes *file,
                            size_t piece, const struct bytes *expected)
{
    struct vine_stream *const stream = stream_of(pipe, name);
    struct bytes made = {0};

    assert_int_equal(expand(stream, file, piece, &made), 0);
    assert_int_equal(vine_stream_error(stream), 0);
    assert_int_equal(made.size, expected->size);
    if (made.size > 0)
        assert_memory_equal(made.at, expected->at, made.size);
    bytes_free(&made);
    vine_stream_close(stream);
}

static void expect_refused(struct vine_pipe *pipe, const char *name, const struct bytes *file,
                           const char *reason)
{
    struct vine_stream *const stream = stream_of(pipe, name);
    struct bytes made = {0};

    assert_int_equal(expand(stream, file, 777, &made), -VINE_EDATA);
    assert_int_equal(vine_stream_error(stream), -VINE_EDATA);
    assert_string_equal(vine_stream_reason(stream), reason);
    bytes_free(&made);
    vine_stream_close(stream);
}

/* A file of one frame with a checksum, or of one member. */
static struct bytes packed(const char *expander, size_t size)
{
    struct bytes file = {.room = size + size / 10 + 1000};

    file.at = malloc(file.room);
    assert_non_null(file.at);
    if (strcmp(expander, "unzstd") == 0) {
        ZSTD_CCtx *const context = ZSTD_createCCtx();

        assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)));
        file.size = ZSTD_compress2(context, file.at, file.room, input, size);
        assert_false(ZSTD_isError(file.size));
        (void)ZSTD_freeCCtx(context);
    } else {
        z_stream stream = {.next_in = input, .avail_in = (uInt)size};

        assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
                         Z_OK);
        stream.next_out = file.at;
        stream.avail_out = (uInt)file.room;
        assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
        file.size = stream.total_out;
        (void)deflateEnd(&stream);
    }
    return file;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static const struct {
    const char *name, *what;
} kinds[] = {{"unzstd", "frame"}, {"gunzip", "member"}};

static void give_what_is_no_file(struct vine_pipe *pipe, struct application *application)
{
    char reason[128];

    (void)application;
    for (size_t i = 0; i < 2; i++) {
        struct bytes file = {0};

        (void)snprintf(reason, sizeof reason, "no %s begins at byte 0", kinds[i].what);
        expect_refused(pipe, kinds[i].name, &file, reason);
        bytes_append(&file, "hello, world", 12);
        expect_refused(pipe, kinds[i].name, &file, reason);
        bytes_free(&file);
    }
}

/* At some places: each byte would take long. */
static void give_what_was_cut(struct vine_pipe *pipe, struct application *application)
{
    char reason[128];

    (void)application;
    for (size_t i = 0; i < 2; i++) {
        struct bytes file = packed(kinds[i].name, 100000);
        const size_t whole = file.size;

        (void)snprintf(reason, sizeof reason, "the %s that begins at byte 0 has no end",
                       kinds[i].what);
        for (size_t size = 1; size < whole; size += size < 30 ? 4 : whole / 3) {
            file.size = size;
            expect_refused(pipe, kinds[i].name, &file, reason);
        }
        file.size = whole;
        file.size = whole + 20; /* which the room is larger than */
        memcpy(file.at + whole, file.at, 20);
        (void)snprintf(reason, sizeof reason, "the %s that begins at byte %zu has no end",
                       kinds[i].what, whole);
        expect_refused(pipe, kinds[i].name, &file, reason);
        bytes_free(&file);
    }
}

static void give_what_was_changed(struct vine_pipe *pipe, struct application *application)
{
    struct bytes zstd = packed("unzstd", 100000), gzip = packed("gunzip", 100000);

    (void)application;
    zstd.at[zstd.size - 1] ^= 1;
    expect_refused(pipe, "unzstd", &zstd,
                   "in the frame that begins at byte 0: Restored data doesn't match checksum");
    gzip.at[gzip.size - 8] ^= 1;
    expect_refused(pipe, "gunzip", &gzip,
                   "the member that begins at byte 0 has another checksum or size than it says");
    gzip.at[3] = 0xff;
    expect_refused(pipe, "gunzip", &gzip,
                   "the member that begins at byte 0 has a header that cannot be");
    bytes_free(&zstd);
    bytes_free(&gzip);
}

static void refuse_all(struct vine_pipe *pipe, struct application *application)
{
    give_what_is_no_file(pipe, application);
    give_what_was_cut(pipe, application);
    give_what_was_changed(pipe, application);
}

static void what_is_no_file_is_refused_and_the_reason_told(void **state)
{
    (void)state;
    workers = 1;
    serve_with(refuse_all, 2, 0);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void put_files_through(struct vine_pipe *pipe, struct application *application)
{
    static const uint8_t skippable[] = {0x53, 0x2a, 0x4d, 0x18, 3,    0, 0, 0, 1, 2,
                                        3,    0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0};
    static const size_t sizes[] = {0, 1, 3000, INPUT_MAX};
    static const size_t pieces[] = {1, 777, 1000000};
    const size_t piece = pieces[application->number % 3];

    for (size_t i = 0; i < 2; i++) {
        struct bytes all = {0}, expected = {0};

        for (size_t j = 0; j < (piece == 1 ? 3 : 4); j++) {
            struct bytes file = packed(kinds[i].name, sizes[j]);
            const struct bytes back = {.at = input, .size = sizes[j]};

            expect_expanded(pipe, kinds[i].name, &file, piece, &back);
            bytes_append(&all, file.at, file.size);
            if (i == 0)
                bytes_append(&all, skippable, sizeof skippable);
            bytes_append(&expected, input, sizes[j]);
            bytes_free(&file);
        }
        expect_expanded(pipe, kinds[i].name, &all, piece, &expected);
        if (i == 1) {
            bytes_append(&all, "\0\0\0garbage", 10);
            expect_expanded(pipe, kinds[i].name, &all, piece, &expected);
        }
        bytes_free(&all);
        bytes_free(&expected);
    }
}

static void files_behind_each_other_are_one(void **state)
{
    (void)state;
    workers = 2;
    serve_with(put_files_through, 3, 0);
}

static void they_are_without_workers(void **state)
{
    (void)state;
    workers = 0;
    serve_with(put_files_through, 2, 0);
}

/* ---- bombs and windows ----------------------------------------------------------------------- */

/* `size` zeros in one frame with a window of 2^`window_log` bytes. */
static struct bytes zeros(size_t size, int window_log)
{
    uint8_t *const none = calloc(1, size);
    ZSTD_CCtx *const context = ZSTD_createCCtx();
    struct bytes file = {.at = malloc(size / 100 + 1000), .room = size / 100 + 1000};
    ZSTD_inBuffer from = {none, size, 0};
    ZSTD_outBuffer to = {file.at, file.room, 0};

    assert_non_null(none);
    assert_non_null(file.at);
    assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log)));
    assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0)));
    assert_int_equal(ZSTD_compressStream2(context, &to, &from, ZSTD_e_end), 0);
    file.size = to.pos;
    (void)ZSTD_freeCCtx(context);
    free(none);
    return file;
}

#define BOMB_BYTES (32U << 20)

/* All of it is in before the first byte is read; what comes of it does not lie anywhere. */
static void set_off_a_bomb(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *const stream = stream_of(pipe, "unzstd");
    struct bytes file = zeros(BOMB_BYTES, 20);
    struct bytes made = {0};
    size_t done = 0, seen = 0, part = 0;
    int ended = 0;

    (void)application;
    assert_true(file.size < 100000);
    while (done < file.size) {
        assert_int_equal(
            vine_stream_write(stream, file.at + done, file.size - done, LIMIT_NS, &part), 0);
        done += part;
    }
    assert_int_equal(vine_stream_end(stream, LIMIT_NS), 0);
    while (ended == 0) {
        made.size = 0;
        ended = read_some(stream, 100000, LIMIT_NS, &made);
        seen += made.size;
    }
    assert_int_equal(ended, 1);
    assert_int_equal(seen, BOMB_BYTES);
    bytes_free(&made);
    bytes_free(&file);
    vine_stream_close(stream);
}

static void a_bomb_waits_for_its_reader(void **state)
{
    (void)state;
    workers = 1;
    serve_with(set_off_a_bomb, 1, 16U << 20);
}

static void ask_for_windows(struct vine_pipe *pipe, struct application *application)
{
    static const uint8_t larger[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x90}; /* 2^28, and no more */
    struct bytes small = packed("unzstd", 1000), large = zeros(33U << 20, 25);
    const struct bytes back = {.at = input, .size = 1000};
    struct bytes made = {0};

    (void)application;
    for (int i = 0; i < 3; i++) {
        struct vine_stream *const stream = stream_of(pipe, "unzstd");

        assert_int_equal(expand(stream, &large, 1000, &made), -VINE_EQUOTA);
        vine_stream_close(stream);
        /* What fits does: it is given back. */
        expect_expanded(pipe, "unzstd", &small, 1000, &back);
    }
    expect_refused(pipe, "unzstd",
                   &(struct bytes){.at = (uint8_t *)(uintptr_t)larger, .size = sizeof larger},
                   "the frame that begins at byte 0 has a window of 268435456 bytes, of at most "
                   "134217728");
    bytes_free(&made);
    bytes_free(&small);
    bytes_free(&large);
}

static void a_pipe_pays_for_windows(void **state)
{
    (void)state;
    workers = 1;
    serve_with(ask_for_windows, 1, 24U << 20);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* That nothing is left of them there is what serving waits for. */
static void cut_off(struct vine_pipe *pipe, struct application *application)
{
    for (size_t i = 0; i < 2; i++) {
        struct vine_stream *const stream = stream_of(pipe, kinds[i].name);
        struct bytes file = packed(kinds[i].name, 100000);
        size_t size = 0;

        assert_int_equal(vine_stream_write(stream, file.at, file.size / 2, LIMIT_NS, &size), 0);
        if (application->number == 0)
            vine_stream_cancel(stream);
        bytes_free(&file);
        vine_stream_close(stream);
    }
}

static void those_that_are_cut_off_leave_nothing(void **state)
{
    (void)state;
    workers = 2;
    serve_with(cut_off, 3, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_file_is_refused_and_the_reason_told),
        cmocka_unit_test(files_behind_each_other_are_one),
        cmocka_unit_test(they_are_without_workers),
        cmocka_unit_test(a_bomb_waits_for_its_reader),
        cmocka_unit_test(a_pipe_pays_for_windows),
        cmocka_unit_test(those_that_are_cut_off_leave_nothing),
    };

    return run_by_all_guards(tests);
}
