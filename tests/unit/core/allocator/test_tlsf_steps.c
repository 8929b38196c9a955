/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlsf's promise: no operation looks at more entries than VINE_ALLOCATOR_STEPS_MAX. The bound
 * follows from the loops' limits (allocator_internal.h asserts their sum); here traces that are
 * made to be bad for each loop are run against the counter.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <vine/allocator.h>
#include <vine/error.h>

#include "core/allocator/allocator_internal.h"

static struct vine_allocator *create(uint64_t units, uint64_t blocks_max)
{
    const struct vine_allocator_options options = {
        .size_bytes = sizeof(options),
        .strategy = VINE_ALLOCATOR_TLSF,
        .extent_bytes = units * 64,
        .blocks_max = blocks_max,
    };
    struct vine_allocator *allocator = NULL;
    assert_int_equal(vine_allocator_create(&options, &allocator), 0);
    return allocator;
}

static void steps_are_bounded_when_the_table_is_as_full_as_it_may_be(void **state)
{
    (void)state;
    /* The smallest blocks everywhere, and books whose 5 of 8 entries are all in use. */
    const uint32_t count = 40960;
    struct vine_allocator *allocator = create(count, count);
    uint64_t offset;
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(vine_allocator_alloc(allocator, 1, &offset), 0);
    assert_int_equal(vine_allocator_alloc(allocator, 1, &offset), -ENOMEM);
    /* A full table is the worst for offsets that do not exist: all their buckets are looked at. */
    for (uint32_t i = 0; i < count; i += 2)
        assert_int_equal(vine_allocator_free(allocator, (uint64_t)i * 64), 0);
    for (uint32_t i = 0; i < count; i += 2)
        assert_int_equal(vine_allocator_free(allocator, (uint64_t)i * 64), -VINE_ETOKEN);
    for (uint32_t i = 1; i < count; i += 2)
        assert_int_equal(vine_allocator_free(allocator, (uint64_t)i * 64), 0);
    assert_int_equal(vine_allocator_free(allocator, 64 * 3), -VINE_ETOKEN);
    assert_in_range(vine_allocator_steps_seen(allocator), 1, VINE_ALLOCATOR_STEPS_MAX);
    assert_int_equal(vine_allocator_validate(allocator), 0);
    vine_allocator_destroy(allocator);
}

static void steps_are_bounded_when_a_list_is_long_and_nothing_in_it_fits(void **state)
{
    (void)state;
    /* Free blocks of 1,008 units, all in one list, and a request for 1,010, which belongs to the
     * same list by its beginning and to the next by its end. */
    const uint32_t count = 1000;
    struct vine_allocator *allocator = create((uint64_t)count * 1009, 3 * count);
    uint64_t *offsets = calloc(count, sizeof(*offsets));
    uint64_t offset;
    assert_non_null(offsets);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(vine_allocator_alloc(allocator, 1008 * 64, &offsets[i]), 0);
        assert_int_equal(vine_allocator_alloc(allocator, 64, &offset), 0);
    }
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(vine_allocator_free(allocator, offsets[i]), 0);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(vine_allocator_alloc(allocator, 1010 * 64, &offset), -ENOMEM);
    assert_in_range(vine_allocator_steps_seen(allocator), VINE__STEPS_FIT,
                    VINE_ALLOCATOR_STEPS_MAX);
    free(offsets);
    vine_allocator_destroy(allocator);
}

static void steps_are_bounded_in_a_long_random_trace(void **state)
{
    (void)state;
    enum { COUNT = 5000, STEPS = 400000 };
    struct vine_allocator *allocator = create(1 << 17, 2 * COUNT);
    uint64_t *offsets = calloc(COUNT, sizeof(*offsets));
    uint64_t random = 88172645463325252u;
    assert_non_null(offsets);
    for (uint32_t i = 0; i < COUNT; i++)
        offsets[i] = UINT64_MAX;
    for (uint32_t i = 0; i < STEPS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t *offset = &offsets[random % COUNT];
        if (*offset != UINT64_MAX)
            assert_int_equal(vine_allocator_free(allocator, *offset), 0);
        *offset = UINT64_MAX;
        const uint64_t size_bytes = 1 + (random >> 32) % (UINT64_C(64) << (random >> 20) % 8);
        const int rc = vine_allocator_alloc(allocator, size_bytes, offset);
        assert_true(rc == 0 || rc == -ENOMEM);
    }
    assert_in_range(vine_allocator_steps_seen(allocator), 1, VINE_ALLOCATOR_STEPS_MAX);
    assert_int_equal(vine_allocator_validate(allocator), 0);
    free(offsets);
    vine_allocator_destroy(allocator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_bounded_when_the_table_is_as_full_as_it_may_be),
        cmocka_unit_test(steps_are_bounded_when_a_list_is_long_and_nothing_in_it_fits),
        cmocka_unit_test(steps_are_bounded_in_a_long_random_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
