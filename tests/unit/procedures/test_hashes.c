/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=procedures links=zlib */
/*
 * Hashes against published vectors, zlib, and themselves cut into chunks at random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <zlib.h>

#include "../procedures/procedures.h"
#include "unit/procedures/fake_call.h"
#include "unit/procedures/sample.h"

static const struct vine_procedure_definition *find(const char *name)
{
    for (size_t index = 0; index < vine_shipped_procedure_count; index++)
        if (strcmp(vine_shipped_procedures[index]->name, name) == 0)
            return vine_shipped_procedures[index];
    fail_msg("no procedure %s ships", name);
    return NULL;
}

static void to_hex(const struct vine_call *call, char hex[2 * VINE_RESULT_MAX + 1])
{
    for (size_t index = 0; index < call->result_size; index++)
        snprintf(hex + 2 * index, 3, "%02x", call->result[index]);
}

static void expect_hash(const char *name, const char *text, const char *expected)
{
    char hex[2 * VINE_RESULT_MAX + 1] = "";
    struct vine_call call;

    fake_call_init(&call, find(name), text, strlen(text), 0);
    assert_int_equal(fake_call_run(&call), 0);
    to_hex(&call, hex);
    assert_string_equal(hex, expected);
    fake_call_fini(&call);
}

static void published_vectors_of_the_empty_string_and_abc(void **context)
{
    (void)context;
    expect_hash("sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_hash("sha256", "abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_hash("sha256", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect_hash("blake2b", "", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    expect_hash("blake2b", "abc",
                "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    expect_hash("crc32", "", "00000000");
    expect_hash("crc32", "123456789", "cbf43926");
    expect_hash("xxh3", "", "2d06800538d394c2");
    expect_hash("xxh3", "abc", "78af5f94892f3950");
}

static void chunks_give_the_same_sum_as_one_piece(void **context)
{
    static const char *const names[] = {"sha256", "blake2b", "crc32", "xxh3"};
    uint64_t seed = 0x9e3779b97f4a7c15;

    (void)context;
    for (unsigned round = 0; round < 200; round++) {
        const struct vine_procedure_definition *definition = find(names[round % 4]);
        const size_t size = sample_below(&seed, 3 * 1024) + (round % 10 == 0 ? 100000 : 0);
        uint8_t *bytes = sample_make(SAMPLE_RANDOM, seed, size);
        struct fake_session session;
        struct vine_call whole;
        size_t at = 0;
        bool is_last = false;

        fake_call_init(&whole, definition, bytes, size, 0);
        assert_int_equal(fake_call_run(&whole), 0);
        assert_int_equal(fake_session_begin(&session, definition, 0), 0);
        while (!is_last) {
            const size_t chunk = sample_below(&seed, size - at + 1);
            struct vine_call call;

            is_last = at + chunk == size && sample_below(&seed, 2) == 0;
            fake_call_init(&call, definition, bytes + at, chunk, 0);
            assert_int_equal(fake_call_run_in(&call, &session, is_last), 0);
            assert_int_equal(call.result_size, is_last ? whole.result_size : 0);
            if (is_last)
                assert_memory_equal(call.result, whole.result, whole.result_size);
            fake_call_fini(&call);
            at += chunk;
        }
        fake_session_end(&session);
        fake_call_fini(&whole);
        free(bytes);
    }
}

static void crc32_is_that_of_zlib(void **context)
{
    uint64_t seed = 7;

    (void)context;
    for (size_t size = 0; size < 2000; size += 1 + sample_below(&seed, 40)) {
        uint8_t *bytes = sample_make(SAMPLE_RANDOM, size + 1, size);
        const uint32_t sum = (uint32_t)crc32(0, bytes, (uInt)size);
        const uint8_t expected[4] = {(uint8_t)(sum >> 24), (uint8_t)(sum >> 16),
                                     (uint8_t)(sum >> 8), (uint8_t)sum};
        struct vine_call call;

        fake_call_init(&call, find("crc32"), bytes, size, 0);
        assert_int_equal(fake_call_run(&call), 0);
        assert_memory_equal(call.result, expected, 4);
        fake_call_fini(&call);
        free(bytes);
    }
}

static void a_session_that_is_given_up_leaks_nothing(void **context)
{
    static const char *const names[] = {"sha256", "blake2b", "crc32", "xxh3"};

    (void)context;
    for (unsigned index = 0; index < 4; index++) {
        struct fake_session session;
        struct vine_call call;

        assert_int_equal(fake_session_begin(&session, find(names[index]), 0), 0);
        fake_call_init(&call, find(names[index]), "abc", 3, 0);
        assert_int_equal(fake_call_run_in(&call, &session, false), 0);
        fake_call_fini(&call);
        fake_session_end(&session);
    }
}

static void a_cancel_is_seen_within_a_large_input(void **context)
{
    static const char *const names[] = {"sha256", "blake2b", "crc32"};
    const size_t size = 9 << 20;
    uint8_t *bytes = sample_make(SAMPLE_ZEROS, 1, size);

    (void)context;
    for (unsigned index = 0; index < 3; index++) {
        struct vine_call call;

        fake_call_init(&call, find(names[index]), bytes, size, 0);
        call.looks_until_cancel = 2;
        assert_int_equal(fake_call_run(&call), -VINE_ECANCELED);
        fake_call_fini(&call);
    }
    free(bytes);
}

static void a_hash_after_a_canceled_one_is_right(void **context)
{
    a_cancel_is_seen_within_a_large_input(context);
    published_vectors_of_the_empty_string_and_abc(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_of_the_empty_string_and_abc),
        cmocka_unit_test(chunks_give_the_same_sum_as_one_piece),
        cmocka_unit_test(crc32_is_that_of_zlib),
        cmocka_unit_test(a_session_that_is_given_up_leaks_nothing),
        cmocka_unit_test(a_cancel_is_seen_within_a_large_input),
        cmocka_unit_test(a_hash_after_a_canceled_one_is_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
