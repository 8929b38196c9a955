/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/list.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct thing {
    int number;
    struct vine_list link;
};

static void an_empty_list_has_no_first_node(void **state)
{
    (void)state;
    struct vine_list head;
    vine_list_init(&head);
    assert_true(vine_list_is_empty(&head));
    assert_null(vine_list_first(&head));
    assert_null(vine_list_pop_front(&head));
}

static void removing_twice_is_harmless(void **state)
{
    (void)state;
    struct vine_list head;
    struct thing thing = {.number = 1};
    vine_list_init(&head);
    vine_list_init(&thing.link);
    assert_false(vine_list_is_linked(&thing.link));
    vine_list_remove(&thing.link);
    vine_list_push_back(&head, &thing.link);
    assert_true(vine_list_is_linked(&thing.link));
    vine_list_remove(&thing.link);
    vine_list_remove(&thing.link);
    assert_true(vine_list_is_empty(&head));
}

static void nodes_come_in_the_order_in_which_they_were_put(void **state)
{
    (void)state;
    struct vine_list head;
    struct thing things[5];
    vine_list_init(&head);
    for (int i = 0; i < 5; i++) {
        things[i].number = i;
        if (i < 3)
            vine_list_push_back(&head, &things[i].link);
    }
    vine_list_insert_after(&head, &things[3].link);
    vine_list_insert_after(&things[0].link, &things[4].link);
    const int expected[] = {3, 0, 4, 1, 2};
    size_t at = 0;
    VINE_LIST_FOR_EACH(node, &head)
    {
        assert_int_equal(VINE_LIST_OBJECT(node, struct thing, link)->number, expected[at]);
        at++;
    }
    assert_int_equal(at, 5);
    for (size_t i = 0; i < 5; i++) {
        struct vine_list *node = vine_list_pop_front(&head);
        assert_int_equal(VINE_LIST_OBJECT(node, struct thing, link)->number, expected[i]);
    }
    assert_true(vine_list_is_empty(&head));
}

static void the_visited_node_may_be_removed(void **state)
{
    (void)state;
    struct vine_list head;
    struct thing things[6];
    vine_list_init(&head);
    for (int i = 0; i < 6; i++) {
        things[i].number = i;
        vine_list_push_back(&head, &things[i].link);
    }
    VINE_LIST_FOR_EACH(node, &head)
    {
        if (VINE_LIST_OBJECT(node, struct thing, link)->number % 2 == 0)
            vine_list_remove(node);
    }
    for (int i = 1; i < 6; i += 2)
        assert_ptr_equal(vine_list_pop_front(&head), &things[i].link);
    assert_true(vine_list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_has_no_first_node),
        cmocka_unit_test(removing_twice_is_harmless),
        cmocka_unit_test(nodes_come_in_the_order_in_which_they_were_put),
        cmocka_unit_test(the_visited_node_may_be_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
