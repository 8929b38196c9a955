/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=procedures */
/*
 * The table of what ships, and its two plainest procedures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "../procedures/procedures.h"
#include "unit/procedures/fake_call.h"
#include "unit/procedures/sample.h"

static bool is_name(const char *name)
{
    const size_t length = strlen(name);

    return length > 0 && length <= VINE_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == length;
}

static void every_definition_is_well_formed_and_its_name_its_own(void **context)
{
    (void)context;
    assert_int_equal(vine_shipped_procedure_count, 10);
    for (size_t index = 0; index < vine_shipped_procedure_count; index++) {
        const struct vine_procedure_definition *definition = vine_shipped_procedures[index];

        assert_int_equal(definition->size_bytes, sizeof(*definition));
        assert_true(is_name(definition->name));
        assert_non_null(definition->summary);
        assert_non_null(definition->run);
        assert_true(definition->argument_count <= VINE_ARGUMENTS_MAX);
        for (size_t other = 0; other < index; other++)
            assert_string_not_equal(definition->name, vine_shipped_procedures[other]->name);
        for (uint32_t argument = 0; argument < definition->argument_count; argument++) {
            const struct vine_argument *bounds = &definition->arguments[argument];

            assert_true(is_name(bounds->name));
            assert_true(bounds->min <= bounds->max);
            assert_true(bounds->kind >= VINE_SCALAR && bounds->kind <= VINE_RESULT);
            if (bounds->kind == VINE_RESULT)
                assert_true(bounds->max <= VINE_RESULT_MAX);
            if (bounds->kind == VINE_INPUT || bounds->kind == VINE_OUTPUT)
                assert_int_equal(bounds->data_type, VINE_TYPE_BYTES);
        }
    }
}

/* What decides by its input, more than once, must not see it change. */
static void only_copy_and_the_hashes_share_their_input(void **context)
{
    (void)context;
    for (size_t index = 0; index < vine_shipped_procedure_count; index++) {
        const struct vine_procedure_definition *definition = vine_shipped_procedures[index];
        const bool is_codec = strstr(definition->name, "zstd") || strstr(definition->name, "zip");

        if (is_codec)
            assert_false(definition->flags & VINE_ARGUMENTS_SHARED);
    }
}

static void copy_into_too_little_room_is_refused(void **context)
{
    struct vine_call call;

    (void)context;
    fake_call_init(&call, vine_shipped_procedures[1], "abcd", 4, 3);
    assert_int_equal(fake_call_run(&call), -VINE_EOVERFLOW);
    assert_int_equal(call.output_size, 0);
    fake_call_fini(&call);
}

static void copy_copies(void **context)
{
    static const size_t sizes[] = {0, 1, 4096, (4 << 20) - 1, 4 << 20, (8 << 20) + 5};

    (void)context;
    for (size_t index = 0; index < sizeof(sizes) / sizeof(sizes[0]); index++) {
        uint8_t *bytes = sample_make(SAMPLE_RANDOM, index + 1, sizes[index]);
        struct vine_call call;

        fake_call_init(&call, vine_shipped_procedures[1], bytes, sizes[index], sizes[index]);
        assert_int_equal(fake_call_run(&call), 0);
        assert_int_equal(call.output_size, sizes[index]);
        assert_memory_equal(call.output, bytes, sizes[index]);
        fake_call_fini(&call);
        free(bytes);
    }
}

static void a_canceled_copy_ends(void **context)
{
    uint8_t *bytes = sample_make(SAMPLE_ZEROS, 1, 9 << 20);
    struct vine_call call;

    (void)context;
    fake_call_init(&call, vine_shipped_procedures[1], bytes, 9 << 20, 9 << 20);
    call.looks_until_cancel = 1;
    assert_int_equal(fake_call_run(&call), -VINE_ECANCELED);
    fake_call_fini(&call);
    free(bytes);
}

static void noop_does_nothing(void **context)
{
    struct vine_call call;

    (void)context;
    fake_call_init(&call, vine_shipped_procedures[0], NULL, 0, 0);
    assert_int_equal(fake_call_run(&call), 0);
    assert_int_equal(call.result_size, 0);
    fake_call_fini(&call);
}

static const struct vine_procedure_definition *by_name(const char *name)
{
    for (size_t index = 0; index < vine_shipped_procedure_count; index++)
        if (strcmp(vine_shipped_procedures[index]->name, name) == 0)
            return vine_shipped_procedures[index];
    return NULL;
}

/* One worker's life: every procedure a few times, so that its caches are made, used and given
 * back. */
static void *work(void *context)
{
    static const char *const pairs[][2] = {{"zstd", "unzstd"}, {"gzip", "gunzip"}};
    static const char *const hashes[] = {"sha256", "blake2b", "crc32", "xxh3"};
    uint8_t *bytes = sample_make(SAMPLE_TEXT, 1 + (uintptr_t)context, 20000);

    for (unsigned round = 0; round < 5; round++) {
        for (unsigned index = 0; index < 4; index++) {
            struct vine_call call;

            fake_call_init(&call, by_name(hashes[index]), bytes, 20000, 0);
            VINE_ASSERT(fake_call_run(&call) == 0);
            fake_call_fini(&call);
        }
        for (unsigned index = 0; index < 2; index++) {
            struct vine_call pack, unpack;

            fake_call_init(&pack, by_name(pairs[index][0]), bytes, 20000, 21000);
            VINE_ASSERT(fake_call_run(&pack) == 0);
            fake_call_init(&unpack, by_name(pairs[index][1]), pack.output, pack.output_size, 20000);
            VINE_ASSERT(fake_call_run(&unpack) == 0);
            VINE_ASSERT(unpack.output_size == 20000);
            VINE_ASSERT(memcmp(unpack.output, bytes, 20000) == 0);
            fake_call_fini(&unpack);
            fake_call_fini(&pack);
        }
    }
    free(bytes);
    return NULL;
}

static void workers_run_side_by_side_and_leave_nothing_behind(void **context)
{
    pthread_t threads[4];

    (void)context;
    for (uintptr_t index = 0; index < 4; index++)
        assert_int_equal(pthread_create(&threads[index], NULL, work, (void *)index), 0);
    for (unsigned index = 0; index < 4; index++)
        assert_int_equal(pthread_join(threads[index], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_definition_is_well_formed_and_its_name_its_own),
        cmocka_unit_test(only_copy_and_the_hashes_share_their_input),
        cmocka_unit_test(copy_into_too_little_room_is_refused),
        cmocka_unit_test(copy_copies),
        cmocka_unit_test(a_canceled_copy_ends),
        cmocka_unit_test(noop_does_nothing),
        cmocka_unit_test(workers_run_side_by_side_and_leave_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
