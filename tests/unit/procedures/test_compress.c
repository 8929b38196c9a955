/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=procedures links=zlib links=libzstd */
/*
 * zstd and gzip: what they make is read by zstd's own library and by zlib.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/procedures/codec.h"

static void expect_back(const struct codec *codec, const struct bytes *made, const uint8_t *input,
                        size_t size)
{
    struct bytes back = {0};

    assert_int_equal(codec->oracle(made, &back), 0);
    assert_int_equal(back.size, size);
    if (size > 0)
        assert_memory_equal(back.at, input, size);
    bytes_free(&back);
}

static void too_little_room_is_an_overflow(void **context)
{
    uint8_t *input = sample_make(SAMPLE_RANDOM, 3, 100000);

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        static const size_t rooms[] = {0, 1, 10, 20, 1000, 99999};

        for (size_t room = 0; room < sizeof(rooms) / sizeof(rooms[0]); room++) {
            struct fake_session session;
            struct vine_call call;

            fake_call_init(&call, shipped(codecs[index].compressor), input, 100000, rooms[room]);
            assert_int_equal(fake_call_run(&call), -VINE_EOVERFLOW);
            assert_int_equal(call.output_size, 0);
            assert_int_equal(
                fake_session_begin(&session, shipped(codecs[index].compressor), INT64_MAX), 0);
            assert_int_equal(fake_call_run_in(&call, &session, true), -VINE_EOVERFLOW);
            fake_session_end(&session);
            fake_call_fini(&call);
        }
    }
    free(input);
}

static void whole_files_come_back_at_every_level(void **context)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 131072, 300001};

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++)
        for (uint64_t level = codecs[index].level_min; level <= codecs[index].level_max; level++)
            for (unsigned kind = 0; kind < SAMPLE_KINDS; kind++)
                for (size_t at = 0; at < sizeof(sizes) / sizeof(sizes[0]); at++) {
                    uint8_t *input = sample_make(kind, 1 + at, sizes[at]);
                    struct bytes made = {0};

                    if (level > 9 && sizes[at] > 131072) { /* slow, and nothing new */
                        free(input);
                        continue;
                    }
                    assert_int_equal(compress_whole(&codecs[index], level, input, sizes[at], &made),
                                     0);
                    expect_back(&codecs[index], &made, input, sizes[at]);
                    bytes_free(&made);
                    free(input);
                }
}

static void a_context_survives_failed_tasks(void **context)
{
    too_little_room_is_an_overflow(context);
    whole_files_come_back_at_every_level(context);
}

static void large_files_come_back_and_fit_their_room(void **context)
{
    const size_t size = (9 << 20) + 12345;

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++)
        for (unsigned kind = 0; kind < SAMPLE_KINDS; kind++) {
            uint8_t *input = sample_make(kind, 5, size);
            struct bytes made = {0};

            assert_int_equal(
                compress_whole(&codecs[index], codecs[index].level_min, input, size, &made), 0);
            expect_back(&codecs[index], &made, input, size);
            bytes_free(&made);
            free(input);
        }
}

static void a_session_makes_one_frame_of_random_chunks(void **context)
{
    uint64_t seed = 11;

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++)
        for (unsigned round = 0; round < 60; round++) {
            const size_t size = sample_below(&seed, round % 10 == 0 ? 1 << 20 : 20000);
            const uint64_t level =
                codecs[index].level_min + round % (index == 0 ? 6 : VINE_GZIP_LEVEL_MAX);
            uint8_t *input = sample_make(round % SAMPLE_KINDS, seed, size);
            struct bytes made = {0};

            assert_int_equal(compress_in_chunks(&codecs[index], level, input, size,
                                                1 + sample_below(&seed, size / 2 + 64), &seed,
                                                &made),
                             0);
            if (index == 0) /* one frame, nothing behind it */
                assert_int_equal(ZSTD_findFrameCompressedSize(made.at, made.size), made.size);
            expect_back(&codecs[index], &made, input, size);
            bytes_free(&made);
            free(input);
        }
}

/* The worst for the room: bytes that do not compress, each flushed alone. */
static void tiny_chunks_fit_their_room(void **context)
{
    uint8_t *input = sample_make(SAMPLE_RANDOM, 12, 3000);
    uint64_t seed = 13;

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++)
        for (uint64_t level = codecs[index].level_min; level < 4; level++) {
            struct bytes made = {0};

            assert_int_equal(
                compress_in_chunks(&codecs[index], level, input, 3000, 2, &seed, &made), 0);
            expect_back(&codecs[index], &made, input, 3000);
            bytes_free(&made);
        }
    free(input);
}

static void frames_of_separate_tasks_are_one_file(void **context)
{
    uint8_t *input = sample_make(SAMPLE_TEXT, 14, 300000);

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        struct bytes made = {0};

        for (size_t at = 0; at < 300000; at += 100000)
            assert_int_equal(compress_whole(&codecs[index], 1, input + at, 100000, &made), 0);
        expect_back(&codecs[index], &made, input, 300000);
        bytes_free(&made);
    }
    free(input);
}

static void a_sessions_memory_is_charged_and_refused(void **context)
{
    static const int64_t quotas[] = {0, 1000, 100000, 1000000};
    uint8_t *input = sample_make(SAMPLE_TEXT, 15, 1 << 20);

    (void)context;
    for (size_t index = 0; index < sizeof(quotas) / sizeof(quotas[0]); index++) {
        struct fake_session session;
        struct vine_call call;

        assert_int_equal(fake_session_begin(&session, shipped("zstd"), quotas[index]), 0);
        fake_call_init(&call, shipped("zstd"), input, 1 << 20, VINE_ZSTD_ROOM(1 << 20));
        call.has_scalar = true;
        call.scalar = 15;
        assert_int_equal(fake_call_run_in(&call, &session, true), -VINE_EQUOTA);
        assert_true(session.charged <= quotas[index]);
        fake_call_fini(&call);
        fake_session_end(&session);
    }
    free(input);
}

static void a_session_that_is_given_up_leaks_nothing(void **context)
{
    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        struct fake_session session;
        struct vine_call call;

        assert_int_equal(fake_session_begin(&session, shipped(codecs[index].compressor), INT64_MAX),
                         0);
        fake_call_init(&call, shipped(codecs[index].compressor), "abc", 3, 600);
        assert_int_equal(fake_call_run_in(&call, &session, false), 0);
        fake_call_fini(&call);
        fake_session_end(&session);
    }
}

static void a_cancel_is_seen(void **context)
{
    uint8_t *input = sample_make(SAMPLE_TEXT, 16, 9 << 20);

    (void)context;
    for (size_t index = 0; index < CODEC_COUNT; index++) {
        struct vine_call call;

        fake_call_init(&call, shipped(codecs[index].compressor), input, 9 << 20,
                       codec_room(&codecs[index], 9 << 20));
        call.looks_until_cancel = 2;
        assert_int_equal(fake_call_run(&call), -VINE_ECANCELED);
        fake_call_fini(&call);
    }
    free(input);
}

static void a_cancel_is_seen_soon_where_compressing_takes_long(void **context)
{
    uint8_t *input = sample_make(SAMPLE_TEXT, 16, 1 << 20);

    (void)context;
    for (uint64_t level = 13; level <= VINE_ZSTD_LEVEL_MAX; level += 6) {
        struct vine_call call;

        fake_call_init(&call, shipped("zstd"), input, 1 << 20, VINE_ZSTD_ROOM(1 << 20));
        call.has_scalar = true;
        call.scalar = level;
        call.looks_until_cancel = 4; /* of eight */
        assert_int_equal(fake_call_run(&call), -VINE_ECANCELED);
        fake_call_fini(&call);
    }
    free(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_little_room_is_an_overflow),
        cmocka_unit_test(a_context_survives_failed_tasks),
        cmocka_unit_test(whole_files_come_back_at_every_level),
        cmocka_unit_test(large_files_come_back_and_fit_their_room),
        cmocka_unit_test(a_session_makes_one_frame_of_random_chunks),
        cmocka_unit_test(tiny_chunks_fit_their_room),
        cmocka_unit_test(frames_of_separate_tasks_are_one_file),
        cmocka_unit_test(a_sessions_memory_is_charged_and_refused),
        cmocka_unit_test(a_session_that_is_given_up_leaks_nothing),
        cmocka_unit_test(a_cancel_is_seen),
        cmocka_unit_test(a_cancel_is_seen_soon_where_compressing_takes_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
