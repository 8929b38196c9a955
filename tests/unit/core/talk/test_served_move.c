/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe on its way from one part of an appliance to another, step by step: two parts in one
 * thread, and between them the test, in whose hands the pipe is. */
#include "harness/procedures.h"
#include "hostile/stepped_appliance.h"

enum { NOOP, JOB };

#define CHANNELS 3u

static struct stepped here;
static struct stepped there; /* the other part; its path is not used */
static struct raw_application raw;
static struct vine__served *on_its_way; /* sent by `here`, and not taken */

static const struct vine_procedure_definition procedures[] = {
    [NOOP] = {.size_bytes = sizeof procedures[0],
              .name = "noop",
              .flags = VINE_PROCEDURE_SHORT,
              .run = run_noop},
    [JOB] = {.size_bytes = sizeof procedures[0], .name = "job", .run = run_noop},
};

static void send_it(void *context, struct vine__served *pipe, uint32_t to)
{
    (void)context;
    assert_int_equal(to, 1);
    assert_null(on_its_way);
    on_its_way = pipe;
}

static void start(void)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options, .leaves = true};

    on_its_way = NULL;
    stepped_start(&here, &options);
    there = (struct stepped){.appliance = NULL};
    assert_int_equal(vine__serving_create(&options, here.appliance, &there.appliance), 0);
    for (size_t i = 0; i < sizeof procedures / sizeof procedures[0]; i++)
        assert_int_equal(vine_appliance_register(here.appliance, &procedures[i]), 0);
    vine__serving_set_mover(here.appliance, send_it, NULL);
    stepped_open(&here, &raw, CHANNELS);
    stepped_turn(&here);
}

static void stop(void)
{
    struct vine__common *const common = here.appliance->common;
    struct vine__list *buried;

    raw_close(&raw);
    /* What was left to those who were about to run jobs. */
    while ((buried = vine__list_pop_front(&common->buried)) != NULL) {
        vine__served_bury(VINE_LIST_OBJECT(buried, struct vine__served, link));
        (void)vine__fetch_sub_acq_rel_u32(&common->buried_count, 1);
    }
    vine_appliance_destroy(there.appliance);
    stepped_stop(&here);
}

/* Have it set out for the other part, or not. Returns how many pipes did. */
static uint32_t move_within(uint64_t limit_ns)
{
    const struct vine__serving_move move = {
        .to = 1, .count_max = 8, .limit_ns = limit_ns, .most_ticks = UINT64_MAX};

    return vine__serving_move_off(here.appliance, &move);
}

static void send_off(void)
{
    assert_int_equal(move_within(VINE_NS_PER_SECOND), 1);
    stepped_turn(&here);
    assert_non_null(on_its_way);
}

static void take(void)
{
    vine__serving_take(there.appliance, on_its_way);
    on_its_way = NULL;
}

/* As if somebody else were about to run jobs. */
static void hold_jobs(bool are_held)
{
    vine__store_relaxed_u32(&here.appliance->common->worker_count, are_held);
}

/* Submit a job that is taken, and does not run. */
static void hold_job(uint64_t deadline_ns)
{
    struct vine_wire_submission submission = stepped_task(JOB, 1);

    hold_jobs(true);
    if (deadline_ns != 0) {
        submission.kind |= VINE_WIRE_HAS_DEADLINE;
        stepped_give(&submission, &deadline_ns, sizeof deadline_ns, NULL, 0);
    }
    stepped_submit(&raw, 0, submission);
    for (uint32_t i = 0; stepped_newest(&here)->jobs_taken == 0; i++) {
        assert_true(i < 10);
        stepped_turn(&here);
    }
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void none_sets_out_from_a_part_that_drains(void **state)
{
    (void)state;
    start();
    hold_job(0);
    vine_appliance_stop(here.appliance);
    assert_int_not_equal(vine__serving_turn(here.appliance, vine__clock_ticks()),
                         VINE__SERVING_OVER);
    assert_int_equal(move_within(VINE_NS_PER_SECOND), 0);
    hold_jobs(false);
    stop();
}

static void one_that_waits_to_set_out_stays_when_its_part_drains(void **state)
{
    (void)state;
    start();
    hold_job(0);
    assert_int_equal(move_within(VINE_NS_PER_SECOND), 1);
    vine_appliance_stop(here.appliance);
    assert_int_not_equal(vine__serving_turn(here.appliance, vine__clock_ticks()),
                         VINE__SERVING_OVER);
    hold_jobs(false);
    while (vine__serving_turn(here.appliance, vine__clock_ticks()) != VINE__SERVING_OVER)
        assert_null(on_its_way);
    assert_null(on_its_way);
    assert_int_equal(stepped_completed(&raw, 0), 1); /* what was taken has ended */
    stop();
}

static void one_whose_task_does_not_end_is_served_on_and_left_in_peace(void **state)
{
    const struct vine__serving_move move = {.to = 1,
                                            .count_max = 8,
                                            .most_ticks = UINT64_MAX,
                                            .rest_ticks =
                                                vine__clock_ns_to_ticks(UINT64_C(1) << 40)};

    (void)state;
    start();
    hold_job(0);
    assert_int_equal(vine__serving_move_off(here.appliance, &move), 1);
    stepped_submit(&raw, 1, stepped_task(NOOP, 2));
    stepped_turn(&here); /* its limit is over */
    (void)stepped_complete(&here, &raw, 1, 100, NULL);
    assert_null(on_its_way);
    hold_jobs(false);
    (void)stepped_complete(&here, &raw, 0, 100, NULL);
    assert_int_equal(vine__serving_move_off(here.appliance, &move), 0);
    stop();
}

static void one_that_took_little_or_too_much_does_not_go(void **state)
{
    struct vine__serving_move move = {.to = 1, .count_max = 8, .least_ticks = 10};
    struct vine__served *pipe;

    (void)state;
    start();
    pipe = stepped_newest(&here);
    vine__serving_measure(here.appliance);
    vine__loop_activate(pipe);
    vine__served_used(pipe, 9);
    move.most_ticks = 1000;
    assert_int_equal(vine__serving_move_off(here.appliance, &move), 0);
    vine__served_used(pipe, 1);
    move.most_ticks = 9;
    assert_int_equal(vine__serving_move_off(here.appliance, &move), 0);
    /* Before it was measured anew. */
    vine__serving_measure(here.appliance);
    move.most_ticks = 1000;
    assert_int_equal(vine__serving_move_off(here.appliance, &move), 0);
    vine__served_used(pipe, 10);
    assert_int_equal(vine__serving_move_off(here.appliance, &move), 1);
    stop();
}

/* ---- on its way ------------------------------------------------------------------------------ */

static void what_comes_meanwhile_is_for_the_next_part(void **state)
{
    struct vine__served *pipe;

    (void)state;
    start();
    send_off();
    pipe = on_its_way;
    pipe->debt_ticks = 7;
    for (uint32_t i = 0; i < CHANNELS; i++)
        stepped_submit(&raw, i, stepped_task(NOOP, i));
    stepped_turn(&here);
    for (uint32_t i = 0; i < CHANNELS; i++)
        assert_int_equal(stepped_completed(&raw, i), 0);
    take();
    assert_int_equal(pipe->debt_ticks, 7); /* what it owes it owes there */
    pipe->debt_ticks = 0;
    for (uint32_t i = 0; i < CHANNELS; i++)
        assert_int_equal(stepped_complete(&there, &raw, i, 100, NULL).operation, i);
    assert_int_equal(stepped_stats(&here).pipes_moved, 1);
    /* Its channels are listed there as they were, and it sleeps and wakes up. */
    there.appliance->active_ticks = 0;
    there.appliance->sweep_ticks = 0;
    for (uint32_t i = 0; pipe->is_active; i++) {
        assert_true(i < 1000);
        stepped_turn(&there);
    }
    stepped_submit(&raw, CHANNELS - 1, stepped_task(NOOP, 9));
    (void)stepped_complete(&there, &raw, CHANNELS - 1, 100, NULL);
    stop();
}

static void it_is_open_and_listed_and_its_memory_is_told_of_once(void **state)
{
    struct vine_wire_pipe listed[2];
    uint64_t cursor = 0;

    (void)state;
    start();
    while (vine__events_look_around(here.appliance))
        continue;
    const uint64_t bytes = stepped_stats(&here).memory_bytes;

    assert_true(bytes > 0);
    send_off();
    assert_int_equal(stepped_stats(&here).pipes_open, 1);

    const struct vine__roll_reader reader = {on_its_way, true};

    assert_int_equal(vine__roll_read(&here.appliance->common->roll, &reader, listed, 2, &cursor),
                     1);
    assert_int_equal(listed[0].flags & VINE_WIRE_PIPE_CLOSED, 0);
    assert_int_equal(vine__serving_load(here.appliance), 0);
    take();
    assert_int_equal(stepped_stats(&here).pipes_open, 1);
    assert_int_equal(vine__serving_load(there.appliance), 1);
    assert_int_equal(stepped_stats(&here).memory_bytes, bytes);
    while (vine__events_look_around(here.appliance) || vine__events_look_around(there.appliance))
        continue;
    assert_int_equal(stepped_stats(&here).memory_bytes, bytes);
    stop();
}

static void whose_application_goes_meanwhile_is_closed_where_it_arrives(void **state)
{
    (void)state;
    start();
    send_off();
    raw_close(&raw);
    stepped_turn(&here);
    assert_int_equal(stepped_stats(&here).pipes_open, 1);
    take();
    for (uint32_t i = 0; stepped_stats(&here).pipes_open > 0; i++) {
        assert_true(i < 10);
        stepped_turn(&there);
    }
    stepped_open(&here, &raw, 1); /* so that there is something to close */
    stop();
}

static void one_that_arrives_where_all_has_ended_ends(void **state)
{
    (void)state;
    start();
    send_off();
    vine_appliance_stop(here.appliance);
    assert_int_equal(vine__serving_turn(there.appliance, vine__clock_ticks()), VINE__SERVING_OVER);
    take();
    assert_int_equal(stepped_stats(&here).pipes_open, 0);
    assert_int_equal(there.appliance->pipe_count, 0);
    assert_int_equal(raw_wait_closed(&raw), VINE_EDRAINING);
    stop();
}

static void a_task_is_waited_for_and_ends_at_its_deadline(void **state)
{
    const uint64_t wanted_ns = VINE_NS_PER_SECOND;

    (void)state;
    start();
    hold_job(wanted_ns);
    assert_false(vine__list_is_empty(&here.appliance->timed));
    assert_int_equal(move_within(60 * VINE_NS_PER_SECOND), 1);
    stepped_turn(&here);
    assert_null(on_its_way);
    (void)vine__deadlines_look(here.appliance,
                               vine__clock_ticks() + vine__clock_ns_to_ticks(2 * wanted_ns));
    assert_int_equal(stepped_complete(&here, &raw, 0, 100, NULL).status, VINE_EDEADLINE);
    assert_non_null(on_its_way);
    assert_true(vine__list_is_empty(&here.appliance->timed));
    take();
    hold_jobs(false);
    stop();
}

/* ---- and all are left to another process ----------------------------------------------------- */

static int take_over(void *successor)
{
    return vine_appliance_take_over(successor, here.path, RAW_LIMIT_NS);
}

static struct vine_appliance *succeed(void)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options};
    struct vine_appliance *successor;

    assert_int_equal(vine_appliance_create(&options, &successor), 0);
    assert_int_equal(stepped_turn_while(&here, take_over, successor), 0);
    return successor;
}

static void one_that_waits_to_set_out_is_left(void **state)
{
    struct vine_appliance *successor;

    (void)state;
    start();
    hold_job(0);
    assert_int_equal(move_within(60 * VINE_NS_PER_SECOND), 1);
    successor = succeed();
    assert_int_equal(move_within(VINE_NS_PER_SECOND), 0);
    hold_jobs(false);
    for (uint32_t i = 0; !here.appliance->has_left; i++) {
        assert_true(i < 1000);
        stepped_turn(&here);
    }
    assert_null(on_its_way);
    assert_int_equal(stepped_completed(&raw, 0), 1);
    assert_int_equal(vine__load_acquire_u32(&raw.mirror.layout->board.closed.value),
                     VINE_TALK_LEFT);
    vine_appliance_destroy(successor);
    stop();
}

/* That it ends is all that the pipe waits for. */
static void who_cancels_what_still_runs_is_heard_as_it_is_left(void **state)
{
    struct vine_wire_submission cancel = {.operation = 1, .kind = VINE_WIRE_CANCEL};
    struct vine_appliance *successor;

    (void)state;
    start();
    hold_job(0);
    successor = succeed();
    stepped_turn(&here);
    assert_false(here.appliance->has_left);
    stepped_submit(&raw, 0, stepped_task(NOOP, 2));
    stepped_submit(&raw, 1, cancel);
    for (uint32_t i = 0; !here.appliance->has_left; i++) {
        assert_true(i < 10);
        stepped_turn(&here);
    }
    assert_int_equal(stepped_completed(&raw, 0), 1); /* and the other is the successor's */
    hold_jobs(false);
    vine_appliance_destroy(successor);
    stop();
}

static void one_on_its_way_is_waited_for_and_left_where_it_arrives(void **state)
{
    struct vine_appliance *successor;

    (void)state;
    start();
    send_off();
    successor = succeed();
    for (int i = 0; i < 10; i++) {
        stepped_turn(&here);
        stepped_turn(&there);
        assert_false(here.appliance->has_left);
    }
    take();
    for (uint32_t i = 0; !here.appliance->has_left; i++) {
        assert_true(i < 10);
        stepped_turn(&there);
        stepped_turn(&here);
    }
    assert_int_equal(vine__load_acquire_u32(&raw.mirror.layout->board.closed.value),
                     VINE_TALK_LEFT);
    assert_int_equal(stepped_stats(&here).pipes_open, 0);
    vine_appliance_destroy(successor);
    stop();
}

/* And with its name: who connects finds it. */
static void whose_successor_ends_first_goes_on_with_the_listener(void **state)
{
    struct vine_appliance *successor;
    struct raw_application other;

    (void)state;
    start();
    hold_job(0);
    successor = succeed();
    vine_appliance_stop(successor);
    while (vine__serving_turn(successor, vine__clock_ticks()) != VINE__SERVING_OVER)
        continue;
    vine_appliance_destroy(successor);
    stepped_turn(&here);
    stepped_open(&here, &other, 1);
    hold_jobs(false);
    (void)stepped_complete(&here, &raw, 0, 100, NULL);
    raw_close(&other);
    stop();
}

/* The successor would take a pipe before that for nonsense. */
static void parts_leave_pipes_behind_the_listener(void **state)
{
    struct vine_appliance *successor;
    struct vine__common *common;

    (void)state;
    start();
    common = here.appliance->common;
    send_off();
    take();
    vine__store_release_u32(&common->leaving, 1); /* begun, and the listener is not left */
    stepped_turn(&there);
    assert_int_equal(stepped_stats(&here).pipes_open, 1);
    assert_int_equal(vine__load_relaxed_u32(&common->leaving), 1); /* it has sent nothing at all */
    vine__store_release_u32(&common->leaving, 0);
    successor = succeed();
    for (uint32_t i = 0; !here.appliance->has_left; i++) {
        assert_true(i < 10);
        stepped_turn(&there);
        stepped_turn(&here);
    }
    vine_appliance_destroy(successor);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_sets_out_from_a_part_that_drains),
        cmocka_unit_test(one_that_waits_to_set_out_stays_when_its_part_drains),
        cmocka_unit_test(one_whose_task_does_not_end_is_served_on_and_left_in_peace),
        cmocka_unit_test(one_that_took_little_or_too_much_does_not_go),
        cmocka_unit_test(what_comes_meanwhile_is_for_the_next_part),
        cmocka_unit_test(it_is_open_and_listed_and_its_memory_is_told_of_once),
        cmocka_unit_test(whose_application_goes_meanwhile_is_closed_where_it_arrives),
        cmocka_unit_test(one_that_arrives_where_all_has_ended_ends),
        cmocka_unit_test(a_task_is_waited_for_and_ends_at_its_deadline),
        cmocka_unit_test(one_that_waits_to_set_out_is_left),
        cmocka_unit_test(who_cancels_what_still_runs_is_heard_as_it_is_left),
        cmocka_unit_test(one_on_its_way_is_waited_for_and_left_where_it_arrives),
        cmocka_unit_test(whose_successor_ends_first_goes_on_with_the_listener),
        cmocka_unit_test(parts_leave_pipes_behind_the_listener),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
