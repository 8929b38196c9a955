/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static void impossible_bounds_are_refused(void **state)
{
    (void)state;
    struct vine__table table;
    assert_int_equal(vine__table_init(&table, 0, 1), -EINVAL);
    assert_int_equal(vine__table_init(&table, (UINT32_C(1) << 31) + 1, 1), -EINVAL);
}

static void a_full_table_refuses_and_still_finds(void **state)
{
    (void)state;
    struct vine__table table;
    int values[3];
    assert_int_equal(vine__table_init(&table, 3, 42), 0);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(vine__table_insert(&table, i, &values[i]), 0);
    assert_int_equal(vine__table_insert(&table, 99, &values[0]), -ENOSPC);
    assert_int_equal(vine__table_insert(&table, 1, &values[0]), -EEXIST);
    assert_ptr_equal(vine__table_find(&table, 1), &values[1]);
    assert_null(vine__table_find(&table, 99));
    assert_ptr_equal(vine__table_remove(&table, 1), &values[1]);
    assert_null(vine__table_remove(&table, 1));
    assert_int_equal(vine__table_insert(&table, 99, &values[0]), 0);
    assert_true(vine__table_validate(&table));
    vine__table_fini(&table);
    vine__table_fini(&table);
}

/* xorshift64: the same steps in each run. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void random_steps_agree_with_a_plain_array(void **state)
{
    (void)state;
    enum { KEYS = 512, COUNT_MAX = 300 };
    static char values[KEYS];
    bool is_there[KEYS] = {false};
    uint32_t count = 0;
    uint64_t seed = 88172645463325252ULL;
    struct vine__table table;
    assert_int_equal(vine__table_init(&table, COUNT_MAX, seed), 0);
    for (int step = 0; step < 100000; step++) {
        const uint64_t index = next_random(&seed) % KEYS;
        /* Keys that are close to each other, as ids are. */
        const uint64_t key = index * 64;
        if (next_random(&seed) % 2 == 0) {
            const int error = vine__table_insert(&table, key, &values[index]);
            assert_int_equal(error, is_there[index] ? -EEXIST : count == COUNT_MAX ? -ENOSPC : 0);
            count += error == 0;
            is_there[index] |= error == 0;
        } else {
            void *removed = vine__table_remove(&table, key);
            assert_ptr_equal(removed, is_there[index] ? &values[index] : NULL);
            count -= is_there[index];
            is_there[index] = false;
        }
        assert_int_equal(table.count, count);
        if (step % 1000 == 0)
            assert_true(vine__table_validate(&table));
    }
    for (uint64_t i = 0; i < KEYS; i++)
        assert_ptr_equal(vine__table_find(&table, i * 64), is_there[i] ? &values[i] : NULL);
    vine__table_fini(&table);
}

static void a_walk_meets_each_entry_once(void **state)
{
    (void)state;
    struct vine__table table;
    int values[100];
    int seen[100] = {0};
    assert_int_equal(vine__table_init(&table, 100, 7), 0);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(vine__table_insert(&table, i << 40, &values[i]), 0);
    uint64_t position = 0, key;
    void *value;
    while (vine__table_next(&table, &position, &key, &value)) {
        assert_ptr_equal(value, &values[key >> 40]);
        seen[key >> 40]++;
    }
    assert_false(vine__table_next(&table, &position, NULL, &value));
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    vine__table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_bounds_are_refused),
        cmocka_unit_test(a_full_table_refuses_and_still_finds),
        cmocka_unit_test(random_steps_agree_with_a_plain_array),
        cmocka_unit_test(a_walk_meets_each_entry_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
