/* SPDX-License-Identifier: Apache-2.0 */
/* test: timeout=180 */
/*
 * A new process of an appliance is left the pipes of the running one. Appliances are processes of a
 * nursery, which is forked before this program has threads; how often each task was begun stands in
 * memory that all of them share.
 */
#include "served.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define NUMBERS  (1u << 24)
#define THREADS  3
#define WINDOW   24
#define PATIENCE (30 * SECOND)

static char folder[32];
static char path[64];

static struct shared {
    uint8_t begun[NUMBERS];
    uint32_t gate_is_open;
    uint32_t waiting;
} *shared;

static void print_log(void *context, enum vine_log_level level, const char *text)
{
    (void)context;
    if (getenv("VINE_TEST_LOG") != NULL)
        (void)fprintf(stderr, "%d %s\n", (int)level, text);
}

/* ---- what appliances offer ------------------------------------------------------------------- */

static int run_counted(struct vine_call *call)
{
    const uint64_t number = vine_call_scalar(call, 0, 0);

    __atomic_fetch_add(&shared->begun[number % NUMBERS], 1, __ATOMIC_ACQ_REL);
    return vine_call_result(call, &number, sizeof number);
}

static int run_held(struct vine_call *call)
{
    const int error = run_counted(call);

    __atomic_fetch_add(&shared->waiting, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&shared->gate_is_open, __ATOMIC_ACQUIRE) == 0 &&
           !vine_call_is_canceled(call))
        sched_yield();
    __atomic_fetch_sub(&shared->waiting, 1, __ATOMIC_ACQ_REL);
    return error;
}

static const struct vine_argument number_arguments[] = {
    {"number", VINE_SCALAR, 0, 0, UINT64_MAX},
    {"number", VINE_RESULT, 0, 8, 8},
};

#define COUNTED(title, bits, handler)                                                              \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_procedure_definition), .name = (title), .flags = (bits),  \
        .run = (handler), SERVED_ARGUMENTS(number_arguments)                                       \
    }

static const struct vine_procedure_definition offered[] = {
    COUNTED("short", VINE_PROCEDURE_SHORT, run_counted),
    COUNTED("long", 0, run_counted),
    COUNTED("held", 0, run_held),
};

/* ---- the nursery ----------------------------------------------------------------------------- */

enum order {
    START_AND_LISTEN,
    START_AND_STAY, /* the same, of one that leaves its pipes to nobody */
    START_AND_TAKE_OVER,
    END, /* wait until it has ended by itself */
    STOP,
    KILL,
};

struct command {
    enum order order;
    pid_t pid;
};

struct answer {
    pid_t pid;
    int error; /* of starting; or how it ended: an exit status, or a negated signal */
};

static int nursery;

static struct vine_appliance *stopped_by_signal;

static void stop(int signal)
{
    (void)signal;
    vine_appliance_stop(stopped_by_signal);
}

static int prepare(struct vine_appliance *appliance)
{
    int error = 0;

    /* Each process has numbers of its own. */
    for (int i = 0; i < getpid() % 3 && !error; i++)
        error = vine_appliance_register(appliance, &served_procedures[i]);
    for (size_t i = 0; i < sizeof offered / sizeof offered[0] && !error; i++)
        error = vine_appliance_register(appliance, &offered[i]);
    for (size_t i = 0; i < SERVED_PROCEDURES && !error; i++)
        error = vine_appliance_register(appliance, &served_procedures[i]);
    return error;
}

/* The child. Does not return. */
static void be_appliance(enum order order, int told)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options, .log = print_log, .leaves = order != START_AND_STAY};
    struct vine_appliance *appliance = NULL;
    pthread_t workers[2];
    int error = vine_appliance_create(&options, &appliance);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    gate_set(true);
    stopped_by_signal = appliance;
    signal(SIGTERM, stop);
    if (!error)
        error = prepare(appliance);
    if (!error)
        error = order == START_AND_TAKE_OVER ? vine_appliance_take_over(appliance, path, PATIENCE)
                                             : vine_appliance_listen(appliance, path);
    for (int i = 0; i < 2 && !error; i++)
        error = pthread_create(&workers[i], NULL, served_work, appliance);
    if (!error)
        served_wait_for_workers(appliance, 2);
    if (write(told, &error, sizeof error) != sizeof error || error)
        _exit(9);
    error = vine_appliance_serve(appliance);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(workers[i], NULL);
    vine_appliance_destroy(appliance);
    _exit(error ? 8 : 0);
}

static struct answer start(enum order order)
{
    struct answer answer = {0};
    int told[2];

    if (pipe(told) != 0)
        _exit(1);
    answer.pid = fork();
    if (answer.pid == 0) {
        close(told[0]);
        be_appliance(order, told[1]);
    }
    close(told[1]);
    /* Who is killed meanwhile tells nothing. */
    if (read(told[0], &answer.error, sizeof answer.error) != sizeof answer.error)
        answer.error = -VINE_EPEERLOST;
    close(told[0]);
    return answer;
}

static struct answer see_end(pid_t pid, int with)
{
    struct answer answer = {.pid = pid};
    int status = 0;

    if (with != 0)
        (void)kill(pid, with);
    if (waitpid(pid, &status, 0) != pid)
        _exit(1);
    answer.error = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return answer;
}

static void nurse(int commands)
{
    struct command command;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(commands, &command, sizeof command) == sizeof command) {
        const struct answer answer = command.order <= START_AND_TAKE_OVER ? start(command.order)
                                     : command.order == END               ? see_end(command.pid, 0)
                                     : command.order == STOP ? see_end(command.pid, SIGTERM)
                                                             : see_end(command.pid, SIGKILL);

        if (write(commands, &answer, sizeof answer) != sizeof answer)
            break;
    }
    _exit(0);
}

static void send_order(enum order order, pid_t pid)
{
    const struct command command = {.order = order, .pid = pid};

    assert_int_equal(write(nursery, &command, sizeof command), sizeof command);
}

static struct answer take_answer(void)
{
    struct answer answer;

    assert_int_equal(read(nursery, &answer, sizeof answer), sizeof answer);
    return answer;
}

static struct answer give(enum order order, pid_t pid)
{
    send_order(order, pid);
    return take_answer();
}

static pid_t begin(enum order order)
{
    const struct answer answer = give(order, 0);

    assert_int_equal(answer.error, 0);
    return answer.pid;
}

/* In threads, where cmocka cannot go back to the test. */
static void must_be(int64_t is, int64_t should_be, int line)
{
    if (is == should_be)
        return;
    (void)fprintf(stderr, "%s:%d: %lld instead of %lld\n", __FILE__, line, (long long)is,
                  (long long)should_be);
    abort();
}

#define MUST_BE(is, should_be) must_be((int64_t)(is), (int64_t)(should_be), __LINE__)

/* ---- applications ---------------------------------------------------------------------------- */

static struct vine_pipe *open_pipe(uint64_t reconnect_ns)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .log = print_log, .reconnect_ns = reconnect_ns};
    struct vine_pipe *pipe = NULL;

    MUST_BE(vine_pipe_open(path, &options, &pipe), 0);
    return pipe;
}

static void begin_test(void)
{
    memset(shared, 0, sizeof *shared);
}

static void run_number(struct vine_pipe *pipe, const char *name, uint64_t number)
{
    struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};
    uint64_t result = 0;
    size_t size = sizeof result;

    assert_int_equal(vine_task_run(pipe, served_get(pipe, name), &options, LIMIT, &result, &size),
                     0);
    assert_int_equal(result, number);
}

static uint64_t renewals_of(struct vine_pipe *pipe)
{
    struct vine_pipe_stats stats;

    vine_pipe_get_stats(pipe, &stats);
    return stats.renewals;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void where_nobody_listens_nothing_is_taken_over(void **state)
{
    (void)state;
    assert_int_equal(give(START_AND_TAKE_OVER, 0).error, -VINE_ENOAPPLIANCE);
}

static void who_leaves_to_nobody_refuses(void **state)
{
    const pid_t pid = begin(START_AND_STAY);
    struct vine_pipe *pipe = open_pipe(0);

    (void)state;
    begin_test();
    run_number(pipe, "long", 1);
    assert_int_equal(give(START_AND_TAKE_OVER, 0).error, -VINE_EFAILED);
    run_number(pipe, "long", 2);
    assert_int_equal(renewals_of(pipe), 0);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, pid).error, 0);
}

/* ---- one ------------------------------------------------------------------------------------- */

static void a_pipe_without_options_goes_on_with_the_successor(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(0);
    pid_t second;

    (void)state;
    begin_test();
    run_number(pipe, "long", 1);
    second = begin(START_AND_TAKE_OVER);
    assert_int_equal(give(END, first).error, 0); /* though the application has not said hello */
    run_number(pipe, "long", 2);
    assert_int_equal(renewals_of(pipe), 1);
    assert_int_equal(shared->begun[2], 1);
    /* The name is the successor's, and new pipes are. */
    struct vine_pipe *other = open_pipe(0);
    run_number(other, "short", 3);
    vine_pipe_close(other);
    /* Whose death is noticed as such. */
    assert_int_equal(give(KILL, second).error, -SIGKILL);
    while (vine_pipe_status(pipe) == 0)
        sched_yield();
    assert_int_equal(vine_pipe_status(pipe), -VINE_EPEERLOST);
    vine_pipe_close(pipe);
}

static void a_task_that_runs_ends_there_and_the_next_ones_here(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(0);
    struct vine_procedure *held = served_get(pipe, "held");
    struct vine_task *tasks[10];
    uint64_t number;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};

    (void)state;
    begin_test();
    for (number = 0; number < 10; number++)
        assert_int_equal(vine_task_issue(pipe, held, &options, &tasks[number]), 0);
    while (__atomic_load_n(&shared->waiting, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
    const pid_t second = begin(START_AND_TAKE_OVER);
    for (number = 10; number < 20; number++) {
        struct vine_task *task = NULL;

        assert_int_equal(vine_task_issue(pipe, held, &options, &task), 0);
        vine_task_free(task); /* it is abandoned, and runs all the same */
    }
    __atomic_store_n(&shared->gate_is_open, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
    }
    assert_int_equal(give(END, first).error, 0);
    run_number(pipe, "held", 20); /* behind all others */
    for (int i = 0; i <= 20; i++)
        assert_int_equal(shared->begun[i], 1);
    assert_int_equal(renewals_of(pipe), 1);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, second).error, 0);
}

static void a_session_ends_where_it_began(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(0);
    struct vine_procedure *sum = served_get(pipe, "sum");
    struct vine_session *session = NULL;
    uint64_t number = 5;
    struct sum_state result;
    size_t size = sizeof result;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};

    (void)state;
    begin_test();
    assert_int_equal(vine_session_open(pipe, sum, &session), 0);
    options.session = session;
    assert_int_equal(vine_task_run(pipe, sum, &options, LIMIT, &result, &size), 0);
    const pid_t second = begin(START_AND_TAKE_OVER);
    assert_int_equal(vine_task_run(pipe, sum, &options, LIMIT, &result, &size), 0);
    options.session_last = true;
    assert_int_equal(vine_task_run(pipe, sum, &options, LIMIT, &result, &size), 0);
    assert_int_equal(result.sum, 15);
    assert_int_equal(renewals_of(pipe), 0);
    vine_session_close(session);
    assert_int_equal(give(END, first).error, 0);
    run_number(pipe, "long", 1);
    assert_int_equal(renewals_of(pipe), 1);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, second).error, 0);
}

static void a_session_that_does_not_end_is_told_as_lost(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(0);
    struct vine_procedure *sum = served_get(pipe, "sum");
    struct vine_session *session = NULL;
    uint64_t number = 5;
    struct sum_state result;
    size_t size = sizeof result;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};

    (void)state;
    begin_test();
    assert_int_equal(vine_session_open(pipe, sum, &session), 0);
    options.session = session;
    assert_int_equal(vine_task_run(pipe, sum, &options, LIMIT, &result, &size), 0);
    const pid_t second = begin(START_AND_TAKE_OVER);
    assert_int_equal(give(END, first).error, 0);
    assert_int_equal(vine_task_run(pipe, sum, &options, LIMIT, &result, &size), -VINE_EPEERLOST);
    vine_session_close(session);
    run_number(pipe, "long", 1);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, second).error, 0);
}

static void a_result_of_the_predecessor_is_an_input_of_the_successor(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(0);
    struct vine_procedure *turn = served_get(pipe, "turn");
    struct vine_data *data = NULL;
    struct vine_data *result = NULL;
    struct vine_data *again = NULL;
    struct vine_task *task = NULL;
    char text[6] = {0};
    struct vine_task_options options = {.size_bytes = sizeof options,
                                        .inputs = &data,
                                        .input_count = 1,
                                        .outputs = &result,
                                        .output_count = 1};

    (void)state;
    begin_test();
    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, 5, &data), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 5, &result), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 5, &again), 0);
    assert_int_equal(vine_data_write(data, 0, "HeLLo", 5), 0);
    assert_int_equal(vine_task_run(pipe, turn, &options, LIMIT, NULL, NULL), 0);
    const pid_t second = begin(START_AND_TAKE_OVER);
    assert_int_equal(give(END, first).error, 0);
    /* Issued before this side knows of it: it is named anew. */
    options.inputs = &result;
    options.outputs = &again;
    assert_int_equal(vine_task_issue(pipe, turn, &options, &task), 0);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    vine_task_free(task);
    assert_int_equal(vine_data_read(again, 0, text, 5), 0);
    assert_string_equal(text, "HeLLo");
    assert_int_equal(renewals_of(pipe), 1);
    vine_data_free(result);
    vine_data_free(again);
    vine_data_free(data);
    run_number(pipe, "long", 1);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, second).error, 0);
}

/* ---- many ------------------------------------------------------------------------------------ */

static uint32_t is_over;

struct load {
    pthread_t thread;
    uint32_t index;
    uint64_t reconnect_ns;
    uint64_t count; /* of tasks issued */
    uint64_t lost;
    bool has_loop;
    uint32_t first; /* of its numbers */
};

/* Issues its numbers one after the other, with a window of them in flight, until it is told to
 * end. How a task ended is compared with how often it began. */
static void end_number(struct load *load, uint64_t number, int status)
{
    const uint8_t begun = __atomic_load_n(&shared->begun[number], __ATOMIC_ACQUIRE);

    if (status == 0)
        MUST_BE(begun, 1);
    else
        MUST_BE(status, -VINE_EPEERLOST);
    MUST_BE(begun <= 1, true);
    load->lost += status != 0;
}

static void *issue_all_the_time(void *context)
{
    struct load *load = context;
    struct vine_pipe *pipe = open_pipe(load->reconnect_ns);
    struct vine_procedure *procedures[] = {NULL, NULL};
    struct vine_task *tasks[WINDOW] = {NULL};
    uint64_t numbers[WINDOW] = {0};
    uint64_t timeout_ns;
    int fd = -1;

    MUST_BE(vine_procedure_get(pipe, "short", &procedures[0]), 0);
    MUST_BE(vine_procedure_get(pipe, "long", &procedures[1]), 0);
    if (load->has_loop)
        MUST_BE(vine_pipe_descriptor(pipe, &fd), 0);
    while (__atomic_load_n(&is_over, __ATOMIC_ACQUIRE) == 0 &&
           load->count + WINDOW < NUMBERS / THREADS) {
        size_t at = load->count % WINDOW;
        uint64_t number = load->first + load->count;
        const struct vine_task_options options = {
            .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};
        int error;

        if (tasks[at] != NULL && load->has_loop) {
            while (vine_task_poll(tasks[at]) == -EAGAIN) {
                struct pollfd one = {.fd = fd, .events = POLLIN};

                MUST_BE(vine_pipe_arm(pipe, &timeout_ns) >= 0, true);
                if (vine_task_poll(tasks[at]) == -EAGAIN)
                    (void)poll(&one, 1, (int)((timeout_ns + 999999) / 1000000));
            }
        }
        if (tasks[at] != NULL) {
            end_number(load, numbers[at], vine_task_wait(tasks[at], LIMIT));
            vine_task_free(tasks[at]);
            tasks[at] = NULL;
        }
        numbers[at] = number;
        while ((error = vine_task_issue(pipe, procedures[number % 2], &options, &tasks[at])) ==
               -EAGAIN)
            sched_yield();
        MUST_BE(error, 0);
        __atomic_store_n(&load->count, load->count + 1, __ATOMIC_RELEASE);
    }
    for (size_t at = 0; at < WINDOW; at++)
        if (tasks[at] != NULL) {
            end_number(load, numbers[at], vine_task_wait(tasks[at], LIMIT));
            vine_task_free(tasks[at]);
        }
    vine_pipe_close(pipe);
    return NULL;
}

static void begin_loads(struct load *loads, uint64_t reconnect_ns)
{
    begin_test();
    is_over = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        loads[i] = (struct load){.index = i,
                                 .reconnect_ns = reconnect_ns,
                                 .has_loop = i == 2,
                                 .first = i * (NUMBERS / THREADS)};
        assert_int_equal(pthread_create(&loads[i].thread, NULL, issue_all_the_time, &loads[i]), 0);
    }
}

static void end_loads(struct load *loads)
{
    __atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(loads[i].thread, NULL), 0);
}

/* Each of them has issued some more. */
static void wait_for_progress(const struct load *loads)
{
    for (uint32_t i = 0; i < THREADS; i++) {
        const uint64_t before = __atomic_load_n(&loads[i].count, __ATOMIC_ACQUIRE);

        while (__atomic_load_n(&loads[i].count, __ATOMIC_ACQUIRE) < before + WINDOW)
            sched_yield();
    }
}

static void no_task_is_lost_nor_run_twice_in_a_hundred_take_overs(void **state)
{
    pid_t pid = begin(START_AND_LISTEN);
    struct load loads[THREADS];

    (void)state;
    begin_loads(loads, 0);
    for (int i = 0; i < 100; i++) {
        wait_for_progress(loads);
        const pid_t next = begin(START_AND_TAKE_OVER);

        assert_int_equal(give(END, pid).error, 0);
        pid = next;
    }
    end_loads(loads);
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(loads[i].lost, 0);
        for (uint64_t n = 0; n < loads[i].count; n++)
            assert_int_equal(shared->begun[loads[i].first + n], 1);
    }
    assert_int_equal(give(STOP, pid).error, 0);
}

/* Until some moment of a take-over. */
static void pass_a_moment(unsigned *seed)
{
    for (int i = rand_r(seed) % 2000; i > 0; i--)
        sched_yield();
}

static void whoever_is_killed_meanwhile_applications_go_on(void **state)
{
    pid_t pid = begin(START_AND_LISTEN);
    struct load loads[THREADS];
    unsigned seed = 20261122;

    (void)state;
    begin_loads(loads, PATIENCE);
    for (int i = 0; i < 30; i++) {
        send_order(START_AND_TAKE_OVER, 0);
        pass_a_moment(&seed);
        if (i % 2)
            (void)kill(pid, SIGKILL); /* of the nursery, which waits for it below */

        struct answer next = take_answer();

        if (!(i % 2) && next.error == 0) {
            pass_a_moment(&seed);
            assert_int_equal(give(KILL, next.pid).error, -SIGKILL);
            /* The first goes on, unless it had left all: then it ends by itself, soon. */
            next = give(START_AND_TAKE_OVER, 0);
            if (next.error != 0) {
                assert_int_equal(give(END, next.pid).error, 9);
                (void)kill(pid, SIGKILL);
                (void)give(END, pid);
                pid = begin(START_AND_LISTEN);
                continue;
            }
        } else if (next.error != 0) {
            assert_int_equal(give(END, next.pid).error, 9);
            (void)kill(pid, SIGKILL);
            (void)give(END, pid);
            pid = begin(START_AND_LISTEN);
            continue;
        }
        (void)give(END, pid);
        pid = next.pid;
    }
    end_loads(loads);
    for (uint32_t i = 0; i < THREADS; i++)
        for (uint64_t n = 0; n < loads[i].count; n++)
            assert_true(shared->begun[loads[i].first + n] <= 1);
    assert_int_equal(give(STOP, pid).error, 0);
}

/* ---- restarts -------------------------------------------------------------------------------- */

static void *ask_all_the_time(void *context)
{
    struct vine_pipe *pipe = context;
    struct vine_procedure *noop = NULL;
    const struct vine_task_options again = {.size_bytes = sizeof again, .idempotent = true};
    uint64_t done = 0;

    /* A question for a procedure is a task too, and idempotent. */
    for (; __atomic_load_n(&is_over, __ATOMIC_ACQUIRE) == 0 || done == 0; done++)
        MUST_BE(noop == NULL ? vine_procedure_get(pipe, "noop", &noop)
                             : vine_task_run(pipe, noop, &again, LIMIT, NULL, NULL),
                0);
    return NULL;
}

static void threads_of_a_pipe_go_on_over_many_restarts(void **state)
{
    pid_t pid = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(LIMIT);
    struct vine_pipe_stats stats;
    pthread_t threads[THREADS];

    (void)state;
    begin_test();
    is_over = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_all_the_time, pipe), 0);
    for (uint64_t i = 1; i <= 20; i++) {
        if (i % 3 == 0) {
            const pid_t next = begin(START_AND_TAKE_OVER);

            assert_int_equal(give(END, pid).error, 0);
            pid = next;
        } else {
            (void)give(i % 3 == 1 ? KILL : STOP, pid);
            pid = begin(START_AND_LISTEN);
        }
        do {
            sched_yield();
            vine_pipe_get_stats(pipe, &stats);
        } while (stats.renewals < i);
    }
    __atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    vine_pipe_get_stats(pipe, &stats);
    assert_int_equal(stats.tasks_lost, 0);
    assert_int_equal(stats.tasks_failed, 0);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, pid).error, 0);
}

static int set_up(void **state)
{
    int ends[2];

    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0)
        return -1;
    (void)snprintf(folder, sizeof folder, "/tmp/vine-test-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    const pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid == 0) {
        close(ends[0]);
        nurse(ends[1]);
    }
    close(ends[1]);
    nursery = ends[0];
    return 0;
}

static int tear_down(void **state)
{
    char lock[80];

    (void)state;
    close(nursery);
    (void)unlink(path);
    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    (void)unlink(lock);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_nobody_listens_nothing_is_taken_over),
        cmocka_unit_test(who_leaves_to_nobody_refuses),
        cmocka_unit_test(a_pipe_without_options_goes_on_with_the_successor),
        cmocka_unit_test(a_task_that_runs_ends_there_and_the_next_ones_here),
        cmocka_unit_test(a_session_ends_where_it_began),
        cmocka_unit_test(a_session_that_does_not_end_is_told_as_lost),
        cmocka_unit_test(a_result_of_the_predecessor_is_an_input_of_the_successor),
        cmocka_unit_test(no_task_is_lost_nor_run_twice_in_a_hundred_take_overs),
        cmocka_unit_test(whoever_is_killed_meanwhile_applications_go_on),
        cmocka_unit_test(threads_of_a_pipe_go_on_over_many_restarts),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
