/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that find no room in a ring, since their appliance does not read it. */
#include "liar.h"

#include "core/talk/pipe_internal.h"

static struct vine_task *task;

/* A task, and so many cancels of it that one finds no room. */
static void fill_ring(void)
{
    struct vine_wire_submission submission;

    start();
    task = issue(&submission);
    for (uint32_t i = 0; i < 2 * SLOTS; i++)
        assert_int_equal(vine_task_cancel(task), 0);
}

static uint32_t take_all(void)
{
    struct vine_wire_submission submission;
    uint32_t count = 0;

    while (vine_spsc_pop(&liar.submissions, &submission) == 0)
        count++;
    vine__spsc_consumer_publish(&liar.submissions);
    return count;
}

static void finish(void)
{
    vine_task_free(task);
    vine_data_free(input);
    vine_data_free(outputs[0]);
    vine_data_free(outputs[1]);
    stop();
}

/* Who tries until the task has ended takes no more memory by that. */
static void a_task_that_is_canceled_again_and_again_waits_for_room_once(void **state)
{
    (void)state;
    fill_ring();
    assert_int_equal(liar.pipe->kept_count, 1);
    assert_true(take_all() > 1);
    assert_int_equal(vine_task_poll(task), -EAGAIN);
    assert_int_equal(liar.pipe->kept_count, 0);
    assert_int_equal(take_all(), 1);
    assert_int_equal(vine_task_cancel(task), 0);
    assert_int_equal(take_all(), 1);
    finish();
}

/* Nothing else wakes it. */
static void a_loop_that_sleeps_sends_what_found_no_room(void **state)
{
    uint64_t timeout_ns = 0;
    int fd = -1;

    (void)state;
    fill_ring();
    assert_int_equal(vine_pipe_descriptor(liar.pipe, &fd), 0);
    while (timeout_ns == 0)
        assert_int_equal(vine_pipe_arm(liar.pipe, &timeout_ns), 0);
    assert_in_range(timeout_ns, 1, VINE__KEPT_NS);
    assert_true(take_all() > 0);
    do
        assert_int_equal(vine_pipe_arm(liar.pipe, &timeout_ns), 0);
    while (timeout_ns == 0);
    assert_int_equal(take_all(), 1);
    assert_true(timeout_ns > VINE__KEPT_NS);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_that_is_canceled_again_and_again_waits_for_room_once),
        cmocka_unit_test(a_loop_that_sleeps_sends_what_found_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
