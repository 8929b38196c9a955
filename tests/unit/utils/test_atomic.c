/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/atomic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

static void a_failed_exchange_tells_what_it_found_and_stores_nothing(void **state)
{
    (void)state;
    uint32_t word = 5, expected = 4;
    assert_false(vine__compare_exchange_acq_rel_u32(&word, &expected, 9));
    assert_int_equal(word, 5);
    assert_int_equal(expected, 5);
    assert_true(vine__compare_exchange_acq_rel_u32(&word, &expected, 9));
    assert_int_equal(word, 9);

    uint64_t wide = 5, wide_expected = 4;
    assert_false(vine__compare_exchange_acq_rel_u64(&wide, &wide_expected, 9));
    assert_int_equal(wide_expected, 5);
    assert_true(vine__compare_exchange_acq_rel_u64(&wide, &wide_expected, UINT64_MAX));
    assert_true(wide == UINT64_MAX);
}

static void each_operation_returns_the_value_before(void **state)
{
    (void)state;
    uint64_t word = 1;
    assert_int_equal(vine__exchange_acq_rel_u64(&word, 6), 1);
    assert_int_equal(vine__fetch_add_relaxed_u64(&word, 4), 6);
    assert_int_equal(vine__fetch_add_acq_rel_u64(&word, 1), 10);
    assert_int_equal(vine__fetch_sub_acq_rel_u64(&word, 3), 11);
    assert_int_equal(vine__fetch_or_acq_rel_u64(&word, 1), 8);
    assert_int_equal(vine__fetch_and_acq_rel_u64(&word, 1), 9);
    assert_int_equal(vine__load_relaxed_u64(&word), 1);
    vine__store_relaxed_u64(&word, 3);
    assert_int_equal(vine__load_acquire_u64(&word), 3);
}

#define ROUNDS 20000

static uint32_t counter;
static uint64_t payload;
static uint32_t is_published;

static void *count_up(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++)
        vine__fetch_add_relaxed_u32(&counter, 1);
    payload = 42;
    /* T1 pairs with T2. */
    vine__store_release_u32(&is_published, 1);
    return NULL;
}

static void no_increment_is_lost_and_a_release_publishes(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, count_up, NULL), 0);
    for (int i = 0; i < ROUNDS; i++)
        vine__fetch_add_relaxed_u32(&counter, 1);
    /* T2 pairs with T1. */
    while (vine__load_acquire_u32(&is_published) == 0) {
    }
    assert_int_equal(payload, 42);
    pthread_join(thread, NULL);
    assert_int_equal(counter, 2 * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_exchange_tells_what_it_found_and_stores_nothing),
        cmocka_unit_test(each_operation_returns_the_value_before),
        cmocka_unit_test(no_increment_is_lost_and_a_release_publishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
