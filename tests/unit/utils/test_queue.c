/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct thing {
    int number;
    struct vine__queue_node link;
};

static int popped_number(struct vine__queue *queue)
{
    struct vine__queue_node *node = vine__queue_pop(queue);
    assert_non_null(node);
    return VINE_QUEUE_OBJECT(node, struct thing, link)->number;
}

static void popping_from_an_empty_queue_gives_nothing(void **state)
{
    (void)state;
    struct vine__queue queue;
    vine__queue_init(&queue);
    assert_true(vine__queue_is_empty(&queue));
    assert_null(vine__queue_pop(&queue));
    assert_null(vine__queue_first(&queue));
    assert_int_equal(vine__queue_count(&queue), 0);
}

static void first_in_is_first_out_also_after_it_ran_empty(void **state)
{
    (void)state;
    struct vine__queue queue;
    struct thing things[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    vine__queue_init(&queue);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            vine__queue_push(&queue, &things[i].link);
        assert_int_equal(vine__queue_count(&queue), 4);
        for (int i = 0; i < 4; i++)
            assert_int_equal(popped_number(&queue), i);
        assert_true(vine__queue_is_empty(&queue));
    }
}

static void what_is_pushed_to_the_front_is_next(void **state)
{
    (void)state;
    struct vine__queue queue;
    struct thing things[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    vine__queue_init(&queue);
    vine__queue_push_front(&queue, &things[1].link);
    vine__queue_push(&queue, &things[2].link);
    vine__queue_push_front(&queue, &things[0].link);
    for (int i = 0; i < 3; i++)
        assert_int_equal(popped_number(&queue), i);
}

static void appending_empties_the_other_queue(void **state)
{
    (void)state;
    struct vine__queue queue, other;
    struct thing things[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    vine__queue_init(&queue);
    vine__queue_init(&other);
    vine__queue_append(&queue, &other);
    assert_true(vine__queue_is_empty(&queue));
    vine__queue_push(&other, &things[0].link);
    vine__queue_append(&queue, &other);
    vine__queue_push(&other, &things[1].link);
    vine__queue_push(&other, &things[2].link);
    vine__queue_append(&queue, &other);
    assert_true(vine__queue_is_empty(&other));
    vine__queue_push(&queue, &things[3].link);
    assert_int_equal(vine__queue_count(&queue), 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(popped_number(&queue), i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(popping_from_an_empty_queue_gives_nothing),
        cmocka_unit_test(first_in_is_first_out_also_after_it_ran_empty),
        cmocka_unit_test(what_is_pushed_to_the_front_is_next),
        cmocka_unit_test(appending_empties_the_other_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
