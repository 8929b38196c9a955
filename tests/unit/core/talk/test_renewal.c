/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe goes on with the appliance that comes after its own was lost or has drained: over a
 * socket, in named segments, and over a link between two machines, which are made of files. */
#include "served.h"

#include "harness/emulator.h"
#include "harness/fake_machines.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static char folder[32];
static char path[64];              /* the address */
static struct fake_host *machines; /* NULL: there is one */
static bool is_host_silent;        /* of processes, of which a host hears nothing */

/* What appliances did, of all processes. */
static struct counts {
    uint32_t begun[256]; /* by the number of a task */
    uint32_t gate_is_open;
    uint32_t waiting;
} *counts;

/* Waits until the gate is open; how often each number began is counted. */
static int run_counted(struct vine_call *call)
{
    const uint64_t number = vine_call_scalar(call, 0, 0);

    __atomic_fetch_add(&counts->begun[number % 256], 1, __ATOMIC_ACQ_REL);
    __atomic_fetch_add(&counts->waiting, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&counts->gate_is_open, __ATOMIC_ACQUIRE) == 0 &&
           !vine_call_is_canceled(call))
        sched_yield();
    __atomic_fetch_sub(&counts->waiting, 1, __ATOMIC_ACQ_REL);
    return vine_call_result(call, &number, sizeof number);
}

static const struct vine_argument counted_arguments[] = {
    {"number", VINE_SCALAR, 0, 0, UINT64_MAX},
    {"number", VINE_RESULT, 0, 8, 8},
};
static const struct vine_argument other_arguments[] = {
    {"number", VINE_SCALAR, 0, 0, 7},
    {"number", VINE_RESULT, 0, 8, 8},
};

#define COUNTED(title, bits, list)                                                                 \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_procedure_definition), .name = (title), .flags = (bits),  \
        .run = run_counted, SERVED_ARGUMENTS(list)                                                 \
    }

static const struct vine_procedure_definition counted = COUNTED("counted", 0, counted_arguments);
static const struct vine_procedure_definition repeated =
    COUNTED("repeated", VINE_PROCEDURE_IDEMPOTENT, counted_arguments);
static const struct vine_procedure_definition changed = COUNTED("counted", 0, other_arguments);
static const struct vine_procedure_definition extra = COUNTED("extra", 0, counted_arguments);

static struct vine_appliance *stopped_by_signal;

static void stop(int signal)
{
    (void)signal;
    vine_appliance_stop(stopped_by_signal);
}

enum offer {
    OFFER_ALL,
    OFFER_OTHER_NUMBERS, /* one more procedure comes first */
    OFFER_CHANGED,
    OFFER_NOT_COUNTED,
};

static void offer_procedures(struct vine_appliance *appliance, enum offer offer)
{
    int error = 0;

    if (offer == OFFER_OTHER_NUMBERS)
        error = vine_appliance_register(appliance, &extra);
    for (size_t i = 0; i < SERVED_PROCEDURES && !error; i++)
        error = vine_appliance_register(appliance, &served_procedures[i]);
    if (!error)
        error = vine_appliance_register(appliance, &repeated);
    if (!error && offer != OFFER_NOT_COUNTED)
        error = vine_appliance_register(appliance, offer == OFFER_CHANGED ? &changed : &counted);
    if (error)
        _exit(3);
}

/* An appliance in a process of its own; it says by a pipe that it listens. */
static pid_t start_process(enum offer offer)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    if (machines != NULL && !is_host_silent)
        fake_take_end(machines, 0, 1);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                       .segment_bytes = 12u << 20};
        struct vine_appliance *appliance = NULL;
        pthread_t workers[2];

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (machines != NULL)
            fake_use(machines, 1);
        gate_set(true);
        if (vine_appliance_create(&options, &appliance) != 0)
            _exit(2);
        stopped_by_signal = appliance;
        signal(SIGTERM, stop);
        offer_procedures(appliance, offer);
        if (vine_appliance_listen(appliance, path) != 0)
            _exit(4);
        for (int i = 0; i < 2; i++)
            if (pthread_create(&workers[i], NULL, served_work, appliance) != 0)
                _exit(5);
        served_wait_for_workers(appliance, 2);
        (void)!write(ready[1], "r", 1);
        const int error = vine_appliance_serve(appliance);
        for (int i = 0; i < 2; i++)
            (void)pthread_join(workers[i], NULL);
        vine_appliance_destroy(appliance);
        _exit(error == 0 ? 0 : 6);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void end_process(pid_t pid, int with)
{
    int status;

    assert_int_equal(kill(pid, with), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (machines != NULL)
        fake_say(machines, 0, 1, VINE_STATUS_LOST, VINE_STATUS_REASON_CRASH);
}

static uint64_t renewals_seen;

static struct vine_pipe *open_renewed(uint64_t reconnect_ns)
{
    const struct vine_pipe_options options = {.size_bytes = sizeof options,
                                              .reconnect_ns = reconnect_ns};
    struct vine_pipe *pipe = NULL;

    if (machines != NULL)
        fake_use(machines, 0);
    memset(counts, 0, sizeof *counts);
    renewals_seen = 0;
    assert_int_equal(vine_pipe_open(path, &options, &pipe), 0);
    return pipe;
}

static void open_gate(void)
{
    __atomic_store_n(&counts->gate_is_open, 1, __ATOMIC_RELEASE);
}

static void wait_until_begun(uint32_t count)
{
    while (__atomic_load_n(&counts->waiting, __ATOMIC_ACQUIRE) < count)
        sched_yield();
}

static struct vine_task *issue_number(struct vine_pipe *pipe, const char *name, uint64_t number,
                                      struct vine_task_options *options)
{
    struct vine_task_options own = {.size_bytes = sizeof own};
    struct vine_task *task = NULL;
    int error;

    if (options == NULL)
        options = &own;
    options->bytes = &number;
    options->bytes_size = sizeof number;

    struct vine_procedure *procedure = served_get(pipe, name);

    while ((error = vine_task_issue(pipe, procedure, options, &task)) == -EAGAIN)
        sched_yield();
    assert_int_equal(error, 0);
    return task;
}

static void ends_with_number(struct vine_task *task, uint64_t number)
{
    uint64_t result = 0;

    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    assert_int_equal(vine_task_result(task, &result, sizeof result), sizeof result);
    assert_int_equal(result, number);
    vine_task_free(task);
}

/* Since the last time; one pipe a test. */
static void wait_until_renewed(struct vine_pipe *pipe)
{
    struct vine_pipe_stats stats;

    do {
        const int error = vine_pipe_status(pipe);

        assert_true(error == 0 || error == -EAGAIN);
        vine_pipe_get_stats(pipe, &stats);
    } while (stats.renewals == renewals_seen);
    renewals_seen = stats.renewals;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void a_pipe_without_the_option_is_over_with_its_appliance(void **state)
{
    const pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(0);

    (void)state;
    end_process(pid, SIGKILL);
    while (vine_pipe_status(pipe) == 0)
        sched_yield();
    assert_int_equal(vine_pipe_status(pipe), -VINE_EPEERLOST);
    vine_pipe_close(pipe);
}

static void when_nobody_comes_in_time_the_pipe_is_over(void **state)
{
    const pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(SECOND / 5);
    struct vine_task *task = issue_number(pipe, "repeated", 1, NULL);
    struct vine_pipe_stats stats;

    (void)state;
    wait_until_begun(1);
    end_process(pid, SIGKILL);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EPEERLOST);
    assert_int_equal(vine_pipe_status(pipe), -VINE_EPEERLOST);
    vine_pipe_get_stats(pipe, &stats);
    assert_int_equal(stats.renewals, 0);
    assert_int_equal(stats.tasks_lost, 1);
    vine_task_free(task);
    vine_pipe_close(pipe);
}

/* ---- loss ------------------------------------------------------------------------------------ */

static void a_task_that_may_have_run_is_lost_and_the_next_one_runs(void **state)
{
    pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(LIMIT);
    struct vine_task *task = issue_number(pipe, "counted", 1, NULL);
    struct vine_pipe_stats stats;

    (void)state;
    wait_until_begun(1);
    end_process(pid, SIGKILL);
    pid = start_process(OFFER_ALL);
    open_gate();
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EPEERLOST);
    vine_task_free(task);
    ends_with_number(issue_number(pipe, "counted", 2, NULL), 2);
    assert_int_equal(counts->begun[1], 1);
    vine_pipe_get_stats(pipe, &stats);
    assert_int_equal(stats.renewals, 1);
    assert_int_equal(stats.tasks_reissued, 0);
    assert_int_equal(stats.tasks_lost, 1);
    assert_int_equal(stats.tasks_in_flight, 0);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

static void idempotent_tasks_are_issued_anew_in_their_order(void **state)
{
    pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(LIMIT);
    struct vine_task_options again = {.size_bytes = sizeof again, .idempotent = true};
    struct vine_task *tasks[40];
    struct vine_pipe_stats stats;

    (void)state;
    for (uint64_t i = 0; i < 40; i++)
        tasks[i] = issue_number(pipe, i % 2 ? "repeated" : "counted", i, &again);
    wait_until_begun(1);
    end_process(pid, SIGKILL);
    pid = start_process(OFFER_OTHER_NUMBERS);
    open_gate();
    for (uint64_t i = 0; i < 40; i++)
        ends_with_number(tasks[i], i);
    vine_pipe_get_stats(pipe, &stats);
    assert_int_equal(stats.renewals, 1);
    assert_int_equal(stats.tasks_reissued, 40);
    assert_int_equal(stats.tasks_done, 40 + 2); /* and two questions for procedures */
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

/* One of an appliance that hears nothing any more, the other while there is none. */
static void what_is_canceled_while_nobody_serves_it_ends(void **state)
{
    pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(LIMIT);
    struct vine_task *tasks[2];

    (void)state;
    for (uint64_t i = 0; i < 2; i++)
        tasks[i] = issue_number(pipe, "repeated", i, NULL);
    wait_until_begun(1);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(vine_task_cancel(tasks[0]), 0);
    end_process(pid, SIGKILL);
    while (vine_pipe_status(pipe) == 0)
        sched_yield();
    assert_int_equal(vine_task_cancel(tasks[1]), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), -VINE_ECANCELED);
        vine_task_free(tasks[i]);
    }
    pid = start_process(OFFER_ALL);
    open_gate();
    ends_with_number(issue_number(pipe, "repeated", 3, NULL), 3);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

static void own_data_and_results_stay_and_can_be_inputs_again(void **state)
{
    pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(LIMIT);
    struct vine_procedure *turn = served_get(pipe, "turn");
    struct vine_data *data = NULL;
    struct vine_data *result = NULL;
    struct vine_data *again = NULL;
    char text[6] = {0};
    struct vine_task_options options = {.size_bytes = sizeof options,
                                        .inputs = &data,
                                        .input_count = 1,
                                        .outputs = &result,
                                        .output_count = 1};

    (void)state;
    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, 5, &data), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 5, &result), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 5, &again), 0);
    assert_int_equal(vine_data_write(data, 0, "HeLLo", 5), 0);
    assert_int_equal(vine_task_run(pipe, turn, &options, LIMIT, NULL, NULL), 0);
    const char *view = vine_data_view(result);
    end_process(pid, SIGKILL);
    pid = start_process(OFFER_ALL);
    wait_until_renewed(pipe);
    options.inputs = &result;
    options.outputs = &again;
    assert_int_equal(vine_task_run(pipe, turn, &options, LIMIT, NULL, NULL), 0);
    assert_int_equal(vine_data_read(again, 0, text, 5), 0);
    assert_string_equal(text, "HeLLo");
    assert_memory_equal(view, "hEllO", 5);
    vine_data_free(result);
    assert_int_equal(vine_pipe_status(pipe), 0);
    /* Own data is shown to the next one. */
    vine_data_free(again);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 5, &again), 0);
    options.inputs = &data;
    assert_int_equal(vine_task_run(pipe, turn, &options, LIMIT, NULL, NULL), 0);
    assert_int_equal(vine_data_read(again, 0, text, 5), 0);
    assert_string_equal(text, "hEllO");
    vine_data_free(again);
    vine_data_free(data);
    assert_int_equal(vine_pipe_status(pipe), 0);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

static void what_grew_our_half_is_announced_anew(void **state)
{
    pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(LIMIT);
    struct vine_data *data = NULL;
    struct vine_data *result = NULL;
    const size_t size = 4u << 20;
    struct vine_task_options options = {.size_bytes = sizeof options,
                                        .inputs = &data,
                                        .input_count = 1,
                                        .outputs = &result,
                                        .output_count = 1};

    (void)state;
    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, size, &data), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, size, &result), 0);
    memset(vine_data_map(data), 'x', size);
    end_process(pid, SIGKILL);
    pid = start_process(OFFER_ALL);
    wait_until_renewed(pipe);
    assert_int_equal(vine_task_run(pipe, served_get(pipe, "turn"), &options, LIMIT, NULL, NULL), 0);
    assert_int_equal(vine_data_size(result), size);
    assert_int_equal(((const char *)vine_data_view(result))[size - 1], 'X');
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

static void sessions_end_and_accelerators_stay(void **state)
{
    pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(LIMIT);
    struct vine_procedure *sum = served_get(pipe, "sum");
    struct vine_accelerator *accelerator = NULL;
    struct vine_session *session = NULL;
    struct vine_session *untouched = NULL;
    uint64_t number = 3;
    struct sum_state result;
    size_t size = sizeof result;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};

    (void)state;
    assert_int_equal(vine_accelerator_acquire(pipe, NULL, VINE_PARALLEL, &accelerator), 0);
    assert_int_equal(vine_session_open(pipe, sum, &session), 0);
    assert_int_equal(vine_session_open(pipe, sum, &untouched), 0);
    options.session = session;
    assert_int_equal(vine_task_run(pipe, sum, &options, LIMIT, &result, &size), 0);
    end_process(pid, SIGKILL);
    pid = start_process(OFFER_ALL);
    wait_until_renewed(pipe);
    assert_int_equal(vine_task_run(pipe, sum, &options, LIMIT, &result, &size), -VINE_EPEERLOST);
    vine_session_close(session);
    options.session = untouched;
    options.accelerator = accelerator;
    assert_int_equal(vine_task_run(pipe, sum, &options, LIMIT, &result, &size), 0);
    assert_int_equal(result.sum, 3);
    vine_session_close(untouched);
    vine_accelerator_release(accelerator);
    assert_int_equal(vine_pipe_status(pipe), 0);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

static void a_procedure_that_changed_or_went_is_told_as_such(void **state)
{
    pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(LIMIT);
    struct vine_procedure *procedure = served_get(pipe, "counted");
    const uint64_t number = 1;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};
    uint64_t result;
    size_t size = sizeof result;

    (void)state;
    open_gate();
    end_process(pid, SIGKILL);
    pid = start_process(OFFER_CHANGED);
    wait_until_renewed(pipe);
    assert_int_equal(vine_task_run(pipe, procedure, &options, LIMIT, &result, &size),
                     -VINE_ECHANGED);
    end_process(pid, SIGKILL);
    pid = start_process(OFFER_NOT_COUNTED);
    wait_until_renewed(pipe);
    assert_int_equal(vine_task_run(pipe, procedure, &options, LIMIT, &result, &size),
                     -VINE_EPROCEDURE);
    end_process(pid, SIGKILL);
    pid = start_process(OFFER_OTHER_NUMBERS);
    wait_until_renewed(pipe);
    assert_int_equal(vine_task_run(pipe, procedure, &options, LIMIT, &result, &size), 0);
    assert_int_equal(counts->begun[1], 1);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

static void tasks_come_after_those_that_they_came_after(void **state)
{
    pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(LIMIT);
    struct vine_task_options again = {.size_bytes = sizeof again, .idempotent = true};
    struct vine_task *first = issue_number(pipe, "counted", 1, &again);

    (void)state;
    again.after = first;
    struct vine_task *second = issue_number(pipe, "counted", 2, &again);
    again.after = second;
    struct vine_task *third = issue_number(pipe, "counted", 3, &again);
    wait_until_begun(1);
    end_process(pid, SIGKILL);
    pid = start_process(OFFER_ALL);
    wait_until_renewed(pipe);
    wait_until_begun(1);
    assert_int_equal(vine_task_poll(third), -EAGAIN);
    assert_int_equal(counts->begun[3], 0);
    open_gate();
    ends_with_number(third, 3);
    ends_with_number(second, 2);
    ends_with_number(first, 1);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

static int calls;

static void count_call(struct vine_task *task, int status, void *context)
{
    (void)status;
    (void)context;
    vine_task_free(task);
    calls++;
}

static void a_program_with_a_loop_of_its_own_goes_on(void **state)
{
    pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(LIMIT);
    struct vine_task_options again = {
        .size_bytes = sizeof again, .idempotent = true, .callback = count_call};
    uint64_t timeout_ns = 0;
    int fd = -1;

    (void)state;
    calls = 0;
    assert_int_equal(vine_pipe_descriptor(pipe, &fd), 0);
    (void)issue_number(pipe, "counted", 1, &again);
    wait_until_begun(1);
    assert_true(vine_pipe_arm(pipe, &timeout_ns) >= 0);
    end_process(pid, SIGKILL);
    pid = start_process(OFFER_ALL);
    open_gate();
    while (calls == 0) {
        struct pollfd one = {.fd = fd, .events = POLLIN};

        assert_true(vine_pipe_arm(pipe, &timeout_ns) >= 0);
        (void)poll(&one, 1, (int)(timeout_ns / 1000000));
    }
    assert_int_equal(vine_pipe_status(pipe), 0);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

/* ---- drain ----------------------------------------------------------------------------------- */

static void what_a_draining_appliance_did_not_begin_runs_once_at_the_next(void **state)
{
    pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(LIMIT);
    struct vine_task *tasks[40];
    int status;

    (void)state;
    for (uint64_t i = 0; i < 40; i++)
        tasks[i] = issue_number(pipe, "counted", i, NULL);
    wait_until_begun(1);
    assert_int_equal(kill(pid, SIGTERM), 0);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(vine_task_wait(tasks[39], SECOND / 100), -ETIMEDOUT);
    open_gate();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    pid = start_process(OFFER_OTHER_NUMBERS);
    for (uint64_t i = 0; i < 40; i++)
        ends_with_number(tasks[i], i);
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(counts->begun[i], 1);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

/* ---- links ----------------------------------------------------------------------------------- */

static void who_waits_at_a_link_that_is_unplugged_waits_no_longer(void **state)
{
    const pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(VINE_FOREVER);
    int error;

    (void)state;
    end_process(pid, SIGKILL);
    for (int i = 0; i < 10; i++)
        assert_true((error = vine_pipe_status(pipe)) == 0 || error == -EAGAIN);
    fake_unplug(machines, 0);
    while ((error = vine_pipe_status(pipe)) == 0 || error == -EAGAIN)
        sched_yield();
    assert_int_equal(error, -VINE_EPEERLOST);
    vine_pipe_close(pipe);
    fake_plug(machines, 0, "zip");
}

/* What a process of the other machine that dies leaves there is the next one's. */
static void an_appliance_that_nobody_was_told_of_says_that_the_former_is_gone(void **state)
{
    pid_t pid = start_process(OFFER_ALL);
    struct vine_pipe *pipe = open_renewed(LIMIT);
    int status;

    (void)state;
    open_gate();
    ends_with_number(issue_number(pipe, "counted", 1, NULL), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(vine_pipe_status(pipe), 0);
    is_host_silent = true;
    pid = start_process(OFFER_ALL);
    is_host_silent = false;
    wait_until_renewed(pipe);
    ends_with_number(issue_number(pipe, "counted", 2, NULL), 2);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

/* ---------------------------------------------------------------------------------------------- */

static int set_up(const char *kind)
{
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED)
        return -1;
    (void)snprintf(folder, sizeof folder, "/tmp/vine-test-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    if (strcmp(kind, "shm:") == 0)
        (void)snprintf(path, sizeof path, "shm:vine-renewal-%d", (int)getpid());
    else
        (void)snprintf(path, sizeof path, "%s%s/pipe", kind, folder);
    print_message("%s\n", path);
    return 0;
}

static int set_up_socket(void **state)
{
    (void)state;
    return set_up("");
}

static int set_up_file(void **state)
{
    (void)state;
    return set_up("file:");
}

static int set_up_shm(void **state)
{
    (void)state;
    return set_up("shm:");
}

static int set_up_link(void **state)
{
    (void)state;
    if (set_up("") != 0)
        return -1;
    (void)snprintf(path, sizeof path, "pci:zip");
    machines = calloc(1, sizeof *machines);
    if (machines == NULL)
        return -1;
    fake_start(machines);
    fake_plug(machines, 0, "zip");
    return 0;
}

static int tear_down(void **state)
{
    char name[80];

    (void)state;
    if (machines != NULL)
        fake_stop(machines);
    free(machines);
    machines = NULL;
    (void)snprintf(name, sizeof name, "%s/pipe", folder);
    (void)unlink(name);
    (void)snprintf(name, sizeof name, "%s/pipe.lock", folder);
    (void)unlink(name);
    if (strncmp(path, "shm:", 4) == 0)
        (void)shm_unlink(path + 4);
    (void)munmap(counts, sizeof *counts);
    return rmdir(folder);
}

#define EVERYWHERE                                                                                 \
    cmocka_unit_test(a_pipe_without_the_option_is_over_with_its_appliance),                        \
        cmocka_unit_test(when_nobody_comes_in_time_the_pipe_is_over),                              \
        cmocka_unit_test(a_task_that_may_have_run_is_lost_and_the_next_one_runs),                  \
        cmocka_unit_test(idempotent_tasks_are_issued_anew_in_their_order),                         \
        cmocka_unit_test(what_is_canceled_while_nobody_serves_it_ends),                            \
        cmocka_unit_test(own_data_and_results_stay_and_can_be_inputs_again),                       \
        cmocka_unit_test(sessions_end_and_accelerators_stay),                                      \
        cmocka_unit_test(a_procedure_that_changed_or_went_is_told_as_such),                        \
        cmocka_unit_test(tasks_come_after_those_that_they_came_after),                             \
        cmocka_unit_test(a_program_with_a_loop_of_its_own_goes_on),                                \
        cmocka_unit_test(what_a_draining_appliance_did_not_begin_runs_once_at_the_next)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVERYWHERE,
        cmocka_unit_test(what_grew_our_half_is_announced_anew),
    };
    const struct CMUnitTest of_links[] = {
        EVERYWHERE,
        cmocka_unit_test(an_appliance_that_nobody_was_told_of_says_that_the_former_is_gone),
        cmocka_unit_test(who_waits_at_a_link_that_is_unplugged_waits_no_longer),
    };
    int failed = cmocka_run_group_tests_name("over a socket", tests, set_up_socket, tear_down);

    if (is_emulated("tells a process another start time of itself than others see"))
        return failed;
    failed += cmocka_run_group_tests_name("in a file", tests, set_up_file, tear_down);
    failed += cmocka_run_group_tests_name("in shared memory", tests, set_up_shm, tear_down);
    failed += cmocka_run_group_tests_name("over a link", of_links, set_up_link, tear_down);
    return failed;
}
