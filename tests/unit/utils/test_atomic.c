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

static void a_pair_is_exchanged_as_a_whole_or_not_at_all(void **state)
{
    (void)state;
    _Alignas(16) uint64_t words[4] = {1, 2, 3, 4};
    const uint64_t after[2] = {5, 6};

    assert_false(vine__compare_exchange_acq_rel_pair(words, (uint64_t[]){1, 3}, after));
    assert_false(vine__compare_exchange_acq_rel_pair(words, (uint64_t[]){2, 2}, after));
    assert_memory_equal(words, ((uint64_t[]){1, 2, 3, 4}), sizeof(words));
    assert_true(vine__compare_exchange_acq_rel_pair(words, (uint64_t[]){1, 2}, after));
    assert_memory_equal(words, ((uint64_t[]){5, 6, 3, 4}), sizeof(words));
}

#define ROUNDS 20000

static _Alignas(16) uint64_t pair[2];
static uint64_t guarded;

static void *count_under_the_pair(void *context)
{
    const uint64_t nobody[2] = {0, 0};
    const uint64_t us[2] = {(uintptr_t)context, ~(uint64_t)(uintptr_t)context};

    for (int i = 0; i < ROUNDS; i++) {
        while (!vine__compare_exchange_acq_rel_pair(pair, nobody, us))
            vine__cpu_relax();
        guarded++;
        assert_true(vine__compare_exchange_acq_rel_pair(pair, us, nobody));
    }
    return NULL;
}

/* Which ThreadSanitizer has to see, too. */
static void who_exchanges_a_pair_sees_what_was_done_before_it(void **state)
{
    (void)state;
    pthread_t thread;
    int names[2];

    assert_int_equal(pthread_create(&thread, NULL, count_under_the_pair, &names[0]), 0);
    (void)count_under_the_pair(&names[1]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(guarded, 2 * ROUNDS);
}

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
    while (vine__load_acquire_u32(&is_published) == 0)
        vine__cpu_relax();
    assert_int_equal(payload, 42);
    pthread_join(thread, NULL);
    assert_int_equal(counter, 2 * ROUNDS);
    vine__fence_full();
    vine__fence_acquire();
    vine__fence_release();
    vine__compiler_barrier();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_exchange_tells_what_it_found_and_stores_nothing),
        cmocka_unit_test(each_operation_returns_the_value_before),
        cmocka_unit_test(a_pair_is_exchanged_as_a_whole_or_not_at_all),
        cmocka_unit_test(who_exchanges_a_pair_sees_what_was_done_before_it),
        cmocka_unit_test(no_increment_is_lost_and_a_release_publishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
