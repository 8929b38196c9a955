/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=procedures links=zlib links=libzstd */
/*
 * unzstd and gunzip: malformed input, bombs, and files cut into chunks with little room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/procedures/codec.h"

static struct bytes compressed(const struct codec *codec, const uint8_t *input, size_t size)
{
    struct bytes made = {0};

    assert_int_equal(compress_whole(codec, 1, input, size, &made), 0);
    return made;
}

static void expect_whole(const struct codec *codec, const struct bytes *file, size_t room,
                         int expected)
{
    struct bytes back = {0};

    assert_int_equal(expand_whole(codec, file->at, file->size, room, &back, NULL), expected);
    bytes_free(&back);
}

static void expect_chunks(const struct codec *codec, const struct bytes *file, int expected)
{
    struct bytes back = {0};
    uint64_t seed = 77;

    assert_int_equal(
        expand_in_chunks(codec, file->at, file->size, 64, 1000, INT64_MAX, &seed, &back), expected);
    bytes_free(&back);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void an_empty_file_is_malformed(void **context)
{
    static uint8_t place[1];
    const struct bytes nothing = {.at = place};

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        expect_whole(&codecs[index], &nothing, 100, -VINE_EDATA);
        expect_chunks(&codecs[index], &nothing, -VINE_EDATA);
    }
}

static void every_truncation_is_malformed(void **context)
{
    uint8_t *input = sample_make(SAMPLE_TEXT, 1, 400);

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        struct bytes file = compressed(&codecs[index], input, 400);
        const size_t whole = file.size;

        for (file.size = 0; file.size < whole; file.size++) {
            expect_whole(&codecs[index], &file, 4000, -VINE_EDATA);
            expect_chunks(&codecs[index], &file, -VINE_EDATA);
        }
        bytes_free(&file);
    }
    free(input);
}

/* Both formats carry a checksum; only bytes that say nothing of the content may change (in gzip's
 * header: time, extra flags, system). */
static void every_flipped_bit_of_the_content_is_noticed(void **context)
{
    uint8_t *input = sample_make(SAMPLE_TEXT, 2, 300);

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        struct bytes file = compressed(&codecs[index], input, 300);

        for (size_t bit = 0; bit < 8 * file.size; bit++) {
            struct bytes whole = {0}, chunks = {0};
            uint64_t seed = bit + 1;
            int status[2];

            file.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
            status[0] = expand_whole(&codecs[index], file.at, file.size, 100000, &whole, NULL);
            status[1] = expand_in_chunks(&codecs[index], file.at, file.size, 64, 1000, INT64_MAX,
                                         &seed, &chunks);
            assert_true(status[0] == 0 || status[0] == -VINE_EDATA || status[0] == -VINE_EOVERFLOW);
            if (status[0] == 0) {
                assert_int_equal(whole.size, 300);
                assert_memory_equal(whole.at, input, 300);
            }
            if (status[0] == 0 || status[1] == 0) {
                assert_int_equal(status[0], status[1]);
                assert_memory_equal(whole.at, chunks.at, whole.size);
            }
            bytes_free(&whole);
            bytes_free(&chunks);
            file.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        bytes_free(&file);
    }
    free(input);
}

static void random_bytes_are_malformed(void **context)
{
    uint64_t seed = 3;

    (void)context;
    for (unsigned round = 0; round < 2000; round++) {
        struct bytes file = {.size = 1 + sample_below(&seed, 200)};

        file.at = sample_make(SAMPLE_RANDOM, seed, file.size);
        for (size_t index = 0; index < CODEC_COUNT; index++) {
            expect_whole(&codecs[index], &file, 1000, -VINE_EDATA);
            expect_chunks(&codecs[index], &file, -VINE_EDATA);
        }
        bytes_free(&file);
    }
}

static void a_bomb_fills_no_more_than_its_room(void **context)
{
    uint8_t *input = sample_make(SAMPLE_ZEROS, 1, 16 << 20);

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        struct bytes file = compressed(&codecs[index], input, 16 << 20);
        struct fake_session session;
        struct vine_call call;

        expect_whole(&codecs[index], &file, 4096, -VINE_EOVERFLOW);
        assert_int_equal(fake_session_begin(&session, shipped(codecs[index].expander), INT64_MAX),
                         0);
        fake_call_init(&call, shipped(codecs[index].expander), file.at, file.size, 4096);
        assert_int_equal(fake_call_run_in(&call, &session, false), 0);
        assert_int_equal(call.output_size, 4096);
        assert_true(progress_of(&call).flags & VINE_EXPAND_MORE);
        fake_call_fini(&call);
        fake_session_end(&session);
        bytes_free(&file);
    }
    free(input);
}

/* A frame of a few bytes that asks for a window of 128 MiB. */
static void a_window_beyond_the_quota_is_refused(void **context)
{
    static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00};
    static const uint8_t beyond[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 18 << 3, 0x01, 0x00, 0x00};
    struct bytes back = {0};
    uint64_t seed = 1;

    (void)context;
    assert_int_equal(
        expand_in_chunks(&codecs[0], frame, sizeof(frame), 64, 64, 64 << 20, &seed, &back),
        -VINE_EQUOTA);
    assert_int_equal(
        expand_in_chunks(&codecs[0], frame, sizeof(frame), 64, 64, 160 << 20, &seed, &back), 0);
    assert_int_equal(
        expand_in_chunks(&codecs[0], beyond, sizeof(beyond), 64, 64, INT64_MAX, &seed, &back),
        -VINE_EDATA);
    assert_int_equal(expand_in_chunks(&codecs[0], frame, sizeof(frame), 64, 64, 0, &seed, &back),
                     -VINE_EQUOTA);
    bytes_free(&back);
}

static void formats_of_zstd_before_2016_are_refused(void **context)
{
    (void)context;
    for (uint8_t version = 0x22; version <= 0x27; version++) {
        const uint8_t frame[] = {version, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0};
        struct bytes file = {0};

        bytes_append(&file, frame, sizeof(frame));
        expect_whole(&codecs[0], &file, 100, -VINE_EDATA);
        expect_chunks(&codecs[0], &file, -VINE_EDATA);
        bytes_free(&file);
    }
}

static void the_last_task_must_take_all_and_end_the_file(void **context)
{
    uint8_t *input = sample_make(SAMPLE_TEXT, 5, 50000);

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        struct bytes file = compressed(&codecs[index], input, 50000);
        struct fake_session session;
        struct vine_call call;

        assert_int_equal(fake_session_begin(&session, shipped(codecs[index].expander), INT64_MAX),
                         0);
        fake_call_init(&call, shipped(codecs[index].expander), file.at, file.size, 100);
        assert_int_equal(fake_call_run_in(&call, &session, true), -VINE_EOVERFLOW);
        fake_call_fini(&call);
        fake_session_end(&session);
        assert_int_equal(fake_session_begin(&session, shipped(codecs[index].expander), INT64_MAX),
                         0);
        fake_call_init(&call, shipped(codecs[index].expander), file.at, file.size - 1, 50000);
        assert_int_equal(fake_call_run_in(&call, &session, true), -VINE_EDATA);
        fake_call_fini(&call);
        fake_session_end(&session);
        bytes_free(&file);
    }
    free(input);
}

/* ---- what must work -------------------------------------------------------------------------- */

static void the_exact_room_is_enough(void **context)
{
    static const size_t sizes[] = {0, 1, 5000, 131072, (4 << 20) + 1};

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++)
        for (size_t at = 0; at < sizeof(sizes) / sizeof(sizes[0]); at++)
            for (unsigned kind = 0; kind < SAMPLE_KINDS; kind++) {
                uint8_t *input = sample_make(kind, 6, sizes[at]);
                struct bytes file = compressed(&codecs[index], input, sizes[at]);
                struct bytes back = {0};

                assert_int_equal(
                    expand_whole(&codecs[index], file.at, file.size, sizes[at], &back, NULL), 0);
                assert_int_equal(back.size, sizes[at]);
                if (back.size > 0) {
                    assert_memory_equal(back.at, input, sizes[at]);
                    expect_whole(&codecs[index], &file, sizes[at] - 1, -VINE_EOVERFLOW);
                }
                bytes_free(&back);
                bytes_free(&file);
                free(input);
            }
}

static void chunks_give_the_same_file_as_one_piece(void **context)
{
    uint64_t seed = 21;

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++)
        for (unsigned round = 0; round < 120; round++) {
            const size_t size = sample_below(&seed, round % 10 == 0 ? 2 << 20 : 30000);
            uint8_t *input = sample_make(round % SAMPLE_KINDS, seed, size);
            struct bytes file = {0}, back = {0};
            size_t at = 0;

            /* Several frames, some made in sessions, which end blocks anywhere. */
            do {
                const size_t part = sample_below(&seed, size - at + 1);

                if (round % 2 == 0)
                    assert_int_equal(compress_whole(&codecs[index], 1, input + at, part, &file), 0);
                else
                    assert_int_equal(compress_in_chunks(&codecs[index], 1, input + at, part,
                                                        part / 3 + 1, &seed, &file),
                                     0);
                at += part;
            } while (at < size);
            assert_int_equal(expand_in_chunks(&codecs[index], file.at, file.size,
                                              1 + sample_below(&seed, file.size),
                                              1 + sample_below(&seed, size + 100), INT64_MAX, &seed,
                                              &back),
                             0);
            assert_int_equal(back.size, size);
            if (size > 0)
                assert_memory_equal(back.at, input, size);
            bytes_free(&back);
            bytes_free(&file);
            free(input);
        }
}

static void one_byte_at_a_time_into_one_byte_of_room(void **context)
{
    uint8_t *input = sample_make(SAMPLE_TEXT, 8, 3000);
    uint64_t seed = 22;

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        struct bytes file = compressed(&codecs[index], input, 3000), back = {0};

        assert_int_equal(
            expand_in_chunks(&codecs[index], file.at, file.size, 1, 1, INT64_MAX, &seed, &back), 0);
        assert_int_equal(back.size, 3000);
        assert_memory_equal(back.at, input, 3000);
        bytes_free(&back);
        bytes_free(&file);
    }
    free(input);
}

static void skippable_frames_are_skipped(void **context)
{
    static const uint8_t skippable[] = {0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z'};
    struct bytes file = {0}, back = {0};
    uint64_t seed = 23;

    (void)context;
    bytes_append(&file, skippable, sizeof(skippable));
    assert_int_equal(compress_whole(&codecs[0], 1, (const uint8_t *)"abc", 3, &file), 0);
    bytes_append(&file, skippable, sizeof(skippable));
    assert_int_equal(expand_whole(&codecs[0], file.at, file.size, 3, &back, NULL), 0);
    assert_int_equal(back.size, 3);
    bytes_free(&back);
    assert_int_equal(
        expand_in_chunks(&codecs[0], file.at, file.size, 5, 5, INT64_MAX, &seed, &back), 0);
    assert_int_equal(back.size, 3);
    bytes_free(&back);
    file.size--;
    expect_whole(&codecs[0], &file, 3, -VINE_EDATA);
    expect_chunks(&codecs[0], &file, -VINE_EDATA);
    bytes_free(&file);
}

static void zstd_refuses_what_follows_the_last_frame(void **context)
{
    struct bytes file = {0};

    (void)context;
    assert_int_equal(compress_whole(&codecs[0], 1, (const uint8_t *)"abc", 3, &file), 0);
    bytes_append(&file, "\0\0\0\0\0", 5);
    expect_whole(&codecs[0], &file, 100, -VINE_EDATA);
    expect_chunks(&codecs[0], &file, -VINE_EDATA);
    bytes_free(&file);
}

/* What the gzip program says: its exit code 2 is a warning, 1 a file cut short. */
static void what_follows_the_last_member_is_treated_as_gzip_does(void **context)
{
    static const struct {
        const char *tail;
        size_t size;
        int status;
        uint64_t flags;
    } cases[] = {
        {"\0", 1, 0, VINE_EXPAND_ENDED},
        {"\0\0\0\0", 4, 0, VINE_EXPAND_ENDED},
        {"\0\0x", 3, 0, VINE_EXPAND_ENDED | VINE_EXPAND_GARBAGE},
        {"garbage", 7, 0, VINE_EXPAND_ENDED | VINE_EXPAND_GARBAGE},
        {"\x1fx", 2, 0, VINE_EXPAND_ENDED | VINE_EXPAND_GARBAGE},
        {"\x1f", 1, -VINE_EDATA, 0},
        {"x", 1, -VINE_EDATA, 0},
        {"\x1f\x8b", 2, -VINE_EDATA, 0},
        {"\x1f\x8b\x09", 3, -VINE_EDATA, 0},
    };

    (void)context;
    for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
        struct bytes file = {0}, back = {0};
        uint64_t flags = 0, seed = 24;

        assert_int_equal(compress_whole(&codecs[1], 1, (const uint8_t *)"abc", 3, &file), 0);
        bytes_append(&file, cases[index].tail, cases[index].size);
        assert_int_equal(expand_whole(&codecs[1], file.at, file.size, 3, &back, &flags),
                         cases[index].status);
        assert_int_equal(flags, cases[index].flags);
        bytes_free(&back);
        assert_int_equal(
            expand_in_chunks(&codecs[1], file.at, file.size, 3, 5, INT64_MAX, &seed, &back),
            cases[index].status);
        if (cases[index].status == 0)
            assert_memory_equal(back.at, "abc", 3);
        bytes_free(&back);
        bytes_free(&file);
    }
}

/* zlib writes headers that our gzip does not. */
static void headers_with_every_field_are_understood(void **context)
{
    (void)context;
    for (unsigned fields = 0; fields < 16; fields++) {
        gz_header header = {.os = 3, .time = 12345, .hcrc = fields & 1};
        z_stream stream = {0};
        struct bytes file = {.at = malloc(1000), .room = 1000}, back = {0};
        uint64_t seed = fields + 1;

        header.name = (Bytef *)(uintptr_t)(fields & 2 ? "name" : NULL);
        header.comment = (Bytef *)(uintptr_t)(fields & 4 ? "a comment" : NULL);
        header.extra = (Bytef *)(uintptr_t)(fields & 8 ? "extra" : NULL);
        header.extra_len = fields & 8 ? 5 : 0;
        assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflateSetHeader(&stream, &header), Z_OK);
        stream.next_in = (Bytef *)(uintptr_t) "content";
        stream.avail_in = 7;
        stream.next_out = file.at;
        stream.avail_out = 1000;
        assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
        file.size = 1000 - stream.avail_out;
        deflateEnd(&stream);
        assert_int_equal(expand_whole(&codecs[1], file.at, file.size, 7, &back, NULL), 0);
        assert_memory_equal(back.at, "content", 7);
        bytes_free(&back);
        assert_int_equal(
            expand_in_chunks(&codecs[1], file.at, file.size, 2, 5, INT64_MAX, &seed, &back), 0);
        assert_memory_equal(back.at, "content", 7);
        bytes_free(&back);
        if (fields & 1) { /* the header's own sum */
            file.at[5] ^= 1;
            expect_whole(&codecs[1], &file, 7, -VINE_EDATA);
        }
        bytes_free(&file);
    }
}

static void unknown_header_flags_are_refused(void **context)
{
    (void)context;
    for (unsigned bit = 5; bit < 8; bit++) {
        struct bytes file = compressed(&codecs[1], (const uint8_t *)"abc", 3);

        file.at[3] |= (uint8_t)(1u << bit);
        expect_whole(&codecs[1], &file, 10, -VINE_EDATA);
        bytes_free(&file);
    }
}

static void a_session_that_is_given_up_leaks_nothing(void **context)
{
    uint8_t *input = sample_make(SAMPLE_TEXT, 9, 50000);

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        struct bytes file = compressed(&codecs[index], input, 50000);
        struct fake_session session;
        struct vine_call call;

        assert_int_equal(fake_session_begin(&session, shipped(codecs[index].expander), INT64_MAX),
                         0);
        fake_call_init(&call, shipped(codecs[index].expander), file.at, file.size / 2, 100);
        assert_int_equal(fake_call_run_in(&call, &session, false), 0);
        fake_call_fini(&call);
        fake_session_end(&session);
        bytes_free(&file);
    }
    free(input);
}

static void a_cancel_is_seen(void **context)
{
    uint8_t *input = sample_make(SAMPLE_ZEROS, 1, 16 << 20);

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        struct bytes file = compressed(&codecs[index], input, 16 << 20);
        struct vine_call call;

        fake_call_init(&call, shipped(codecs[index].expander), file.at, file.size, 16 << 20);
        call.looks_until_cancel = 1;
        assert_int_equal(fake_call_run(&call), -VINE_ECANCELED);
        fake_call_fini(&call);
        bytes_free(&file);
    }
    free(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_is_malformed),
        cmocka_unit_test(every_truncation_is_malformed),
        cmocka_unit_test(every_flipped_bit_of_the_content_is_noticed),
        cmocka_unit_test(random_bytes_are_malformed),
        cmocka_unit_test(a_bomb_fills_no_more_than_its_room),
        cmocka_unit_test(a_window_beyond_the_quota_is_refused),
        cmocka_unit_test(formats_of_zstd_before_2016_are_refused),
        cmocka_unit_test(the_last_task_must_take_all_and_end_the_file),
        cmocka_unit_test(the_exact_room_is_enough),
        cmocka_unit_test(chunks_give_the_same_file_as_one_piece),
        cmocka_unit_test(one_byte_at_a_time_into_one_byte_of_room),
        cmocka_unit_test(skippable_frames_are_skipped),
        cmocka_unit_test(zstd_refuses_what_follows_the_last_frame),
        cmocka_unit_test(what_follows_the_last_member_is_treated_as_gzip_does),
        cmocka_unit_test(headers_with_every_field_are_understood),
        cmocka_unit_test(unknown_header_flags_are_refused),
        cmocka_unit_test(a_session_that_is_given_up_leaks_nothing),
        cmocka_unit_test(a_cancel_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
