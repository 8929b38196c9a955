/* SPDX-License-Identifier: Apache-2.0 */
#include "served.h"

#include "core/talk/pipe_internal.h"

static struct served served;
static struct vine_pipe *pipe_of_test;

static void start(const struct vine_pipe_options *options)
{
    served_start(&served, NULL, 2);
    pipe_of_test = served_open(&served, options);
    __atomic_store_n(&sum_states, 0, __ATOMIC_RELEASE);
}

static void stop(void)
{
    vine_pipe_close(pipe_of_test);
    served_stop(&served);
    assert_int_equal(__atomic_load_n(&sum_states, __ATOMIC_ACQUIRE), 0);
}

static struct vine_session *open_session(void)
{
    struct vine_session *session = NULL;

    assert_int_equal(vine_session_open(pipe_of_test, served_get(pipe_of_test, "sum"), &session), 0);
    return session;
}

static int issue(struct vine_session *session, uint64_t number, bool last,
                 struct vine_task **ret_task)
{
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .bytes = &number,
                                              .bytes_size = sizeof number,
                                              .session = session,
                                              .session_last = last};

    return vine_task_issue(pipe_of_test, served_get(pipe_of_test, "sum"), &options, ret_task);
}

/* Issue, wait; the sum so far. */
static uint64_t add(struct vine_session *session, uint64_t number, bool last)
{
    struct vine_task *task = NULL;
    struct sum_state state;

    assert_int_equal(issue(session, number, last, &task), 0);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    assert_int_equal(vine_task_result(task, &state, sizeof state), sizeof state);
    vine_task_free(task);
    return state.sum;
}

static void a_procedure_without_sessions_opens_none(void **state)
{
    (void)state;
    struct vine_session *session = NULL;

    start(NULL);
    assert_int_equal(vine_session_open(pipe_of_test, served_get(pipe_of_test, "noop"), &session),
                     -VINE_ESESSION);
    assert_null(session);
    vine_session_close(NULL);
    stop();
}

static void a_session_belongs_to_its_procedure(void **state)
{
    (void)state;
    struct vine_task *task = NULL;

    start(NULL);
    struct vine_session *session = open_session();
    const struct vine_task_options options = {.size_bytes = sizeof options, .session = session};
    assert_int_equal(
        vine_task_issue(pipe_of_test, served_get(pipe_of_test, "noop"), &options, &task), -EINVAL);
    vine_session_close(session);
    stop();
}

static void state_spans_the_tasks_of_a_session(void **state)
{
    (void)state;
    struct vine_task *task = NULL;

    start(NULL);
    struct vine_session *first = open_session();
    struct vine_session *second = open_session();
    assert_int_equal(add(first, 1, false), 1);
    assert_int_equal(add(second, 100, false), 100);
    assert_int_equal(add(first, 2, false), 3);
    assert_int_equal(add(first, 3, true), 6);
    assert_int_equal(issue(first, 4, false, &task), -VINE_ESESSION);
    assert_int_equal(add(second, 1, true), 101);
    vine_session_close(first);
    vine_session_close(second);
    assert_int_equal(add(NULL, 5, false), 5);
    stop();
}

static void tasks_of_a_session_run_in_order(void **state)
{
    (void)state;
    struct vine_task *tasks[100];

    start(NULL);
    struct vine_session *session = open_session();
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(issue(session, i, i == 99, &tasks[i]), 0);
    vine_session_close(session); /* what is in flight ends first */
    for (uint64_t i = 0, sum = 0; i < 100; i++) {
        struct sum_state result;

        sum += i;
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        assert_int_equal(vine_task_result(tasks[i], &result, sizeof result), sizeof result);
        assert_int_equal(result.sum, sum);
        assert_int_equal(result.tasks, i + 1);
        vine_task_free(tasks[i]);
    }
    stop();
}

static void a_failed_task_spoils_its_session(void **state)
{
    (void)state;
    struct vine_task *task = NULL;

    start(NULL);
    struct vine_session *session = open_session();
    assert_int_equal(add(session, 1, false), 1);
    assert_int_equal(issue(session, 999, false, &task), 0);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EDATA);
    vine_task_free(task);
    assert_int_equal(issue(session, 1, true, &task), 0);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_ESESSION);
    vine_task_free(task);
    vine_session_close(session);
    session = open_session(); /* whatever its number is, nothing is left */
    assert_int_equal(add(session, 7, true), 7);
    vine_session_close(session);
    stop();
}

/* A task of `hold`; how it ended. */
static int hold(struct vine_session *session, uint64_t bytes, uint64_t status)
{
    const uint64_t scalars[2] = {bytes, status};
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .bytes = scalars,
                                              .bytes_size = sizeof scalars,
                                              .session = session};

    return vine_task_run(pipe_of_test, served_get(pipe_of_test, "hold"), &options, LIMIT, NULL,
                         NULL);
}

static void a_failed_session_gives_back_what_it_held_before_it_is_closed(void **state)
{
    (void)state;
    const uint64_t most = 100u << 20;
    struct vine_session *sessions[10];

    start(NULL);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(
            vine_session_open(pipe_of_test, served_get(pipe_of_test, "hold"), &sessions[i]), 0);
        assert_int_equal(hold(sessions[i], most, VINE_EDATA), -VINE_EDATA);
        assert_int_equal(hold(sessions[i], 1, 0), -VINE_ESESSION);
    }
    assert_int_equal(hold(sessions[0], 1, 0), -VINE_ESESSION);
    for (int i = 0; i < 10; i++)
        vine_session_close(sessions[i]);
    stop();
}

/* Sessions that were given up half way leave nothing to those that come after them, whichever
 * channel these use. */
static void *many_sessions(void *unused)
{
    for (int i = 0; i < 1000; i++) {
        struct vine_session *session = open_session();

        assert_int_equal(add(session, 3, false), 3);
        assert_int_equal(add(session, 4, i % 3 == 0), 7);
        vine_session_close(session);
    }
    return unused;
}

static void numbers_of_sessions_are_used_again_with_nothing_left(void **state)
{
    (void)state;
    pthread_t threads[3];

    start(NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_sessions, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    stop();
}

/* What is said of a session that is long over must find no later one under its id. */
static void an_id_comes_back_when_all_others_were_used(void **state)
{
    (void)state;
    static bool was_used[UINT16_MAX + 1];
    const uint32_t ids = (VINE_WIRE_SESSION_PLACES - 1) * 256;

    memset(was_used, 0, sizeof was_used);
    start(NULL);
    for (uint32_t i = 0; i < ids; i++) {
        struct vine_session *session = open_session();

        assert_false(was_used[session->id]);
        was_used[session->id] = true;
        vine_session_close(session);
    }
    stop();
}

static void too_many_sessions_are_refused(void **state)
{
    (void)state;
    struct vine_session *sessions[1024];
    int count = 0;
    int error;

    start(NULL);
    while (count < 1024) {
        error = vine_session_open(pipe_of_test, served_get(pipe_of_test, "sum"), &sessions[count]);
        if (error)
            break;
        count++;
    }
    assert_int_equal(error, -VINE_EQUOTA);
    assert_int_equal(count, 255);
    assert_int_equal(add(sessions[254], 9, false), 9);
    for (int i = 0; i < count; i++)
        vine_session_close(sessions[i]);
    stop();
}

static struct vine_session *shared_session;

static void *issue_elsewhere(void *unused)
{
    struct vine_task *task = NULL;

    assert_int_equal(issue(shared_session, 1, false, &task), -EINVAL);
    return unused;
}

static void *add_elsewhere(void *unused)
{
    assert_int_equal(add(shared_session, 10, false), 11);
    return unused;
}

static void a_session_changes_its_thread_only_when_idle(void **state)
{
    (void)state;
    pthread_t other;
    struct vine_task *task = NULL;

    start(NULL);
    shared_session = open_session();
    /* Unseen by us until we wait: to us it is in flight. */
    assert_int_equal(issue(shared_session, 1, false, &task), 0);
    assert_int_equal(pthread_create(&other, NULL, issue_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    vine_task_free(task);
    assert_int_equal(pthread_create(&other, NULL, add_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(add(shared_session, 100, true), 111);
    vine_session_close(shared_session);
    stop();
}

/* As `sum`, but for what it adds. */
static int run_tenfold(struct vine_call *call)
{
    struct sum_state *state = vine_call_state(call);

    state->sum += 10 * vine_call_scalar(call, 0, 0);
    state->tasks++;
    return vine_call_result(call, state, sizeof *state);
}

static void a_session_goes_on_with_what_its_procedure_was(void **state)
{
    (void)state;
    struct vine_procedure_definition tenfold = {.size_bytes = 0};

    start(NULL);
    for (size_t i = 0; i < sizeof served_procedures / sizeof served_procedures[0]; i++)
        if (strcmp(served_procedures[i].name, "sum") == 0)
            tenfold = served_procedures[i];
    tenfold.run = run_tenfold;
    struct vine_session *before = open_session();
    struct vine_session *other = open_session();
    assert_int_equal(add(before, 1, false), 1);
    assert_int_equal(vine_appliance_register(served.appliance, &tenfold), 0);
    assert_int_equal(add(before, 2, false), 3);
    assert_int_equal(add(other, 2, false), 20); /* it begins with its first task */
    assert_int_equal(add(before, 3, true), 6);
    assert_int_equal(add(other, 3, true), 50);
    vine_session_close(before);
    vine_session_close(other);
    stop();
}

/* ---- closed with all that its channel takes in flight ---------------------------------------- */

#define TASKS_MAX 1024
#ifndef FULL_ROUNDS
#define FULL_ROUNDS 16
#endif

/* As many as the channel takes; of which the one at `failing` fails. Returns how many. */
static uint32_t fill(struct vine_session *session, uint32_t failing, struct vine_task **tasks)
{
    uint32_t count = 0;
    int error = 0;

    while (count < TASKS_MAX && error == 0) {
        error = issue(session, count == failing ? 999 : 1, false, &tasks[count]);
        count += error == 0;
    }
    assert_int_equal(error, -EAGAIN);
    return count;
}

/* The tasks of one that was closed with all of them in flight: each ends as if it were open. */
static void close_and_wait(uint32_t round, uint32_t failing)
{
    struct vine_task *tasks[TASKS_MAX];
    struct vine_session *session = open_session();
    const uint32_t count = fill(session, failing, tasks);

    vine_session_close(session);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = round % 2 == 0 ? i : count - 1 - i;
        struct sum_state result;

        assert_int_equal(vine_task_wait(tasks[at], LIMIT), at < failing    ? 0
                                                           : at == failing ? -VINE_EDATA
                                                                           : -VINE_ESESSION);
        if (at >= failing)
            continue;
        assert_int_equal(vine_task_result(tasks[at], &result, sizeof result), sizeof result);
        assert_int_equal(result.tasks, at + 1);
    }
    for (uint32_t i = 0; i < count; i++)
        vine_task_free(tasks[i]);
}

static void close_full_sessions(int workers)
{
    served_start(&served, NULL, workers);
    pipe_of_test = served_open(&served, NULL);
    for (uint32_t round = 0; round < FULL_ROUNDS; round++)
        close_and_wait(round, round % 4 < 2 ? UINT32_MAX : 7 * round);
    stop();
}

static void all_tasks_of_a_session_that_was_closed_end(void **state)
{
    (void)state;
    __atomic_store_n(&sum_states, 0, __ATOMIC_RELEASE);
    for (int workers = 0; workers < 3; workers++)
        close_full_sessions(workers);
}

static void closing_the_pipe_ends_all_sessions(void **state)
{
    (void)state;

    start(NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(add(open_session(), 1, false), 1);
    stop(); /* looks whether states are left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_procedure_without_sessions_opens_none),
        cmocka_unit_test(a_session_belongs_to_its_procedure),
        cmocka_unit_test(state_spans_the_tasks_of_a_session),
        cmocka_unit_test(tasks_of_a_session_run_in_order),
        cmocka_unit_test(a_failed_task_spoils_its_session),
        cmocka_unit_test(a_failed_session_gives_back_what_it_held_before_it_is_closed),
        cmocka_unit_test(numbers_of_sessions_are_used_again_with_nothing_left),
        cmocka_unit_test(an_id_comes_back_when_all_others_were_used),
        cmocka_unit_test(too_many_sessions_are_refused),
        cmocka_unit_test(a_session_changes_its_thread_only_when_idle),
        cmocka_unit_test(a_session_goes_on_with_what_its_procedure_was),
        cmocka_unit_test(all_tasks_of_a_session_that_was_closed_end),
        cmocka_unit_test(closing_the_pipe_ends_all_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
