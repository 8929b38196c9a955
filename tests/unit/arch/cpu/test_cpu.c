/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/cpu/cpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_is_exchanged_as_a_whole_or_not_at_all),
        cmocka_unit_test(who_exchanges_a_pair_sees_what_was_done_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
