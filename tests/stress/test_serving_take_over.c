/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime timeout=600 long=3000 */
/*
 * An appliance on three reactors is replaced by another one, again and again, under 64 pipes, and
 * whoever takes part is killed meanwhile: the one before, the one that comes, or an application.
 *
 * Fault model: processes die at any instruction of a hand-over; nothing else goes wrong. Pipes
 * whose application lives go on with whoever is there next. Each task ends, as done or as lost; of
 * those that may not run twice none is begun twice, and one that is done was begun; coroutines and
 * their streams among them. Where nobody is killed no task is lost, and the one before ends well.
 */
#define SERVE serve_on_reactors

#include "harness/folder.h"
#include "harness/serve_on_reactors.h"
#include "stress/kill.h"

#include <vine/coroutine.h>
#include <vine/handler.h>
#include <vine/service.h>
#include <vine/stream.h>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>

#define PROCESSES  16U
#define PIPES_EACH 4U
#define WINDOW     6U
#define NUMBERS    (1U << 17) /* of each process that ever was */
#define LIVES      32U        /* applications in one place, of which each has numbers of its own */
#define PIECE      3000U

static struct shared {
    uint8_t begun[PROCESSES * LIVES * NUMBERS];
    uint32_t ended[PROCESSES][PIPES_EACH]; /* tasks, streams */
    uint32_t lost;
    uint32_t is_over;
} *shared;

static int told; /* a byte for each appliance that listens */

/* ---- appliances ------------------------------------------------------------------------------ */

VINE_COROUTINE(forward)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_forward(that->socket, that->socket);
    vine_end();
}

static inline void count(uint64_t number)
{
    __atomic_fetch_add(&shared->begun[number % sizeof shared->begun], 1, __ATOMIC_ACQ_REL);
}

/* Of micro-processes that nothing keeps from memory which appliances share. */
VINE_COROUTINE(coroutine)
{
    struct {
        struct vine_handled facts;
    } *self;

    vine_begin();
    vine_handled(&self->facts);
    count(self->facts.scalars[0]);
    vine_write(&self->facts.scalars[0], sizeof self->facts.scalars[0]);
    vine_end();
}

static int run_counted(struct vine_call *call)
{
    const uint64_t number = vine_call_scalar(call, 0, 0);

    count(number);
    return vine_call_result(call, &number, sizeof number);
}

static const struct vine_argument counted_arguments[] = {
    {"number", VINE_SCALAR, 0, 0, UINT64_MAX},
    {"number", VINE_RESULT, 0, 8, 8},
};

static const struct vine_procedure_definition offered[] = {
    {.size_bytes = sizeof offered[0],
     .name = "short",
     .run = run_counted,
     .arguments = counted_arguments,
     .argument_count = 2,
     .flags = VINE_PROCEDURE_SHORT},
    {.size_bytes = sizeof offered[0],
     .name = "long",
     .run = run_counted,
     .arguments = counted_arguments,
     .argument_count = 2},
    {.size_bytes = sizeof offered[0],
     .name = "forward",
     .arguments = echo_arguments,
     .argument_count = 2,
     .coroutine = VINE_COROUTINE_OF(forward)},
    {.size_bytes = sizeof offered[0],
     .name = "coroutine",
     .arguments = counted_arguments,
     .argument_count = 2,
     .coroutine = VINE_COROUTINE_OF(coroutine)},
};

static int offer_all(struct vine_appliance *to)
{
    int error = offer(to);

    for (size_t i = 0; error == 0 && i < sizeof offered / sizeof offered[0]; i++)
        error = vine_appliance_register(to, &offered[i]);
    return error;
}

static void tell_started(void)
{
    (void)!write(told, "", 1);
}

static int be_successor(void)
{
    static const struct vine_service_options coroutines = {.size_bytes = sizeof coroutines,
                                                           .isolation = VINE_ISOLATE_NONE};
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options, .memory_max_bytes = 8u << 20, .leaves = true};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    serving_on_reactors.coroutines = &coroutines;
    serving_on_reactors.started = tell_started;
    serving_on_reactors.takes_over = true;
    return SERVE(path, &options, offer_all, 1);
}

/* ---- applications ---------------------------------------------------------------------------- */

struct user {
    struct vine_pipe *pipe;
    struct vine_procedure *procedures[3], *forward;
    struct {
        struct vine_task *task;
        uint64_t number;
    } slots[WINDOW];
    uint32_t *ended;
};

static uint64_t next_number, last_number;

#define MUST(condition) must(condition, __LINE__, #condition)

static void must(bool is, int line, const char *what)
{
    if (is)
        return;
    (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, line, what);
    _exit(20);
}

static void open_user(struct user *user, uint32_t *ended)
{
    const struct vine_pipe_options options = {.size_bytes = sizeof options,
                                              .reconnect_ns = HANG_NS};
    int error;

    *user = (struct user){.ended = ended};
    do
        error = vine_pipe_open(path, &options, &user->pipe);
    while (error == -VINE_ENOAPPLIANCE || error == -VINE_EPEERLOST || error == -VINE_EDRAINING);
    MUST(error == 0);
    MUST(vine_procedure_get(user->pipe, "short", &user->procedures[0]) == 0);
    MUST(vine_procedure_get(user->pipe, "long", &user->procedures[1]) == 0);
    MUST(vine_procedure_get(user->pipe, "coroutine", &user->procedures[2]) == 0);
    MUST(vine_procedure_get(user->pipe, "forward", &user->forward) == 0);
}

static void count_end(struct user *user, int status)
{
    MUST(status == 0 || status == -VINE_EPEERLOST);
    if (status != 0)
        __atomic_fetch_add(&shared->lost, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(user->ended, 1, __ATOMIC_RELEASE);
}

static void use_slot(struct user *user, unsigned at)
{
    const uint64_t number = next_number;
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};

    if (user->slots[at].task != NULL) {
        const int status = vine_task_wait(user->slots[at].task, HANG_NS);
        const uint8_t begun =
            __atomic_load_n(&shared->begun[user->slots[at].number], __ATOMIC_ACQUIRE);

        count_end(user, status);
        MUST(begun <= 1 && (status != 0 || begun == 1));
        vine_task_free(user->slots[at].task);
        user->slots[at].task = NULL;
    }
    if (__atomic_load_n(&shared->is_over, __ATOMIC_ACQUIRE) != 0)
        return;

    const int error = vine_task_issue(user->pipe, user->procedures[rand_r(&seed) % 3], &options,
                                      &user->slots[at].task);

    MUST(error == 0 || error == -EAGAIN);
    if (error == 0) {
        user->slots[at].number = number;
        next_number++;
    }
}

/* A stream from its first byte to its end, or to where it is lost. */
static void use_stream(struct user *user)
{
    static char out[PIECE], back[PIECE];
    struct vine_stream *stream = NULL;
    size_t size = 1;
    size_t got = 0;
    int error = vine_stream_open(user->pipe, user->forward, NULL, &stream);

    if (error == -EAGAIN)
        return;
    MUST(error == 0);
    memset(out, 'a' + rand_r(&seed) % 26, sizeof out);
    error = vine_stream_write(stream, out, sizeof out, HANG_NS, &size);
    MUST(error != 0 || size == sizeof out);
    if (error == 0)
        error = vine_stream_end(stream, HANG_NS);
    while (error == 0 && size > 0) {
        error = vine_stream_read(stream, back, sizeof back, HANG_NS, &size);
        MUST(error != 0 || memcmp(back, out, size) == 0);
        got += error == 0 ? size : 0;
    }
    MUST(error != 0 || got == sizeof out);
    vine_stream_close(stream);
    /* Behind a loss its tasks may find no session. */
    count_end(user, error == -VINE_ESESSION || error == -EPIPE ? -VINE_EPEERLOST : error);
}

static uint32_t place; /* of the application that is started next */
static uint32_t lives[PROCESSES];

static int be_user(void)
{
    struct user users[PIPES_EACH];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    seed ^= (unsigned)getpid();
    next_number = ((uint64_t)place * LIVES + lives[place]) * NUMBERS;
    last_number = next_number + NUMBERS;
    for (unsigned i = 0; i < PIPES_EACH; i++)
        open_user(&users[i], &shared->ended[place][i]);
    while (__atomic_load_n(&shared->is_over, __ATOMIC_ACQUIRE) == 0) {
        struct user *user = &users[(unsigned)rand_r(&seed) % PIPES_EACH];

        if (rand_r(&seed) % 8 == 0 || next_number == last_number)
            use_stream(user);
        else
            use_slot(user, (unsigned)rand_r(&seed) % WINDOW);
    }
    for (unsigned i = 0; i < PIPES_EACH; i++) {
        for (unsigned at = 0; at < WINDOW; at++)
            use_slot(&users[i], at);
        vine_pipe_close(users[i].pipe);
    }
    return 0;
}

/* ---- who is killed --------------------------------------------------------------------------- */

static int told_end; /* of the test */
static pid_t server;
static pid_t users[PROCESSES];

static void start_user(uint32_t at)
{
    assert_true(lives[at] < LIVES);
    place = at;
    users[at] = start(be_user);
    lives[at]++;
}

static int see_end(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Until it listens; or until it has ended, which is told by 0. */
static pid_t wait_until_started(pid_t pid)
{
    char byte;

    for (;;) {
        struct pollfd one = {.fd = told_end, .events = POLLIN};

        (void)poll(&one, 1, 1);
        if (read(told_end, &byte, 1) == 1)
            return pid;
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return 0;
    }
}

static pid_t start_one(void)
{
    pid_t pid = 0;

    while (pid == 0) /* one that has just been left nothing any more refuses, until it is gone */
        pid = wait_until_started(start(be_successor));
    return pid;
}

/* Each pipe of all applications ends some more of its tasks. */
static void wait_for_progress(void)
{
    const uint64_t start_ns = now_ns();

    for (uint32_t i = 0; i < PROCESSES; i++)
        for (uint32_t k = 0; k < PIPES_EACH; k++) {
            const uint32_t before = __atomic_load_n(&shared->ended[i][k], __ATOMIC_ACQUIRE);

            while (__atomic_load_n(&shared->ended[i][k], __ATOMIC_ACQUIRE) == before) {
                assert_true(now_ns() - start_ns < HANG_NS);
                assert_int_equal(waitpid(users[i], NULL, WNOHANG), 0);
                sched_yield();
            }
        }
}

static void take_over_and_kill(unsigned victim)
{
    pid_t next = start(be_successor);

    /* From its start on, or from where it has the listener. */
    if (rand_r(&seed) % 2 == 0)
        assert_int_equal(wait_until_started(next), next);
    random_moment();
    if (victim == 0) {
        assert_int_equal(kill(server, SIGKILL), 0);
        (void)see_end(server);
    } else if (victim == 1) {
        assert_int_equal(kill(next, SIGKILL), 0);
        (void)see_end(next);
    } else if (victim == 2) {
        const uint32_t at = (uint32_t)rand_r(&seed) % PROCESSES;

        assert_int_equal(kill(users[at], SIGKILL), 0);
        (void)see_end(users[at]);
        start_user(at);
    }
    if (victim == 1) {
        next = start_one();
    } else if (kill(next, 0) == 0 && waitpid(next, NULL, WNOHANG) == next) {
        next = start_one();
    }
    if (victim != 0)
        assert_int_equal(see_end(server), 0);
    server = next;
}

static unsigned rounds(void)
{
    return getenv("VINE_TEST_LONG") ? 400 : 6;
}

static void begin_all(void)
{
    memset(shared->ended, 0, sizeof shared->ended);
    shared->is_over = 0;
    shared->lost = 0;
    server = start_one();
    for (uint32_t i = 0; i < PROCESSES; i++)
        start_user(i);
    wait_for_progress();
}

static void end_all(void)
{
    __atomic_store_n(&shared->is_over, 1, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < PROCESSES; i++)
        assert_int_equal(see_end(users[i]), 0);
    assert_int_equal(kill(server, SIGTERM), 0);
    assert_int_equal(see_end(server), 0);
}

static void no_task_of_64_pipes_is_lost_while_nobody_is_killed(void **state)
{
    (void)state;
    begin_all();
    for (unsigned i = 0; i < rounds(); i++) {
        take_over_and_kill(3);
        wait_for_progress();
    }
    end_all();
    assert_int_equal(shared->lost, 0);
}

/* A further one takes over while the one before has streams still, and nobody waits for it. */
static void no_task_is_lost_where_another_one_follows_at_once(void **state)
{
    (void)state;
    begin_all();
    for (unsigned i = 0; i < rounds() / 2; i++) {
        const pid_t between = start_one();
        const pid_t last = start_one();

        assert_int_equal(see_end(server), 0);
        assert_int_equal(see_end(between), 0);
        server = last;
        wait_for_progress();
    }
    end_all();
    assert_int_equal(shared->lost, 0);
}

static void whoever_is_killed_in_a_hand_over_64_pipes_go_on(void **state)
{
    (void)state;
    begin_all();
    for (unsigned i = 0; i < rounds(); i++) {
        take_over_and_kill(i % 3);
        wait_for_progress();
    }
    end_all();
}

static int setup(void **state)
{
    int ends[2];

    (void)state;
    prepare_one();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    told_end = ends[0];
    told = ends[1];
    memset(lives, 0, sizeof lives);
    return 0;
}

static int teardown(void **state)
{
    char lock[128];

    (void)state;
    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    (void)unlink(lock);
    (void)unlink(path);
    close(told);
    close(told_end);
    (void)munmap(shared, sizeof *shared);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_task_of_64_pipes_is_lost_while_nobody_is_killed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_task_is_lost_where_another_one_follows_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(whoever_is_killed_in_a_hand_over_64_pipes_go_on, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
