/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Tasks of appliances elsewhere, begun on reactors that run and sleep: what is refused, what is
 * lost, what has to wait, and what all of it comes to when it goes well. */
#include "../talk/killed.h"

#include "harness/reactors.h"

#include <vine/remote.h>

#include "arch/clock/clock.h"
#include "utils/container_of.h"

static struct reactors reactors;

/* ---- what a test begins on a core, and waits for here ---------------------------------------- */

struct errand {
    struct vine_remote_task task;
    struct vine_remote remote;
    const char *procedure;
    uint32_t core;
    uint64_t timeout_ns; /* 0: none */
    bool is_over;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void see_end(struct vine_remote_task *task)
{
    struct errand *const errand = VINE_CONTAINER_OF(task, struct errand, task);

    pthread_mutex_lock(&lock);
    errand->is_over = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static int64_t begin_here(void *context)
{
    struct errand *const errand = context;

    if (errand->timeout_ns != 0)
        errand->task.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + errand->timeout_ns;
    vine_remote_run(&errand->task, errand->remote, errand->procedure, see_end);
    return 0;
}

static void begin(struct errand *errand)
{
    errand->is_over = false;
    (void)reactors_call(errand->core, begin_here, errand);
}

static int finish(struct errand *errand)
{
    pthread_mutex_lock(&lock);
    while (!errand->is_over)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return errand->task.error;
}

static int run(struct errand *errand)
{
    begin(errand);
    return finish(errand);
}

static int64_t cancel_here(void *context)
{
    struct errand *const errand = context;

    vine_remote_cancel(&errand->task);
    return 0;
}

static struct vine_remote add(const char *address)
{
    struct vine_remote remote;

    assert_int_equal(vine_remote_add(address, &remote), 0);
    return remote;
}

static struct served served;
static struct vine_remote remote;

static int serve(void **state)
{
    (void)state;
    served_start(&served, NULL, 2);
    remote = add(served.path);
    reactors_open(&reactors, 2);
    return 0;
}

static int stop_serving(void **state)
{
    (void)state;
    reactors_close(&reactors);
    served_stop(&served);
    return 0;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void no_such_remote_is_einval(void **state)
{
    struct errand none = {.procedure = "noop"};
    struct errand unknown = {.remote = {.number = VINE_REMOTES_MAX}, .procedure = "noop"};
    struct errand beyond = {.remote = {.number = 1000}, .procedure = "noop"};

    (void)state;
    assert_int_equal(run(&none), -EINVAL);
    assert_int_equal(run(&unknown), -EINVAL);
    assert_int_equal(run(&beyond), -EINVAL);
}

static void where_nobody_listens_there_is_no_appliance(void **state)
{
    struct errand errand = {.remote = add("/tmp/vine-test-nobody/socket"), .procedure = "noop"};

    (void)state;
    assert_int_equal(run(&errand), -VINE_ENOAPPLIANCE);
    assert_int_equal(run(&errand), -VINE_ENOAPPLIANCE);
}

static void what_the_appliance_does_not_offer_is_told(void **state)
{
    struct errand errand = {.remote = remote, .procedure = "never"};
    char name[64];

    (void)state;
    assert_int_equal(run(&errand), -VINE_EPROCEDURE);
    errand.procedure = "";
    assert_int_equal(run(&errand), -VINE_EPROCEDURE);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    errand.procedure = name;
    assert_int_equal(run(&errand), -VINE_EPROCEDURE);
    errand.procedure = "noop";
    assert_int_equal(run(&errand), 0);
}

static void arguments_that_do_not_fit_are_refused(void **state)
{
    uint64_t scalars[VINE_ARGUMENTS_MAX + 1] = {0};
    char bytes[VINE_TASK_BYTES_MAX + 1] = {0};
    struct errand many = {.remote = remote, .procedure = "many", .task = {.input = bytes}};
    struct errand noop = {
        .remote = remote, .procedure = "noop", .task = {.input = bytes, .input_bytes = 1}};
    struct errand answer = {
        .remote = remote,
        .procedure = "answer",
        .task = {
            .input = bytes, .input_bytes = sizeof bytes, .scalars = scalars, .scalar_count = 1}};

    (void)state;
    assert_int_equal(run(&many), -VINE_EARGUMENT); /* it has four outputs */
    assert_int_equal(run(&noop), -VINE_EARGUMENT); /* it has no input */
    assert_int_equal(run(&answer), -VINE_ETOOBIG);
    answer.task.input_bytes = 0;
    answer.task.scalar_count = VINE_ARGUMENTS_MAX + 1;
    assert_int_equal(run(&answer), -VINE_EARGUMENT);
}

static void more_than_there_is_room_for_is_eoverflow(void **state)
{
    uint64_t scalar = 0;
    char output[4] = "zzz";
    struct errand turn = {
        .remote = remote,
        .procedure = "turn",
        .task = {.input = "abcd", .input_bytes = 4, .output = output, .output_max = 3}};
    struct errand answer = {.remote = remote,
                            .procedure = "answer",
                            .task = {.input = "abcd",
                                     .input_bytes = 4,
                                     .scalars = &scalar,
                                     .scalar_count = 1,
                                     .output = output,
                                     .output_max = 3}};

    (void)state;
    assert_int_equal(run(&turn), -VINE_EOVERFLOW);
    assert_int_equal(run(&answer), -VINE_EOVERFLOW);
    assert_string_equal(output, "zzz");
}

static void how_a_task_fails_is_told(void **state)
{
    uint64_t scalar = VINE_EDATA;
    struct errand errand = {
        .remote = remote, .procedure = "answer", .task = {.scalars = &scalar, .scalar_count = 1}};

    (void)state;
    assert_int_equal(run(&errand), -VINE_EDATA);
    scalar = EIO; /* that machine's own */
    assert_int_equal(run(&errand), -VINE_EFAILED);
}

/* ---- what is not waited for ------------------------------------------------------------------ */

static void a_deadline_ends_a_task_that_goes_on(void **state)
{
    struct errand errand = {.remote = remote, .procedure = "gate", .timeout_ns = 30 * 1000 * 1000};

    (void)state;
    gate_set(false);
    assert_int_equal(run(&errand), -ETIMEDOUT);
    gate_set(true);
}

static void a_task_that_is_cancelled_ends_at_once(void **state)
{
    struct errand gate_task = {.remote = remote, .procedure = "gate"};
    struct errand after = {.remote = remote, .procedure = "noop"};

    (void)state;
    gate_set(false);
    begin(&gate_task);
    gate_wait_for(1);
    (void)reactors_call(0, cancel_here, &gate_task);
    assert_int_equal(finish(&gate_task), -ECANCELED);
    gate_set(true);
    assert_int_equal(run(&after), 0);
}

/* It waits for the pipe, then. */
static int64_t begin_and_cancel(void *context)
{
    (void)begin_here(context);
    return cancel_here(context);
}

static void a_task_that_waits_is_cancelled_too(void **state)
{
    struct errand errand = {.remote = add(served.path), .procedure = "turn"};

    (void)state;
    (void)reactors_call(0, begin_and_cancel, &errand);
    assert_int_equal(finish(&errand), -ECANCELED);
}

/* ---- what goes well -------------------------------------------------------------------------- */

static void bytes_go_there_and_come_back(void **state)
{
    static unsigned char input[1 << 20], output[1 << 20];
    struct errand errand = {
        .remote = remote, .procedure = "turn", .task = {.input = input, .output = output}};

    (void)state;
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (unsigned char)(i * 7 + i / 4096);
    for (size_t size = 1; size <= sizeof input; size *= 32) {
        errand.task.input_bytes = size;
        errand.task.output_max = sizeof output;
        errand.core = !errand.core;
        assert_int_equal(run(&errand), 0);
        assert_int_equal(errand.task.output_bytes, size);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(output[i], input[i] ^ 0x20);
    }
}

static void scalars_and_bytes_travel_with_the_task(void **state)
{
    uint64_t scalar = 0;
    char output[VINE_RESULT_MAX];
    struct errand errand = {.remote = remote,
                            .procedure = "answer",
                            .task = {.input = "hello",
                                     .input_bytes = 5,
                                     .scalars = &scalar,
                                     .scalar_count = 1,
                                     .output = output,
                                     .output_max = sizeof output}};

    (void)state;
    assert_int_equal(run(&errand), 0);
    assert_int_equal(errand.task.output_bytes, 5);
    assert_memory_equal(output, "hello", 5);
}

/* More than a channel takes, so that most of them wait in turn; and in order. */
static void more_than_there_is_room_for_wait_in_turn(void **state)
{
    enum { COUNT = 1000 };
    static struct errand errands[COUNT];
    static char outputs[COUNT][8];

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        errands[i] = (struct errand){
            .remote = remote,
            .procedure = "turn",
            .task = {.input = "abcdefgh", .input_bytes = 1 + i % 8, .output = outputs[i]}};
        errands[i].task.output_max = sizeof outputs[i];
        begin(&errands[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(finish(&errands[i]), 0);
        assert_int_equal(errands[i].task.output_bytes, 1 + i % 8);
        assert_memory_equal(outputs[i], "ABCDEFGH", 1 + i % 8);
    }
}

static int64_t count_sleeps(void *nothing)
{
    struct vine__reactor_counts counts;

    (void)nothing;
    vine__reactor_get_counts(vine__reactor_self(), &counts);
    return (int64_t)counts.sleeps;
}

/* Each call to it wakes it as well: it has slept only if it did so between two of them. */
static void a_core_sleeps_while_its_tasks_are_elsewhere(void **state)
{
    struct errand errand = {.remote = remote, .procedure = "gate"};
    int64_t before;

    (void)state;
    gate_set(false);
    begin(&errand);
    gate_wait_for(1);
    before = reactors_call(0, count_sleeps, NULL);
    while (reactors_call(0, count_sleeps, NULL) < before + 3)
        sched_yield();
    gate_set(true);
    assert_int_equal(finish(&errand), 0);
}

/* ---- loss ------------------------------------------------------------------------------------ */

static char folder[32], path[64];

static void make_path(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/vine-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
}

static void remove_path(void)
{
    char lock_path[80];

    (void)snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    (void)unlink(lock_path);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void who_awaits_a_killed_appliance_is_told_and_the_next_one_serves(void **state)
{
    enum { COUNT = 10 };
    static struct errand gates[COUNT];
    struct errand noop = {.procedure = "noop"};
    struct killed first, second;

    (void)state;
    make_path();
    killed_fork(&first, path);
    killed_fork(&second, path);
    noop.remote = add(path);
    reactors_open(&reactors, 1);
    killed_begin(&first);
    assert_int_equal(run(&noop), 0);
    for (size_t i = 0; i < COUNT; i++) {
        gates[i] = (struct errand){.remote = noop.remote, .procedure = "gate"};
        begin(&gates[i]);
    }
    killed_kill(&first);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(finish(&gates[i]), -VINE_EPEERLOST);
    assert_int_equal(run(&noop), -VINE_ENOAPPLIANCE);
    killed_begin(&second);
    assert_int_equal(run(&noop), 0);
    reactors_close(&reactors);
    killed_kill(&second);
    remove_path();
}

/* While nothing was in flight, so that nobody was told. */
static void an_idle_pipe_that_was_lost_is_opened_anew(void **state)
{
    struct errand noop = {.procedure = "noop"};
    struct killed first, second;

    (void)state;
    make_path();
    killed_fork(&first, path);
    killed_fork(&second, path);
    noop.remote = add(path);
    reactors_open(&reactors, 1);
    killed_begin(&first);
    assert_int_equal(run(&noop), 0);
    killed_kill(&first);
    killed_begin(&second);
    assert_int_equal(run(&noop), 0);
    reactors_close(&reactors);
    killed_kill(&second);
    remove_path();
}

static void tasks_end_when_the_reactors_stop(void **state)
{
    struct errand errands[3];

    (void)state;
    served_start(&served, NULL, 1);
    reactors_open(&reactors, 1);
    remote = add(served.path);
    for (size_t i = 0; i < 3; i++) {
        errands[i] = (struct errand){.remote = remote, .procedure = "gate"};
        begin(&errands[i]);
    }
    gate_wait_for(1);
    reactors_close(&reactors);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(finish(&errands[i]), -VINE_ECLOSED);
    served_stop(&served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_such_remote_is_einval),
        cmocka_unit_test(where_nobody_listens_there_is_no_appliance),
        cmocka_unit_test(what_the_appliance_does_not_offer_is_told),
        cmocka_unit_test(arguments_that_do_not_fit_are_refused),
        cmocka_unit_test(more_than_there_is_room_for_is_eoverflow),
        cmocka_unit_test(how_a_task_fails_is_told),
        cmocka_unit_test(a_deadline_ends_a_task_that_goes_on),
        cmocka_unit_test(a_task_that_is_cancelled_ends_at_once),
        cmocka_unit_test(a_task_that_waits_is_cancelled_too),
        cmocka_unit_test(bytes_go_there_and_come_back),
        cmocka_unit_test(scalars_and_bytes_travel_with_the_task),
        cmocka_unit_test(more_than_there_is_room_for_wait_in_turn),
        cmocka_unit_test(a_core_sleeps_while_its_tasks_are_elsewhere),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(who_awaits_a_killed_appliance_is_told_and_the_next_one_serves),
        cmocka_unit_test(an_idle_pipe_that_was_lost_is_opened_anew),
        cmocka_unit_test(tasks_end_when_the_reactors_stop),
    };
    const int failed = cmocka_run_group_tests_name("lost", alone, NULL, NULL);

    return failed + cmocka_run_group_tests_name("served", tests, serve, stop_serving);
}
