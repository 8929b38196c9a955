/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "unit/core/sync/sync_tests.h"

#include <vine/queue.h>

#define SLOTS 3

static void *slots[SLOTS];
static int items[16];

static void start(struct vine_queue *queue)
{
    start_guests();
    vine_queue_init(queue, slots, SLOTS);
}

static void fill(struct vine_queue *queue)
{
    for (int n = 0; n < SLOTS; n++)
        assert_int_equal(vine_queue_try_push(queue, &items[n]), 0);
}

static void assert_pops(struct vine_queue *queue, const int *item)
{
    void *got = NULL;

    assert_int_equal(vine_queue_try_pop(queue, &got), 0);
    assert_ptr_equal(got, item);
}

static void ending_one_that_somebody_pops_from(void)
{
    struct vine_queue queue;

    start(&queue);
    vine_queue_pop(&queue, &guests[0].waiting);
    vine_queue_fini(&queue);
}

static void ending_one_that_somebody_pushes_to(void)
{
    struct vine_queue queue;

    start(&queue);
    for (int n = 0; n <= SLOTS; n++)
        vine_queue_push(&queue, &guests[n].waiting, NULL);
    vine_queue_fini(&queue);
}

static void making_one_without_slots(void)
{
    struct vine_queue queue;

    vine_queue_init(&queue, slots, 0);
}

static void what_must_not_be_done_fails_an_assertion(void **state)
{
    (void)state;
    assert_true(fails_an_assertion(ending_one_that_somebody_pops_from));
    assert_true(fails_an_assertion(ending_one_that_somebody_pushes_to));
    assert_true(fails_an_assertion(making_one_without_slots));
}

static void a_full_queue_takes_nothing_and_an_empty_one_gives_nothing(void **state)
{
    struct vine_queue queue;
    void *got = &items[9];
    (void)state;

    start(&queue);
    assert_int_equal(vine_queue_try_pop(&queue, &got), -EAGAIN);
    assert_ptr_equal(got, &items[9]);
    fill(&queue);
    assert_int_equal(vine_queue_try_push(&queue, &items[3]), -EAGAIN);
    assert_int_equal(vine_queue_count(&queue), SLOTS);
    for (int n = 0; n < SLOTS; n++)
        assert_pops(&queue, &items[n]);
    assert_int_equal(vine_queue_try_pop(&queue, &got), -EAGAIN);
    vine_queue_fini(&queue);
}

static void a_closed_queue_takes_nothing_and_gives_what_it_has(void **state)
{
    struct vine_queue queue;
    void *got = NULL;
    (void)state;

    start(&queue);
    fill(&queue);
    vine_queue_push(&queue, &guests[0].waiting, &items[3]);
    vine_queue_close(&queue);
    assert_int_equal(vine_queue_try_push(&queue, &items[4]), -VINE_ECLOSED);
    vine_queue_push(&queue, &guests[1].waiting, &items[5]);
    run_core(0);
    ASSERT_ENDED(0, -VINE_ECLOSED, 1);
    ASSERT_ENDED(1, -VINE_ECLOSED, 2);
    vine_queue_pop(&queue, &guests[2].waiting);
    run_core(0);
    ASSERT_ENDED(2, 0, 3);
    assert_ptr_equal(vine_queue_item(&guests[2].waiting), &items[0]);
    assert_pops(&queue, &items[1]);
    assert_pops(&queue, &items[2]);
    assert_int_equal(vine_queue_try_pop(&queue, &got), -VINE_ECLOSED);
    vine_queue_pop(&queue, &guests[3].waiting);
    run_core(0);
    ASSERT_ENDED(3, -VINE_ECLOSED, 4);
    vine_queue_fini(&queue);
}

static void closing_ends_those_who_wait_for_an_item(void **state)
{
    struct vine_queue queue;
    (void)state;

    start(&queue);
    vine_queue_pop(&queue, &guests[0].waiting);
    vine_queue_pop(&queue, &guests[1].waiting);
    vine_queue_close(&queue);
    assert_int_equal(guest_calls, 0);
    run_core(0);
    ASSERT_ENDED(0, -VINE_ECLOSED, 1);
    ASSERT_ENDED(1, -VINE_ECLOSED, 2);
    vine_queue_fini(&queue);
}

static void items_go_to_those_who_wait_in_their_order(void **state)
{
    struct vine_queue queue;
    (void)state;

    start(&queue);
    for (int n = 0; n < 3; n++)
        vine_queue_pop(&queue, &guests[n].waiting);
    assert_true(vine_waiting_cancel(&guests[1].waiting));
    assert_int_equal(vine_queue_try_push(&queue, &items[0]), 0);
    vine_queue_push(&queue, &guests[3].waiting, &items[1]);
    assert_int_equal(vine_queue_try_push(&queue, &items[2]), 0); /* nobody waits any more */
    assert_int_equal(vine_queue_count(&queue), 1);
    assert_int_equal(guest_calls, 0);
    run_core(0);
    ASSERT_ENDED(1, -ECANCELED, 1);
    ASSERT_ENDED(0, 0, 2);
    ASSERT_ENDED(2, 0, 3);
    ASSERT_ENDED(3, 0, 4);
    assert_ptr_equal(vine_queue_item(&guests[0].waiting), &items[0]);
    assert_ptr_equal(vine_queue_item(&guests[2].waiting), &items[1]);
    assert_pops(&queue, &items[2]);
    vine_queue_fini(&queue);
}

static void who_waits_for_room_comes_in_its_order(void **state)
{
    struct vine_queue queue;
    (void)state;

    start(&queue);
    fill(&queue);
    for (int n = 0; n < 4; n++)
        vine_queue_push(&queue, &guests[n].waiting, &items[SLOTS + n]);
    assert_true(vine_waiting_cancel(&guests[1].waiting));
    assert_pops(&queue, &items[0]);
    assert_int_equal(vine_queue_try_push(&queue, &items[9]), -EAGAIN); /* nobody overtakes */
    assert_pops(&queue, &items[1]);
    assert_int_equal(guest_calls, 0);
    run_core(0);
    ASSERT_ENDED(1, -ECANCELED, 1);
    ASSERT_ENDED(0, 0, 2);
    ASSERT_ENDED(2, 0, 3);
    assert_pops(&queue, &items[2]);
    assert_pops(&queue, &items[SLOTS + 0]);
    assert_pops(&queue, &items[SLOTS + 2]);
    assert_pops(&queue, &items[SLOTS + 3]);
    run_core(0);
    ASSERT_ENDED(3, 0, 4);
    vine_queue_fini(&queue);
}

static void an_item_of_one_who_gave_up_is_not_taken_in(void **state)
{
    struct vine_queue queue;
    void *got = NULL;
    (void)state;

    start(&queue);
    fill(&queue);
    vine_waiting_set_deadline(&guests[0].waiting, now_ns() + 10);
    vine_queue_push(&queue, &guests[0].waiting, &items[3]);
    run_core(10 + DEADLINE_SLACK_NS);
    ASSERT_ENDED(0, -ETIMEDOUT, 1);
    for (int n = 0; n < SLOTS; n++)
        assert_pops(&queue, &items[n]);
    assert_int_equal(vine_queue_try_pop(&queue, &got), -EAGAIN);
    vine_queue_fini(&queue);
}

/* Far more items than slots, so that the indices go round; order is kept. */
static void many_items_keep_their_order(void **state)
{
    struct vine_queue queue;
    size_t pushed = 0;
    size_t popped = 0;
    uint32_t random = 1;
    (void)state;

    start(&queue);
    while (popped < 10000) {
        void *got = NULL;

        random = random * 1664525u + 1013904223u;
        if (random >> 31 != 0) {
            if (vine_queue_try_push(&queue, &items[pushed % 16]) == 0)
                pushed++;
            else
                assert_int_equal(pushed - popped, SLOTS);
        } else if (vine_queue_try_pop(&queue, &got) == 0) {
            assert_ptr_equal(got, &items[popped % 16]);
            popped++;
        } else {
            assert_int_equal(pushed, popped);
        }
    }
    vine_queue_fini(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_must_not_be_done_fails_an_assertion),
        cmocka_unit_test(a_full_queue_takes_nothing_and_an_empty_one_gives_nothing),
        cmocka_unit_test(a_closed_queue_takes_nothing_and_gives_what_it_has),
        cmocka_unit_test(closing_ends_those_who_wait_for_an_item),
        cmocka_unit_test(items_go_to_those_who_wait_in_their_order),
        cmocka_unit_test(who_waits_for_room_comes_in_its_order),
        cmocka_unit_test(an_item_of_one_who_gave_up_is_not_taken_in),
        cmocka_unit_test(many_items_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, stop_core);
}
