/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/set.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "utils/container_of.h"

#define THINGS 2048

struct thing {
    struct vine_set_node node;
    uint32_t key;
    bool is_in;
};

static struct thing things[THINGS];

static uint32_t key_of(const struct vine_set_node *node)
{
    return ((const struct thing *)node)->key;
}

static int compare_keys(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int order(const struct vine_set_node *a, const struct vine_set_node *b)
{
    return compare_keys(key_of(a), key_of(b));
}

static int compare(const void *key, const struct vine_set_node *node)
{
    return compare_keys(*(const uint32_t *)key, key_of(node));
}

/* xorshift64: the same steps in each run. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void name_things(void)
{
    for (uint32_t i = 0; i < THINGS; i++)
        things[i] = (struct thing){.key = i};
}

/* Returns the height of the tree below a node, all of whose heights are true and even. */
static int check_tree(const struct vine_set_node *node, const struct vine_set_node *parent)
{
    int height[2];

    if (node == NULL)
        return 0;
    assert_ptr_equal(node->parent, parent);
    for (int side = 0; side < 2; side++)
        height[side] = check_tree(node->child[side], node);
    assert_in_range(height[0] - height[1] + 1, 0, 2);
    const int own = 1 + (height[0] > height[1] ? height[0] : height[1]);

    assert_int_equal(node->height, own);
    return own;
}

/* The set walks over those that are in, in order, both ways. */
static void check(const struct vine_set *set)
{
    const struct vine_set_node *node = vine_set_first(set);
    const struct vine_set_node *last = NULL;
    size_t count = 0;

    (void)check_tree(set->root, NULL);
    for (uint32_t i = 0; i < THINGS; i++) {
        if (!things[i].is_in)
            continue;
        assert_ptr_equal(node, &things[i].node);
        assert_ptr_equal(vine_set_previous(node), last);
        last = node;
        node = vine_set_next(node);
        count++;
    }
    assert_null(node);
    assert_ptr_equal(vine_set_last(set), last);
    assert_int_equal(vine_set_count(set), count);
}

static void an_empty_set_has_nothing(void **state)
{
    const uint32_t key = 7;
    struct vine_set set;

    (void)state;
    vine_set_init(&set, order);
    assert_null(vine_set_first(&set));
    assert_null(vine_set_last(&set));
    assert_null(vine_set_find(&set, &key, compare));
    assert_null(vine_set_at_least(&set, &key, compare));
}

static void one_that_is_equal_is_refused_and_changes_nothing(void **state)
{
    struct thing twin = {.key = 5};
    struct vine_set set;

    (void)state;
    name_things();
    vine_set_init(&set, order);
    assert_null(vine_set_insert(&set, &things[5].node));
    things[5].is_in = true;
    assert_ptr_equal(vine_set_insert(&set, &twin.node), &things[5].node);
    check(&set);
}

/* The first at or behind a key, by looking at all. */
static const struct vine_set_node *plain_at_least(uint32_t key)
{
    for (uint32_t i = key; i < THINGS; i++)
        if (things[i].is_in)
            return &things[i].node;
    return NULL;
}

static void random_steps_agree_with_an_array(void **state)
{
    uint64_t seed = 88172645463325252ULL;
    struct vine_set set;

    (void)state;
    name_things();
    vine_set_init(&set, order);
    for (uint32_t step = 0; step < 40000; step++) {
        const uint32_t key = (uint32_t)(next_random(&seed) % THINGS);
        struct thing *const thing = &things[key];

        assert_ptr_equal(vine_set_find(&set, &key, compare), thing->is_in ? &thing->node : NULL);
        assert_ptr_equal(vine_set_at_least(&set, &key, compare), plain_at_least(key));
        if (thing->is_in)
            vine_set_remove(&set, &thing->node);
        else
            assert_null(vine_set_insert(&set, &thing->node));
        thing->is_in = !thing->is_in;
        if (step % 97 == 0)
            check(&set);
    }
    check(&set);
}

/* What makes a plain tree a list. */
static void what_comes_in_order_makes_no_long_branch(void **state)
{
    struct vine_set set;

    (void)state;
    name_things();
    vine_set_init(&set, order);
    for (uint32_t i = 0; i < THINGS; i++) {
        assert_null(vine_set_insert(&set, &things[i].node));
        things[i].is_in = true;
    }
    check(&set);
    assert_in_range(set.root->height, 12, 16); /* 1.45 log2(2048) */
    for (uint32_t i = 0; i < THINGS; i++) {
        vine_set_remove(&set, &things[i].node);
        things[i].is_in = false;
        if (i % 61 == 0)
            check(&set);
    }
    check(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_set_has_nothing),
        cmocka_unit_test(one_that_is_equal_is_refused_and_changes_nothing),
        cmocka_unit_test(random_steps_agree_with_an_array),
        cmocka_unit_test(what_comes_in_order_makes_no_long_branch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
