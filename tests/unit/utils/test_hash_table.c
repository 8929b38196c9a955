/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/hash_table.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "utils/container_of.h"

#define THINGS 3000

struct thing {
    struct vine_hash_node node;
    uint64_t key;
    bool is_in;
    bool is_seen;
};

/* Memory that is counted, and that may be used up. */
static struct {
    size_t bytes;
    size_t bytes_max;
} memory;

static void *get(void *context, size_t size_bytes)
{
    (void)context;
    if (memory.bytes + size_bytes > memory.bytes_max)
        return NULL;
    memory.bytes += size_bytes;
    return calloc(1, size_bytes);
}

static void put(void *context, void *block, size_t size_bytes)
{
    (void)context;
    assert_true(memory.bytes >= size_bytes);
    memory.bytes -= size_bytes;
    free(block);
}

static const struct vine_hash_memory counted = {.get = get, .put = put};

static struct thing *thing_of(struct vine_hash_node *node)
{
    return VINE_CONTAINER_OF(node, struct thing, node);
}

static bool has_key(const struct vine_hash_node *node, const void *key)
{
    return ((const struct thing *)node)->key == *(const uint64_t *)key;
}

/* xorshift64: the same steps in each run. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static struct thing things[THINGS];

static void name_things(uint64_t hash_of_all)
{
    for (uint64_t i = 0; i < THINGS; i++)
        things[i] = (struct thing){.key = i, .node.hash = hash_of_all};
}

/* Each that is in is met once, and no other. */
static void check_walk(const struct vine_hash_table *table)
{
    struct vine_hash_cursor cursor = {0};
    struct vine_hash_node *node;
    size_t count = 0;

    for (size_t i = 0; i < THINGS; i++)
        things[i].is_seen = false;
    while ((node = vine_hash_table_next(table, &cursor)) != NULL) {
        assert_true(thing_of(node)->is_in && !thing_of(node)->is_seen);
        thing_of(node)->is_seen = true;
        count++;
    }
    assert_int_equal(count, vine_hash_table_count(table));
}

static void check_find(const struct vine_hash_table *table, uint64_t key, uint64_t hash)
{
    struct vine_hash_node *const found = vine_hash_table_find(table, hash, has_key, &key);

    assert_ptr_equal(found, things[key].is_in ? &things[key].node : NULL);
}

/* `spread` 0: all meet in one bucket. */
static void live(struct vine_hash_table *table, uint64_t spread, uint32_t steps)
{
    uint64_t seed = 88172645463325252ULL;

    for (uint32_t step = 0; step < steps; step++) {
        const uint64_t key = next_random(&seed) % THINGS;
        struct thing *const thing = &things[key];

        check_find(table, key, key * spread);
        if (!thing->is_in)
            vine_hash_table_insert(table, &thing->node, key * spread);
        else
            vine_hash_table_remove(table, &thing->node);
        thing->is_in = !thing->is_in;
        check_find(table, key, key * spread);
        if (step % 1009 == 0)
            check_walk(table);
    }
    check_walk(table);
}

static void random_steps_agree_with_a_flag_in_each_thing(void **state)
{
    struct vine_hash_table table;

    (void)state;
    memory.bytes_max = SIZE_MAX / 2;
    name_things(0);
    vine_hash_table_init(&table, &counted);
    live(&table, 1, 60000);
    assert_true(memory.bytes > 0);
    vine_hash_table_fini(&table);
    assert_int_equal(memory.bytes, 0);
}

static void things_of_one_hash_are_told_apart(void **state)
{
    struct vine_hash_table table;

    (void)state;
    name_things(0);
    vine_hash_table_init(&table, NULL);
    live(&table, 0, 4000);
    vine_hash_table_fini(&table);
}

static void without_memory_it_goes_on_with_the_buckets_that_it_has(void **state)
{
    struct vine_hash_table table;

    (void)state;
    name_things(0);
    memory.bytes_max = 0;
    vine_hash_table_init(&table, &counted);
    live(&table, 1, 6000);
    memory.bytes_max = SIZE_MAX / 2; /* and grows when there is some */
    live(&table, 1, 6000);
    assert_true(memory.bytes > 0);
    vine_hash_table_fini(&table);
    assert_int_equal(memory.bytes, 0);
}

static void what_a_walk_has_met_may_be_taken_out(void **state)
{
    struct vine_hash_table table;
    struct vine_hash_cursor cursor = {0};
    struct vine_hash_node *node;
    size_t count = 0;

    (void)state;
    name_things(0);
    vine_hash_table_init(&table, NULL);
    for (uint64_t key = 0; key < THINGS; key++)
        vine_hash_table_insert(&table, &things[key].node, key);
    while ((node = vine_hash_table_next(&table, &cursor)) != NULL) {
        vine_hash_table_remove(&table, node);
        count++;
    }
    assert_int_equal(count, THINGS);
    assert_int_equal(vine_hash_table_count(&table), 0);
    vine_hash_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_steps_agree_with_a_flag_in_each_thing),
        cmocka_unit_test(things_of_one_hash_are_told_apart),
        cmocka_unit_test(without_memory_it_goes_on_with_the_buckets_that_it_has),
        cmocka_unit_test(what_a_walk_has_met_may_be_taken_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
