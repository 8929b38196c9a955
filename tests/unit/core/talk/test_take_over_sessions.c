/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions, whose state is the predecessor's, while an appliance's place is taken. */
#include "nursery.h"

#include "core/talk/pipe_internal.h"

/* A pipe, and the parts of a sum that is one session each. */
struct adding {
    struct vine_pipe *pipe;
    struct vine_procedure *sum;
    struct vine_session *session;
};

static struct adding begin_adding(struct vine_pipe *pipe)
{
    struct adding adding = {.pipe = pipe, .sum = served_get(pipe, "sum")};

    assert_int_equal(vine_session_open(pipe, adding.sum, &adding.session), 0);
    return adding;
}

static int add(const struct adding *adding, uint64_t number, bool is_last, uint64_t *ret_sum)
{
    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .bytes = &number,
        .bytes_size = sizeof number,
        .session = adding->session,
        .session_last = is_last,
    };
    struct sum_state result = {0};
    size_t size = sizeof result;
    const int error = vine_task_run(adding->pipe, adding->sum, &options, LIMIT, &result, &size);

    *ret_sum = result.sum;
    return error;
}

static struct vine_task *issue(const struct adding *adding, uint64_t number, bool is_last)
{
    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .bytes = &number,
        .bytes_size = sizeof number,
        .session = adding->session,
        .session_last = is_last,
    };
    struct vine_task *task = NULL;

    assert_int_equal(vine_task_issue(adding->pipe, adding->sum, &options, &task), 0);
    return task;
}

static uint64_t end_with_sum(struct vine_task *task)
{
    struct sum_state result = {0};

    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    assert_int_equal(vine_task_result(task, &result, sizeof result), sizeof result);
    vine_task_free(task);
    return result.sum;
}

/* Until the first has heard that somebody is to have its pipes: the listener is gone before. */
static pid_t succeed(void)
{
    return begin(START_AND_TAKE_OVER);
}

static void a_session_ends_where_it_began(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(0);
    struct adding adding = begin_adding(pipe);
    uint64_t sum = 0;

    (void)state;
    begin_test();
    assert_int_equal(add(&adding, 5, false, &sum), 0);
    const pid_t second = succeed();
    assert_int_equal(add(&adding, 5, false, &sum), 0);
    assert_int_equal(add(&adding, 5, true, &sum), 0);
    assert_int_equal(sum, 15);
    assert_int_equal(renewals_of(pipe), 0);
    vine_session_close(adding.session);
    assert_int_equal(give(END, first).error, 0);
    run_number(pipe, "long", 1);
    assert_int_equal(renewals_of(pipe), 1);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, second).error, 0);
}

static void tasks_and_sessions_beside_a_long_one_do_not_wait_for_it(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(0);
    struct adding adding = begin_adding(pipe);
    uint64_t sum = 0;

    (void)state;
    begin_test();
    assert_int_equal(add(&adding, 1, false, &sum), 0);
    const pid_t second = succeed();
    for (uint64_t i = 0; i < 100; i++) {
        struct adding other = begin_adding(pipe);

        run_number(pipe, "long", i);
        assert_int_equal(add(&other, 7, false, &sum), 0);
        assert_int_equal(add(&other, 7, true, &sum), 0);
        assert_int_equal(sum, 14);
        vine_session_close(other.session);
    }
    assert_int_equal(renewals_of(pipe), 0); /* all of it where the long one is */
    assert_int_equal(add(&adding, 1, true, &sum), 0);
    assert_int_equal(sum, 2);
    vine_session_close(adding.session);
    assert_int_equal(give(END, first).error, 0);
    run_number(pipe, "long", 100);
    assert_int_equal(renewals_of(pipe), 1);
    for (int i = 0; i <= 100; i++)
        assert_int_equal(shared->begun[i], 1);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, second).error, 0);
}

/* One that begins when none is left of before would keep the pipe for ever, by and by. */
static void sessions_that_follow_each_other_come_to_the_successor(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(0);
    struct adding older = begin_adding(pipe);
    uint64_t sum = 0;
    pid_t second;

    (void)state;
    begin_test();
    assert_int_equal(add(&older, 1, false, &sum), 0);
    second = succeed();
    for (uint64_t i = 2; renewals_of(pipe) == 0; i++) {
        struct adding next = begin_adding(pipe);
        struct vine_task *task = issue(&next, i, false);

        /* They overlap, and so there is always one. */
        assert_int_equal(add(&older, i, true, &sum), 0);
        vine_session_close(older.session);
        assert_int_equal(end_with_sum(task), i);
        older = next;
    }
    assert_int_equal(give(END, first).error, 0);
    assert_int_equal(add(&older, 5, true, &sum), 0); /* there it goes on */
    assert_true(sum > 5);
    vine_session_close(older.session);
    assert_int_equal(renewals_of(pipe), 1);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, second).error, 0);
}

/* While a session that began late goes on at the first, what begins behind it is sent back. */
struct leaving {
    pid_t first, second;
    struct vine_pipe *pipe;
    struct adding late;
};

static struct leaving begin_leaving(void)
{
    struct leaving leaving = {.first = begin(START_AND_LISTEN)};
    struct adding kept;
    uint64_t sum = 0;

    leaving.pipe = open_pipe(0);
    kept = begin_adding(leaving.pipe);
    begin_test();
    assert_int_equal(add(&kept, 1, false, &sum), 0);
    leaving.second = succeed();
    leaving.late = begin_adding(leaving.pipe); /* as long as the first is there it is served */
    assert_int_equal(add(&leaving.late, 1, false, &sum), 0);
    assert_int_equal(add(&kept, 1, true, &sum), 0);
    vine_session_close(kept.session);
    return leaving;
}

/* Sent back, and what waits for it too, in their order. */
static void what_was_sent_back_runs_once_and_in_its_order(void **state)
{
    struct leaving leaving = begin_leaving();
    struct vine_pipe *const pipe = leaving.pipe;
    struct vine_task *parts[50];
    uint64_t sum = 0;

    (void)state;

    struct adding sent_back = begin_adding(pipe);
    for (uint64_t i = 0; i < 50; i++)
        parts[i] = issue(&sent_back, i, i == 49);

    uint64_t number = 7;
    struct vine_task *last = parts[49];
    struct vine_task *behind = NULL;
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number, .after = last};
    assert_int_equal(vine_task_issue(pipe, served_get(pipe, "long"), &options, &behind), 0);
    /* They wait for the late one. */
    run_number(pipe, "long", 1);
    assert_int_equal(vine_task_poll(parts[0]), -EAGAIN);
    assert_int_equal(vine_task_poll(behind), -EAGAIN);
    assert_int_equal(shared->begun[7], 0);
    assert_int_equal(add(&leaving.late, 1, true, &sum), 0);
    vine_session_close(leaving.late.session);
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(end_with_sum(parts[i]), i * (i + 1) / 2);
    vine_session_close(sent_back.session);
    assert_int_equal(vine_task_wait(behind, LIMIT), 0);
    vine_task_free(behind);
    assert_int_equal(shared->begun[7], 1);
    assert_int_equal(renewals_of(pipe), 1);
    assert_int_equal(give(END, leaving.first).error, 0);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, leaving.second).error, 0);
}

static void what_was_sent_back_runs_there_if_the_successor_is_killed(void **state)
{
    struct leaving leaving = begin_leaving();
    struct vine_pipe *const pipe = leaving.pipe;
    uint64_t sum = 0;

    (void)state;
    struct adding sent_back = begin_adding(pipe);
    struct vine_task *task = issue(&sent_back, 3, true);
    run_number(pipe, "long", 1); /* behind it: it was seen */
    assert_int_equal(vine_task_poll(task), -EAGAIN);
    assert_int_equal(give(KILL, leaving.second).error, -SIGKILL);
    assert_int_equal(add(&leaving.late, 1, true, &sum), 0);
    assert_int_equal(sum, 2);
    vine_session_close(leaving.late.session);
    assert_int_equal(end_with_sum(task), 3);
    vine_session_close(sent_back.session);
    assert_int_equal(renewals_of(pipe), 1);
    run_number(pipe, "long", 2);
    /* It is left to the next one as before. */
    const pid_t third = succeed();
    assert_int_equal(give(END, leaving.first).error, 0);
    run_number(pipe, "long", 3);
    assert_int_equal(renewals_of(pipe), 2);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, third).error, 0);
}

/* Sent back, since it waits for what was, or is of a session of which nothing has begun. */
static struct vine_task *issue_after(struct vine_pipe *pipe, const char *name, uint64_t number,
                                     struct vine_session *session, struct vine_task *after)
{
    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .bytes = &number,
        .bytes_size = sizeof number,
        .session = session,
        .after = after,
    };
    struct vine_task *task = NULL;

    assert_int_equal(vine_task_issue(pipe, served_get(pipe, name), &options, &task), 0);
    return task;
}

static void ends_by_cancel(struct vine_task *task)
{
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_ECANCELED);
    vine_task_free(task);
}

/* The first has sent them back when it is told to cancel two tasks and to cut a session. */
static void what_is_said_of_what_was_sent_back_the_successor_hears(void **state)
{
    struct leaving leaving = begin_leaving();
    struct vine_pipe *const pipe = leaving.pipe;
    uint64_t sum = 0;

    (void)state;

    struct adding cut = begin_adding(pipe);
    struct adding spoiled = begin_adding(pipe);
    struct vine_task *part = issue(&cut, 3, false);
    struct vine_task *behind = issue_after(pipe, "stubborn", 7, NULL, part);
    struct vine_task *endless = issue_after(pipe, "stubborn", 8, NULL, part);
    struct vine_task *last = issue_after(pipe, "sum", 9, spoiled.session, endless);
    run_number(pipe, "long", 1); /* behind them: they were seen */
    assert_int_equal(vine_task_poll(part), -EAGAIN);
    assert_int_equal(vine_task_cancel(behind), 0);
    assert_int_equal(vine_task_cancel(last), 0);
    vine__session_cut(cut.session);
    run_number(pipe, "long", 2);
    assert_int_equal(vine_task_poll(behind), -EAGAIN);
    assert_int_equal(add(&leaving.late, 1, true, &sum), 0);
    vine_session_close(leaving.late.session);

    ends_by_cancel(part);
    ends_by_cancel(behind);
    ends_by_cancel(last); /* what it waits for goes on */
    assert_int_equal(vine_task_poll(endless), -EAGAIN);
    assert_int_equal(vine_task_cancel(endless), 0);
    ends_by_cancel(endless);
    assert_int_equal(shared->begun[7], 0);
    assert_int_equal(renewals_of(pipe), 1);
    assert_int_equal(add(&cut, 1, false, &sum), -VINE_ECANCELED);
    assert_int_equal(add(&spoiled, 1, false, &sum), -VINE_ESESSION);
    vine_session_close(cut.session);
    vine_session_close(spoiled.session);
    assert_int_equal(give(END, leaving.first).error, 0);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, leaving.second).error, 0);
}

static void a_session_that_does_not_end_is_told_as_lost(void **state)
{
    const pid_t first = begin(START_IMPATIENTLY);
    struct vine_pipe *pipe = open_pipe(0);
    struct adding adding = begin_adding(pipe);
    uint64_t sum = 0;

    (void)state;
    begin_test();
    assert_int_equal(add(&adding, 5, false, &sum), 0);
    const pid_t second = succeed();
    assert_int_equal(give(END, first).error, 0);
    assert_int_equal(add(&adding, 5, false, &sum), -VINE_EPEERLOST);
    vine_session_close(adding.session);
    run_number(pipe, "long", 1);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, second).error, 0);
}

static void a_task_that_does_not_end_is_told_as_lost_with_the_reason(void **state)
{
    const pid_t first = begin(START_IMPATIENTLY);
    struct vine_pipe *pipe = open_pipe(0);
    uint64_t number = 1;
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};
    struct vine_task *task = NULL;
    char reason[128];

    (void)state;
    begin_test();
    assert_int_equal(vine_task_issue(pipe, served_get(pipe, "stubborn"), &options, &task), 0);
    while (__atomic_load_n(&shared->waiting, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
    const pid_t second = succeed();
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EPEERLOST);
    assert_true(vine_task_reason(task, reason, sizeof reason) > 0);
    assert_non_null(strstr(reason, "takes over"));
    vine_task_free(task);
    assert_int_equal(give(END, first).error, 0);
    run_number(pipe, "long", 2);
    assert_int_equal(shared->begun[1], 1);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, second).error, 0);
}

static void a_task_that_heeds_nothing_takes_its_pipe_with_it(void **state)
{
    const pid_t first = begin(START_IMPATIENTLY);
    struct vine_pipe *pipe = open_pipe(LIMIT);
    struct vine_pipe *other = open_pipe(0);
    uint64_t number = 1;
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};
    struct vine_task *task = NULL;

    (void)state;
    begin_test();
    run_number(other, "long", 3);
    assert_int_equal(vine_task_issue(pipe, served_get(pipe, "deaf"), &options, &task), 0);
    while (__atomic_load_n(&shared->waiting, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
    const pid_t second = succeed();
    run_number(other, "long", 4); /* which is nobody else's matter */
    assert_int_equal(renewals_of(other), 1);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EPEERLOST);
    vine_task_free(task);
    run_number(pipe, "long", 2);
    __atomic_store_n(&shared->gate_is_open, 1, __ATOMIC_RELEASE);
    assert_int_equal(give(END, first).error, 0);
    vine_pipe_close(pipe);
    vine_pipe_close(other);
    assert_int_equal(give(STOP, second).error, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_ends_where_it_began),
        cmocka_unit_test(tasks_and_sessions_beside_a_long_one_do_not_wait_for_it),
        cmocka_unit_test(sessions_that_follow_each_other_come_to_the_successor),
        cmocka_unit_test(what_was_sent_back_runs_once_and_in_its_order),
        cmocka_unit_test(what_was_sent_back_runs_there_if_the_successor_is_killed),
        cmocka_unit_test(what_is_said_of_what_was_sent_back_the_successor_hears),
        cmocka_unit_test(a_session_that_does_not_end_is_told_as_lost),
        cmocka_unit_test(a_task_that_does_not_end_is_told_as_lost_with_the_reason),
        cmocka_unit_test(a_task_that_heeds_nothing_takes_its_pipe_with_it),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
