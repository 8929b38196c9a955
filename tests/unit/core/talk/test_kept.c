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

/* What comes next, read by who says so later, and never of the last hundred: tasks find room in the
 * ring, and messages none. */
static void peek(struct vine_wire_submission *ret_submission)
{
    do {
        struct vine_spsc_consumer *ring = &liar.submissions;

        assert_int_equal(vine__spsc_ready(ring), 1);
        memcpy(ret_submission, vine__spsc_next(ring)->payload, sizeof *ret_submission);
        ring->position++;
        if (ring->position > 200) {
            struct vine_spsc_consumer late = *ring;

            late.position -= 100;
            vine__spsc_consumer_publish(&late);
        }
    } while ((ret_submission->kind & VINE_WIRE_KIND_MASK) != VINE_WIRE_TASK);
}

/* Each task brings a result anew, and gives back the one before. */
static void an_appliance_that_ends_tasks_and_reads_no_messages_is_left(void **state)
{
    struct vine_wire_completion completion = {.kind = VINE_WIRE_TASK,
                                              .shape = VINE_WIRE_SHAPE(0, 2)};
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &input,
                                              .input_count = 1,
                                              .outputs = outputs,
                                              .output_count = 2};
    struct vine_procedure *procedure = NULL;
    struct vine_wire_submission submission;
    struct vine_pipe_limits limits;
    struct vine_box box;
    uint64_t count = 0;
    int error = 0;

    (void)state;
    start();
    task = issue(&submission);
    vine_pipe_get_limits(liar.pipe, &limits);
    assert_int_equal(vine_procedure_get(liar.pipe, "lie", &procedure), 0);
    assert_int_equal(vine__half_create_box(&liar.half, VINE_TYPE_U32, 64, 0, &box), 0);
    memcpy(completion.body, &box.token, sizeof box.token);
    while (error == 0) {
        completion.operation = submission.operation;
        complete(&completion);
        assert_int_equal(vine_task_wait(task, LIMIT), 0);
        vine_task_free(task);
        task = NULL;
        error = vine_task_issue(liar.pipe, procedure, &options, &task);
        if (error == 0 && vine_pipe_status(liar.pipe) == 0)
            peek(&submission);
        else
            error = vine_pipe_status(liar.pipe);
        assert_true(count++ < limits.memory_max_bytes / 64);
    }
    assert_int_equal(error, -VINE_EPROTOCOL);
    assert_non_null(strstr(told, "reads no messages"));
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_that_is_canceled_again_and_again_waits_for_room_once),
        cmocka_unit_test(a_loop_that_sleeps_sends_what_found_no_room),
        cmocka_unit_test(an_appliance_that_ends_tasks_and_reads_no_messages_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
