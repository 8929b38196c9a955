/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appliances that come and go, as processes of a nursery, which is forked before the test's program
 * has threads. How often each task was begun stands in memory that all of them share.
 */
#ifndef NURSERY_H
#define NURSERY_H

#include "harness/must.h"
#include "served.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define NUMBERS  (1u << 24)
#define PATIENCE (100 * SECOND)

static char folder[32];
static char path[64];

static struct shared {
    uint8_t begun[NUMBERS];
    uint32_t gate_is_open;
    uint32_t waiting;
} *shared;

static inline void print_log(void *context, enum vine_log_level level, const char *text)
{
    (void)context;
    if (getenv("VINE_TEST_LOG") != NULL)
        (void)fprintf(stderr, "%d %s\n", (int)level, text);
}

/* ---- what appliances offer ------------------------------------------------------------------- */

static inline int run_counted(struct vine_call *call)
{
    const uint64_t number = vine_call_scalar(call, 0, 0);

    __atomic_fetch_add(&shared->begun[number % NUMBERS], 1, __ATOMIC_ACQ_REL);
    return vine_call_result(call, &number, sizeof number);
}

static inline int run_held(struct vine_call *call)
{
    const int error = run_counted(call);

    __atomic_fetch_add(&shared->waiting, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&shared->gate_is_open, __ATOMIC_ACQUIRE) == 0 &&
           !vine_call_is_canceled(call))
        sched_yield();
    __atomic_fetch_sub(&shared->waiting, 1, __ATOMIC_ACQ_REL);
    return error;
}

/* Goes on until it is canceled, and says so. */
static inline int run_stubborn(struct vine_call *call)
{
    (void)run_counted(call);
    __atomic_fetch_add(&shared->waiting, 1, __ATOMIC_ACQ_REL);
    while (!vine_call_is_canceled(call))
        sched_yield();
    return -VINE_ECANCELED;
}

/* Until the gate is open, whoever cancels it. */
static inline int run_deaf(struct vine_call *call)
{
    const int error = run_counted(call);

    __atomic_fetch_add(&shared->waiting, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&shared->gate_is_open, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
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
    COUNTED("stubborn", 0, run_stubborn),
    COUNTED("deaf", 0, run_deaf),
};

/* ---- the nursery ----------------------------------------------------------------------------- */

enum order {
    START_AND_LISTEN,
    START_AND_STAY,    /* the same, of one that leaves its pipes to nobody */
    START_IMPATIENTLY, /* the same, of one that gives up soon what keeps a pipe from going */
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

static inline void stop(int signal)
{
    (void)signal;
    vine_appliance_stop(stopped_by_signal);
}

static inline int prepare(struct vine_appliance *appliance)
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
static inline void be_appliance(enum order order, int told)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options,
        .log = print_log,
        .leaves = order != START_AND_STAY,
        .leave_ns = order == START_IMPATIENTLY ? SECOND / 10 : 0,
    };
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

static inline struct answer start(enum order order)
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

static inline struct answer see_end(pid_t pid, int with)
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

static inline void nurse(int commands)
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

static inline void send_order(enum order order, pid_t pid)
{
    const struct command command = {.order = order, .pid = pid};

    assert_int_equal(write(nursery, &command, sizeof command), sizeof command);
}

static inline struct answer take_answer(void)
{
    struct answer answer;

    assert_int_equal(read(nursery, &answer, sizeof answer), sizeof answer);
    return answer;
}

static inline struct answer give(enum order order, pid_t pid)
{
    send_order(order, pid);
    return take_answer();
}

static inline pid_t begin(enum order order)
{
    const struct answer answer = give(order, 0);

    assert_int_equal(answer.error, 0);
    return answer.pid;
}

/* ---- applications ---------------------------------------------------------------------------- */

static inline struct vine_pipe *open_pipe(uint64_t reconnect_ns)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .log = print_log, .reconnect_ns = reconnect_ns};
    struct vine_pipe *pipe = NULL;

    MUST_BE(vine_pipe_open(path, &options, &pipe), 0);
    return pipe;
}

static inline void begin_test(void)
{
    memset(shared, 0, sizeof *shared);
}

static inline void run_number(struct vine_pipe *pipe, const char *name, uint64_t number)
{
    struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};
    uint64_t result = 0;
    size_t size = sizeof result;

    assert_int_equal(vine_task_run(pipe, served_get(pipe, name), &options, LIMIT, &result, &size),
                     0);
    assert_int_equal(result, number);
}

static inline uint64_t renewals_of(struct vine_pipe *pipe)
{
    struct vine_pipe_stats stats;

    vine_pipe_get_stats(pipe, &stats);
    return stats.renewals;
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
    char lock[80];

    (void)state;
    close(nursery);
    (void)unlink(path);
    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    (void)unlink(lock);
    return rmdir(folder);
}

#endif
