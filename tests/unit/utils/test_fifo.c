/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/fifo.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void zeroed_memory_is_an_empty_queue(void **state)
{
    struct vine_fifo fifo = {0};

    (void)state;
    assert_true(vine_fifo_is_empty(&fifo));
    assert_null(vine_fifo_first(&fifo));
    assert_null(vine_fifo_pop(&fifo));
    assert_null(vine_fifo_pop(&fifo));
}

static void nodes_leave_in_the_order_in_which_they_came(void **state)
{
    struct vine_fifo fifo;
    struct vine_fifo_node nodes[4];

    (void)state;
    vine_fifo_init(&fifo);
    for (int round = 0; round < 2; round++) {
        vine_fifo_push(&fifo, &nodes[1]);
        vine_fifo_push(&fifo, &nodes[2]);
        vine_fifo_push_front(&fifo, &nodes[0]);
        vine_fifo_push(&fifo, &nodes[3]);
        assert_ptr_equal(vine_fifo_first(&fifo), &nodes[0]);
        for (int i = 0; i < 4; i++)
            assert_ptr_equal(vine_fifo_pop(&fifo), &nodes[i]);
        assert_true(vine_fifo_is_empty(&fifo));
    }
}

static void what_is_put_in_front_of_nothing_is_the_last_too(void **state)
{
    struct vine_fifo fifo = {0};
    struct vine_fifo_node nodes[2];

    (void)state;
    vine_fifo_push_front(&fifo, &nodes[0]);
    vine_fifo_push(&fifo, &nodes[1]);
    assert_ptr_equal(vine_fifo_pop(&fifo), &nodes[0]);
    assert_ptr_equal(vine_fifo_pop(&fifo), &nodes[1]);
}

static void a_queue_is_put_behind_another(void **state)
{
    struct vine_fifo fifo = {0};
    struct vine_fifo from = {0};
    struct vine_fifo_node nodes[5];

    (void)state;
    vine_fifo_append(&fifo, &from);
    assert_true(vine_fifo_is_empty(&fifo));
    vine_fifo_push(&from, &nodes[0]);
    vine_fifo_push(&from, &nodes[1]);
    vine_fifo_append(&fifo, &from);
    assert_true(vine_fifo_is_empty(&from));
    vine_fifo_push(&from, &nodes[2]);
    vine_fifo_push(&from, &nodes[3]);
    vine_fifo_append(&fifo, &from);
    vine_fifo_append(&fifo, &from);
    vine_fifo_push(&fifo, &nodes[4]);
    for (int i = 0; i < 5; i++)
        assert_ptr_equal(vine_fifo_pop(&fifo), &nodes[i]);
    assert_null(vine_fifo_pop(&fifo));
}

static void a_node_that_is_not_there_is_not_taken_out(void **state)
{
    struct vine_fifo fifo = {0};
    struct vine_fifo_node nodes[2];

    (void)state;
    assert_false(vine_fifo_remove(&fifo, &nodes[0]));
    vine_fifo_push(&fifo, &nodes[0]);
    assert_false(vine_fifo_remove(&fifo, &nodes[1]));
    assert_ptr_equal(vine_fifo_pop(&fifo), &nodes[0]);
}

static void a_node_is_taken_out_wherever_it_is(void **state)
{
    struct vine_fifo fifo = {0};
    struct vine_fifo_node nodes[4];

    (void)state;
    for (int out = 0; out < 3; out++) {
        for (int i = 0; i < 3; i++)
            vine_fifo_push(&fifo, &nodes[i]);
        assert_true(vine_fifo_remove(&fifo, &nodes[out]));
        assert_false(vine_fifo_remove(&fifo, &nodes[out]));
        vine_fifo_push(&fifo, &nodes[3]); /* behind who is the last now */
        for (int i = 0; i < 4; i++)
            if (i != out)
                assert_ptr_equal(vine_fifo_pop(&fifo), &nodes[i]);
        assert_true(vine_fifo_is_empty(&fifo));
    }
    vine_fifo_push(&fifo, &nodes[0]);
    assert_true(vine_fifo_remove(&fifo, &nodes[0]));
    assert_true(vine_fifo_is_empty(&fifo));
    vine_fifo_push(&fifo, &nodes[1]);
    assert_ptr_equal(vine_fifo_pop(&fifo), &nodes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_memory_is_an_empty_queue),
        cmocka_unit_test(nodes_leave_in_the_order_in_which_they_came),
        cmocka_unit_test(what_is_put_in_front_of_nothing_is_the_last_too),
        cmocka_unit_test(a_queue_is_put_behind_another),
        cmocka_unit_test(a_node_that_is_not_there_is_not_taken_out),
        cmocka_unit_test(a_node_is_taken_out_wherever_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
