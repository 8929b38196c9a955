/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second and a third appliance take over while the first waits for a session still: new pipes
 * come to one of them, and each of the three may be killed.
 */
#include "nursery.h"

#define NEW_PIPES 20

/* One task of a session was done there; the session goes on. */
struct held {
    struct vine_pipe *pipe;
    struct vine_procedure *sum;
    struct vine_session *session;
};

static int add(const struct held *held, bool is_last)
{
    uint64_t number = 1;
    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .bytes = &number,
        .bytes_size = sizeof number,
        .session = held->session,
        .session_last = is_last,
    };

    return vine_task_run(held->pipe, held->sum, &options, LIMIT, NULL, NULL);
}

static struct held hold_with(uint64_t reconnect_ns)
{
    struct held held = {.pipe = open_pipe(reconnect_ns)};

    held.sum = served_get(held.pipe, "sum");
    assert_int_equal(vine_session_open(held.pipe, held.sum, &held.session), 0);
    assert_int_equal(add(&held, false), 0);
    return held;
}

static struct held hold(void)
{
    return hold_with(LIMIT);
}

/* It went on where it began. */
static void end_session(struct held *held)
{
    assert_int_equal(add(held, false), 0);
    assert_int_equal(add(held, true), 0);
    assert_int_equal(renewals_of(held->pipe), 0);
    vine_session_close(held->session);
}

static void close_held(struct held *held)
{
    run_number(held->pipe, "long", 1);
    assert_int_equal(renewals_of(held->pipe), 1);
    vine_pipe_close(held->pipe);
}

/* Which come to one alone: of two that accept each would have some. */
static void open_new(struct vine_pipe **pipes)
{
    for (uint64_t i = 0; i < NEW_PIPES; i++) {
        pipes[i] = open_pipe(0);
        run_number(pipes[i], "long", i);
    }
}

/* They stayed where they are: who leaves has none of them. */
static void close_new(struct vine_pipe **pipes)
{
    for (uint64_t i = 0; i < NEW_PIPES; i++) {
        run_number(pipes[i], "long", i);
        assert_int_equal(renewals_of(pipes[i]), 0);
        vine_pipe_close(pipes[i]);
    }
}

/* An address whose appliance was killed is served again when that is seen. */
static void wait_until_served(void)
{
    const struct vine_task_options options = {.size_bytes = sizeof options};
    int error;

    do {
        struct vine_procedure *noop = NULL;
        struct vine_pipe *pipe = NULL;

        error = vine_pipe_open(path, NULL, &pipe);
        if (!error)
            error = vine_procedure_get(pipe, "noop", &noop);
        if (!error)
            error = vine_task_run(pipe, noop, &options, LIMIT, NULL, NULL);
        vine_pipe_close(pipe);
    } while (error != 0);
}

/* A second and a third have taken over since a session was begun at the first, and perhaps another
 * one at the second, which then waits as well. */
struct chain {
    pid_t first, second, third;
    struct held older, newer;
    struct vine_pipe *pipes[NEW_PIPES];
};

static struct chain begin_chain(bool second_waits)
{
    struct chain chain = {.first = begin(START_AND_LISTEN)};

    chain.older = hold();
    begin_test();
    chain.second = begin(START_AND_TAKE_OVER);
    if (second_waits)
        chain.newer = hold();
    chain.third = begin(START_AND_TAKE_OVER);
    if (!second_waits) /* nor for the first */
        assert_int_equal(give(END, chain.second).error, 0);
    return chain;
}

/* The third is lost: who has a session still has the address again. */
static void goes_on(struct chain *chain, struct held *held)
{
    wait_until_served();
    open_new(chain->pipes);
    end_session(held);
}

static void stop_last(pid_t pid)
{
    assert_int_equal(give(STOP, pid).error, 0);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void what_the_first_has_still_comes_to_the_third(void **state)
{
    struct chain chain = begin_chain(false);

    (void)state;
    open_new(chain.pipes);
    end_session(&chain.older);
    assert_int_equal(give(END, chain.first).error, 0);
    close_held(&chain.older);
    close_new(chain.pipes);
    stop_last(chain.third);
}

static void sessions_at_the_first_two_end_where_they_began(void **state)
{
    struct chain chain = begin_chain(true);

    (void)state;
    open_new(chain.pipes);
    end_session(&chain.older);
    assert_int_equal(give(END, chain.first).error, 0);
    run_number(chain.older.pipe, "long", 1); /* by way of the second */
    end_session(&chain.newer);
    assert_int_equal(give(END, chain.second).error, 0);
    close_held(&chain.newer);
    vine_pipe_close(chain.older.pipe);
    close_new(chain.pipes);
    stop_last(chain.third);
}

static void a_long_chain_comes_to_the_last_one(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct held held = hold();
    pid_t last = first;

    (void)state;
    begin_test();
    for (int i = 0; i < 10; i++) {
        const pid_t next = begin(START_AND_TAKE_OVER);

        if (last != first)
            assert_int_equal(give(END, last).error, 0);
        last = next;
    }
    end_session(&held);
    assert_int_equal(give(END, first).error, 0);
    close_held(&held);
    stop_last(last);
}

static void if_the_third_is_killed_the_first_has_the_address_again(void **state)
{
    struct chain chain = begin_chain(false);

    (void)state;
    assert_int_equal(give(KILL, chain.third).error, -SIGKILL);
    goes_on(&chain, &chain.older);
    close_new(chain.pipes);
    run_number(chain.older.pipe, "long", 1);
    assert_int_equal(renewals_of(chain.older.pipe), 0);
    vine_pipe_close(chain.older.pipe);
    stop_last(chain.first);
}

static void if_the_third_ends_by_itself_the_first_has_the_address_again(void **state)
{
    struct chain chain = begin_chain(false);

    (void)state;
    assert_int_equal(give(STOP, chain.third).error, 0);
    goes_on(&chain, &chain.older);
    close_new(chain.pipes);
    vine_pipe_close(chain.older.pipe);
    stop_last(chain.first);
}

static void if_the_third_is_killed_first_the_second_has_the_address_again(void **state)
{
    struct chain chain = begin_chain(true);

    (void)state;
    assert_int_equal(give(KILL, chain.third).error, -SIGKILL);
    goes_on(&chain, &chain.older);
    assert_int_equal(give(END, chain.first).error, 0);
    close_held(&chain.older);
    end_session(&chain.newer);
    close_new(chain.pipes);
    vine_pipe_close(chain.newer.pipe);
    stop_last(chain.second);
}

/* Nobody tells the first of the third, who has the listener. */
static void if_the_second_is_killed_the_third_keeps_the_address(void **state)
{
    struct chain chain = begin_chain(true);

    (void)state;
    assert_int_equal(give(KILL, chain.second).error, -SIGKILL);
    open_new(chain.pipes);
    end_session(&chain.older);
    assert_int_equal(give(END, chain.first).error, 0); /* when it has told the application to go */
    close_held(&chain.older);
    close_new(chain.pipes);
    vine_session_close(chain.newer.session);
    vine_pipe_close(chain.newer.pipe);
    stop_last(chain.third);
}

/* It has handed on what it was left: the first leaves to the third, and ends no pipe. */
static void if_the_second_is_told_to_end_the_first_leaves_to_the_third(void **state)
{
    struct chain chain = {.first = begin(START_AND_LISTEN)};

    (void)state;
    chain.older = hold_with(0);
    begin_test();
    chain.second = begin(START_AND_TAKE_OVER);
    chain.newer = hold();
    chain.third = begin(START_AND_TAKE_OVER);
    assert_int_equal(give(STOP, chain.second).error, 0);
    open_new(chain.pipes);
    end_session(&chain.older);
    assert_int_equal(give(END, chain.first).error, 0);
    close_held(&chain.older);
    close_new(chain.pipes);
    vine_session_close(chain.newer.session);
    vine_pipe_close(chain.newer.pipe);
    stop_last(chain.third);
}

static void if_the_second_and_the_third_are_killed_the_first_has_the_address_again(void **state)
{
    struct chain chain = begin_chain(true);

    (void)state;
    assert_int_equal(give(KILL, chain.second).error, -SIGKILL);
    assert_int_equal(give(KILL, chain.third).error, -SIGKILL);
    goes_on(&chain, &chain.older);
    close_new(chain.pipes);
    vine_pipe_close(chain.older.pipe);
    vine_session_close(chain.newer.session);
    vine_pipe_close(chain.newer.pipe);
    stop_last(chain.first);
}

static void if_the_first_is_killed_the_third_goes_on(void **state)
{
    struct chain chain = begin_chain(false);

    (void)state;
    open_new(chain.pipes);
    assert_int_equal(give(KILL, chain.first).error, -SIGKILL);
    assert_int_equal(add(&chain.older, false), -VINE_EPEERLOST);
    vine_session_close(chain.older.session);
    close_held(&chain.older);
    close_new(chain.pipes);
    stop_last(chain.third);
}

/* Until some moment of a take-over. */
static void pass_a_moment(unsigned *seed)
{
    for (int i = rand_r(seed) % 500; i > 0; i--)
        sched_yield();
}

/* What is killed, and when, is not known to the others: one serves, and it ends with its name. */
static void whoever_is_killed_at_whatever_moment_one_serves(void **state)
{
    unsigned seed = 20261123;

    (void)state;
    begin_test();
    for (int i = 0; i < 40; i++) {
        pid_t pids[3] = {begin(START_AND_LISTEN)};
        struct held held = hold();
        const int victim = i % 3;

        pids[1] = begin(START_AND_TAKE_OVER);
        pass_a_moment(&seed);
        send_order(START_AND_TAKE_OVER, 0);
        pass_a_moment(&seed);
        if (victim < 2)
            (void)kill(pids[victim], SIGKILL);

        const struct answer third = take_answer();

        if (victim == 2 && third.error == 0)
            (void)kill(third.pid, SIGKILL);
        pids[2] = third.pid;
        wait_until_served();
        /* The rest end by themselves, or are told to. */
        vine_session_close(held.session);
        vine_pipe_close(held.pipe);
        for (int k = 0; k < 3; k++)
            (void)give(STOP, pids[k]);
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_first_has_still_comes_to_the_third),
        cmocka_unit_test(sessions_at_the_first_two_end_where_they_began),
        cmocka_unit_test(a_long_chain_comes_to_the_last_one),
        cmocka_unit_test(if_the_third_is_killed_the_first_has_the_address_again),
        cmocka_unit_test(if_the_third_ends_by_itself_the_first_has_the_address_again),
        cmocka_unit_test(if_the_third_is_killed_first_the_second_has_the_address_again),
        cmocka_unit_test(if_the_second_is_killed_the_third_keeps_the_address),
        cmocka_unit_test(if_the_second_is_told_to_end_the_first_leaves_to_the_third),
        cmocka_unit_test(if_the_second_and_the_third_are_killed_the_first_has_the_address_again),
        cmocka_unit_test(if_the_first_is_killed_the_third_goes_on),
        cmocka_unit_test(whoever_is_killed_at_whatever_moment_one_serves),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
