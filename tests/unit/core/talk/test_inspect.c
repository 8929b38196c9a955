/* SPDX-License-Identifier: Apache-2.0 */
/* What an appliance tells its operator. */
#include "served.h"

#include <vine/inspect.h>

static struct served served;

static struct vine_procedure_stats stats_of(struct vine_pipe *pipe, const char *name)
{
    struct vine_procedure_stats stats[64];
    const int count = vine_inspect_procedures(pipe, stats, 64);

    assert_in_range(count, 1, 64);
    for (int i = 0; i < count; i++)
        if (strcmp(stats[i].name, name) == 0)
            return stats[i];
    fail_msg("%s is not told of", name);
    return stats[0];
}

/* Until it tells of so many, as they open and close a little later than here; those that are open
 * before the others. */
static void wait_for(struct vine_pipe *pipe, struct vine_pipe_facts *facts, int open, int closed)
{
    int found = 0;
    int open_found;

    do {
        sched_yield();
        found = vine_inspect_pipes(pipe, facts, (size_t)(open + closed + 1));
        assert_true(found >= 0);
        open_found = 0;
        for (int i = 0; i < found && i < open + closed; i++)
            open_found += !facts[i].is_closed;
    } while (found != open + closed || open_found != open);
}

static int answer(struct vine_pipe *pipe, uint64_t status)
{
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &status, .bytes_size = sizeof status};

    return vine_task_run(pipe, served_get(pipe, "answer"), &options, LIMIT, NULL, NULL);
}

static void a_procedure_that_nobody_used_has_counted_nothing(void **state)
{
    (void)state;
    served_start(&served, NULL, 1);
    struct vine_pipe *pipe = served_open(&served, NULL);
    const struct vine_procedure_stats stats = stats_of(pipe, "turn");

    assert_int_equal(stats.tasks_done + stats.tasks_failed, 0);
    assert_int_equal(stats.run.max_ns, 0);
    /* Memory for none or one does not change how many there are. */
    assert_int_equal(vine_inspect_procedures(pipe, NULL, 0),
                     vine_inspect_procedures(pipe, &(struct vine_procedure_stats){0}, 1));
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void tasks_and_errors_and_times_are_counted_by_procedure(void **state)
{
    (void)state;
    served_start(&served, NULL, 1);
    struct vine_pipe *pipe = served_open(&served, NULL);

    for (int i = 0; i < 100; i++)
        assert_int_equal(answer(pipe, i % 10 == 0 ? VINE_EDATA : 0), i % 10 == 0 ? -VINE_EDATA : 0);

    const struct vine_procedure_stats stats = stats_of(pipe, "answer");

    assert_int_equal(stats.tasks_done, 90);
    assert_int_equal(stats.tasks_failed, 10);
    assert_in_range(stats.run.p50_ns, 1, stats.run.p99_ns);
    assert_in_range(stats.run.p99_ns, stats.run.p50_ns, stats.run.max_ns);
    assert_in_range(stats.run.total_ns, stats.run.p50_ns, 100 * stats.run.max_ns);
    assert_int_equal(stats_of(pipe, "noop").tasks_done, 0);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void bytes_of_inputs_and_outputs_are_counted_by_procedure_and_pipe(void **state)
{
    (void)state;
    struct vine_pipe_facts facts[4];
    struct vine_data *in = NULL, *out = NULL;

    served_start(&served, NULL, 1);
    struct vine_pipe *pipe = served_open(&served, NULL);
    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, 5000, &in), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 6000, &out), 0);
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &in,
                                              .input_count = 1,
                                              .outputs = &out,
                                              .output_count = 1};
    assert_int_equal(vine_task_run(pipe, served_get(pipe, "turn"), &options, LIMIT, NULL, NULL), 0);

    const struct vine_procedure_stats stats = stats_of(pipe, "turn");

    assert_int_equal(stats.bytes_in, 5000);
    assert_int_equal(stats.bytes_out, 5000);
    wait_for(pipe, facts, 1, 0);
    assert_int_equal(facts[0].bytes_in, 5000);
    assert_int_equal(facts[0].bytes_out, 5000);
    assert_int_equal(facts[0].tasks_done, 1);
    vine_data_free(in);
    vine_data_free(out);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void open_pipes_are_told_with_who_they_are(void **state)
{
    (void)state;
    const struct vine_pipe_options options = {.size_bytes = sizeof options, .name = "somebody"};
    struct vine_pipe_facts facts[4];

    served_start(&served, NULL, 1);
    struct vine_pipe *other = served_open(&served, &options);
    struct vine_pipe *pipe = served_open(&served, NULL);
    wait_for(pipe, facts, 2, 0);

    const int first =
        strcmp(facts[0].name, "somebody") == 0 ? 0 : 1; /* cores open each in its time */

    assert_string_equal(facts[first].name, "somebody");
    assert_false(facts[first].is_own);
    assert_true(facts[1 - first].is_own);
    for (int i = 0; i < 2; i++) {
        assert_false(facts[i].is_closed);
        assert_int_equal(facts[i].pid, getpid());
        assert_int_equal(facts[i].uid, geteuid());
        assert_string_equal(facts[i].link, "");
        assert_in_range(facts[i].held_bytes, 1, facts[i].quota_bytes);
    }
    assert_true(facts[0].number != facts[1].number);
    vine_pipe_close(other);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void a_pipe_that_was_closed_is_told_of_with_why(void **state)
{
    (void)state;
    struct vine_pipe_facts facts[4];

    served_start(&served, NULL, 1);
    struct vine_pipe *pipe = served_open(&served, NULL);
    struct vine_pipe *other = served_open(&served, NULL);
    assert_int_equal(answer(other, 0), 0);
    vine_pipe_close(other);
    wait_for(pipe, facts, 1, 1);
    assert_true(facts[0].is_own);
    assert_true(facts[1].is_closed);
    assert_int_equal(facts[1].error, 0);
    assert_string_equal(facts[1].reason, "");
    assert_int_equal(facts[1].tasks_done, 1);
    assert_int_equal(facts[1].tasks_in_flight, 0);
    assert_in_range(facts[1].closed_ns, 0, facts[1].age_ns);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void tasks_in_flight_are_told_of(void **state)
{
    (void)state;
    struct vine_pipe_facts facts[3];

    served_start(&served, NULL, 1);
    struct vine_pipe *other = served_open(&served, NULL);
    struct vine_pipe *pipe = served_open(&served, NULL);
    struct vine_task *task = gate_issue(other, 1, NULL);

    gate_wait_for(1);
    wait_for(pipe, facts, 2, 0);

    const int first = facts[0].is_own ? 1 : 0;

    assert_int_equal(facts[first].tasks_in_flight, 1);
    assert_int_equal(facts[first].tasks_done, 0);
    gate_set(true);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    vine_task_free(task);
    vine_pipe_close(other);
    vine_pipe_close(pipe);
    served_stop(&served);
}

/* More than a page of them, of which some are over. */
static void many_pipes_are_told_of_page_by_page(void **state)
{
    (void)state;
    enum { COUNT = 150 };
    static struct vine_pipe *pipes[COUNT];
    static struct vine_pipe_facts facts[COUNT + 8];
    const struct vine_pipe_options options = {.size_bytes = sizeof options,
                                              .memory_max_bytes = 1 << 20};
    bool is_told[COUNT + 1] = {false};

    served_start(&served, NULL, 1);
    for (int i = 0; i < COUNT; i++)
        pipes[i] = served_open(&served, &options);
    for (int i = 1; i < COUNT; i += 2)
        vine_pipe_close(pipes[i]);

    wait_for(pipes[0], facts, COUNT - COUNT / 2, COUNT / 2);
    for (int i = 0; i < COUNT; i++) {
        assert_in_range(facts[i].number, 1, COUNT);
        assert_false(is_told[facts[i].number]);
        is_told[facts[i].number] = true;
    }
    for (int i = 0; i < COUNT; i += 2)
        vine_pipe_close(pipes[i]);
    served_stop(&served);
}

/* Whoever asks without end is served like any other, and others beside him. */
static void who_asks_without_end_leaves_others_served(void **state)
{
    (void)state;
    struct vine_pipe_facts facts[4];

    served_start(&served, NULL, 1);
    struct vine_pipe *asker = served_open(&served, NULL);
    struct vine_pipe *pipe = served_open(&served, NULL);
    for (int i = 0; i < 200; i++) {
        assert_in_range(vine_inspect_pipes(asker, facts, 4), 1, 2);
        assert_int_equal(answer(pipe, 0), 0);
    }
    assert_int_equal(stats_of(asker, "answer").tasks_done, 200);
    vine_pipe_close(asker);
    vine_pipe_close(pipe);
    served_stop(&served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_procedure_that_nobody_used_has_counted_nothing),
        cmocka_unit_test(tasks_and_errors_and_times_are_counted_by_procedure),
        cmocka_unit_test(bytes_of_inputs_and_outputs_are_counted_by_procedure_and_pipe),
        cmocka_unit_test(open_pipes_are_told_with_who_they_are),
        cmocka_unit_test(a_pipe_that_was_closed_is_told_of_with_why),
        cmocka_unit_test(tasks_in_flight_are_told_of),
        cmocka_unit_test(many_pipes_are_told_of_page_by_page),
        cmocka_unit_test(who_asks_without_end_leaves_others_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
