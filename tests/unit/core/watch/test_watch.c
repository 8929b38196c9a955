/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Reactors in threads of their own, and who watches them. What blocks a core goes on until it was
 * told, so that no time has to be guessed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <vine/reactor.h>
#include <vine/timer.h>

#include "core/log/log.h"
#include "core/watch/watch.h"
#include "harness/must.h"
#include "utils/atomic.h"

#define CORES 2
#define MS    1000000ULL

static struct vine__mesh *mesh;
static struct vine__watched cores[CORES];
static pthread_t threads[CORES];
static pthread_barrier_t barrier;
static struct vine__watch *watch;
static int (*first_fn)(void); /* on core 0 */

/* ---- what was logged ------------------------------------------------------------------------- */

/* Lines come from the watcher's thread alone. */
static struct {
    char text[1 << 20]; /* a line each, behind its module and a colon; read when it has ended */
    size_t length;
    const char *awaited; /* set before anything runs */
    uint32_t awaited_count;
    uint32_t has_come; /* atomic: pairs with nothing but itself; the word is all that is awaited */
    int wake_fd;       /* a byte goes there then; -1: none */
} told;

static void keep(void *context, const char *module, enum vine_log_level level, const char *line)
{
    const size_t room = sizeof(told.text) - told.length;
    const int length = snprintf(told.text + told.length, room, "%s:%s\n", module, line);

    (void)context;
    (void)level;
    if (length > 0 && (size_t)length < room)
        told.length += (size_t)length;
    if (strstr(line, told.awaited) == NULL || --told.awaited_count > 0)
        return;
    told.awaited_count = UINT32_MAX;
    vine__store_release_u32(&told.has_come, 1);
    if (told.wake_fd >= 0)
        (void)!write(told.wake_fd, "x", 1);
}

static const struct vine_log_target target = {.fn = keep};

static void await(const char *what, uint32_t times)
{
    memset(&told, 0, sizeof(told));
    told.awaited = what;
    told.awaited_count = times;
    told.wake_fd = -1;
}

static uint32_t count_told(const char *what)
{
    uint32_t count = 0;

    for (const char *at = told.text; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

/* The first report of a core from `at` on that names a function; NULL: there is none. On a machine
 * that is busy with other things any core may be blocked, anywhere. */
static const char *find_report(const char *at, const char *core, const char *function)
{
    while ((at = strstr(at, core)) != NULL) {
        const char *const end = strstr(at, " blocked for ");
        const char *const named = strstr(at, function);
        const char *const next = end != NULL ? strstr(end + 1, " has been blocked for ") : NULL;

        if (end != NULL && named != NULL && (next == NULL || named < next))
            return end;
        at++;
    }
    return NULL;
}

/* ---- reactors -------------------------------------------------------------------------------- */

static struct vine_work first;

static void run_first(struct vine_work *work)
{
    (void)work;
    if (first_fn() == 0)
        vine_stop(0);
}

static void *run(void *context)
{
    const uint32_t core = (uint32_t)(uintptr_t)context;
    const struct vine__poller_options options = {.queue_depth = 32};
    struct vine__poller *poller;

    cores[core].number = (uint32_t)gettid();
    MUST_BE(vine__poller_create(&poller, &options), 0);
    MUST_BE(vine__reactor_create(&cores[core].reactor, mesh, core, poller), 0);
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier); /* the watcher is there */
    if (core == 0) {
        (void)vine__reactor_enter(cores[0].reactor);
        vine_work_init(&first, run_first);
        vine_work_post(&first);
    }
    vine__reactor_run(cores[core].reactor);
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier); /* the watcher is gone */
    vine__reactor_destroy(cores[core].reactor);
    return NULL;
}

/* Start cores and their watcher, have `fn` called on core 0, and return when all has stopped. */
static void run_watched(int (*fn)(void), struct vine__watch_options options)
{
    const struct vine__mesh_options mesh_options = {.core_count = CORES};

    first_fn = fn;
    vine_log_direct(&target);
    assert_int_equal(vine__mesh_create(&mesh, &mesh_options), 0);
    (void)pthread_barrier_init(&barrier, NULL, CORES + 1);
    for (uintptr_t core = 0; core < CORES; core++) {
        assert_int_equal(pthread_create(&threads[core], NULL, run, (void *)core), 0);
        cores[core].thread = threads[core];
    }
    (void)pthread_barrier_wait(&barrier);
    options.mesh = mesh;
    options.cores = cores;
    options.core_count = CORES;
    assert_int_equal(vine__watch_start(&watch, &options), 0);
    vine__mesh_open_to_aliens(mesh);
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier);
    vine__mesh_open_to_aliens(NULL);
    vine__watch_stop(watch);
    (void)pthread_barrier_wait(&barrier);
    for (uint32_t core = 0; core < CORES; core++)
        (void)pthread_join(threads[core], NULL);
    vine__watch_destroy(watch);
    (void)pthread_barrier_destroy(&barrier);
    vine__mesh_destroy(mesh);
    vine_log_direct(NULL);
}

/* ---- what blocks ----------------------------------------------------------------------------- */

/* Its name is looked for. The clock is read for sanitizers, which let a signal in where a function
 * of libc is called. */
__attribute__((noinline)) static int64_t burn_until_told(void *argument)
{
    struct timespec now;

    (void)argument;
    while (vine__load_acquire_u32(&told.has_come) == 0)
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return 0;
}

static int pipe_ends[2];
static int epoll_fd;

/* A call that ThreadSanitizer lets a signal into; most others it does not. It ends with EINTR. */
__attribute__((noinline)) static int64_t wait_until_told(void *argument)
{
    struct epoll_event event;

    (void)argument;
    while (epoll_wait(epoll_fd, &event, 1, -1) < 0)
        continue;
    return 0;
}

static struct vine_core_call call;

static void stop_when_called(struct vine_core_call *ended)
{
    (void)ended;
    vine_stop(0);
}

static int have_core_1_burn(void)
{
    vine_core_call(&call, 1, burn_until_told, NULL, stop_when_called);
    return 1;
}

static int have_core_1_wait(void)
{
    vine_core_call(&call, 1, wait_until_told, NULL, stop_when_called);
    return 1;
}

static void what_blocks_a_core_is_named(void **state)
{
    (void)state;
    await("burn_until_told", 1);
    run_watched(have_core_1_burn, (struct vine__watch_options){.blocked_ns = 5 * MS});
    assert_non_null(find_report(told.text, "stall:core 1 has been", "burn_until_told"));
    assert_non_null(strstr(told.text, ", in group main, "));
    /* A core that sleeps meanwhile is none that is blocked. */
    assert_null(find_report(told.text, "stall:core 0 has been", "vine__poller_sleep"));
}

static void a_system_call_that_waits_blocks_a_core_too(void **state)
{
    struct epoll_event event = {.events = EPOLLIN};

    (void)state;
    assert_int_equal(pipe(pipe_ends), 0);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert_true(epoll_fd >= 0);
    assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe_ends[0], &event), 0);
    await("wait_until_told", 1);
    told.wake_fd = pipe_ends[1];
    run_watched(have_core_1_wait, (struct vine__watch_options){.blocked_ns = 5 * MS});
    assert_non_null(strstr(told.text, "stall:core 1 has been blocked for "));
    (void)close(epoll_fd);
    (void)close(pipe_ends[0]);
    (void)close(pipe_ends[1]);
}

/* Blocked for times that double, so that there are few reports of a long time. */
static void a_core_that_stays_blocked_is_told_ever_more_seldom(void **state)
{
    const char *at;

    (void)state;
    await("burn_until_told", 4);
    run_watched(have_core_1_burn,
                (struct vine__watch_options){.blocked_ns = 5 * MS,
                                             .reports_at_most = 100,
                                             .reports_every_ns = 3600 * VINE_NS_PER_SECOND});
    at = told.text;
    for (unsigned long long limit_ms = 5; limit_ms <= 40; limit_ms *= 2) {
        unsigned long long ms = 0;

        at = find_report(at, "stall:core 1 has been", "burn_until_told");
        assert_non_null(at);
        assert_int_equal(sscanf(at, " blocked for %llu ms", &ms), 1);
        /* Not more than the one before: what it waited for a processor is left out, by a measure
         * that errs on that side. */
        assert_true(ms >= limit_ms);
        at++;
    }
}

static void reports_have_a_limit_and_those_left_out_are_counted(void **state)
{
    (void)state;
    await("further reports are left out", 1);
    run_watched(have_core_1_burn,
                (struct vine__watch_options){.blocked_ns = 2 * MS,
                                             .reports_at_most = 2,
                                             .reports_every_ns = 3600 * VINE_NS_PER_SECOND});
    assert_int_equal(count_told("stall:core 1 has been blocked for "), 2);
    assert_int_equal(count_told("further reports"), 1);
    /* Told at the end at the latest: one, or more if it took us long to see that. */
    assert_int_equal(count_told(" left out\n"), 1);
}

static struct vine_timer timer;

static void burn_here(struct vine_timer *ended)
{
    (void)ended;
    (void)burn_until_told(NULL);
    vine_stop(0);
}

static int burn_after_a_long_sleep(void)
{
    vine_timer_init(&timer, VINE_CLOCK_COARSE, burn_here);
    vine_timer_arm_after(&timer, 400 * MS);
    return 1;
}

static void a_watcher_who_sleeps_is_woken(void **state)
{
    (void)state;
    await("burn_until_told", 1);
    run_watched(burn_after_a_long_sleep, (struct vine__watch_options){.blocked_ns = 5 * MS});
    assert_non_null(strstr(told.text, "stall:core 0 has been blocked for "));
}

/* ---- the first work after a sleep ------------------------------------------------------------ */

#define LOOKS_MS 20 /* longer than the watcher waits between looks at a core that is awake */

/* The watcher sleeps, and looks ever more seldom. Then core 0 is woken by a byte in a pipe, and
 * what it does for that blocks it: it never comes to ring. */
static bool is_sent_for; /* before anything runs, and then the watcher's */
static unsigned char byte;
static struct vine__operation reading;
static struct vine_work burning;

static void burn_at_work(struct vine_work *work)
{
    (void)work;
    (void)burn_until_told(NULL);
    vine_stop(0);
}

static void burn_then(struct vine__operation *ended, int32_t result, uint32_t flags)
{
    (void)ended;
    (void)flags;
    MUST_BE(result, 1);
    vine_work_post(&burning);
}

static int burn_when_sent_for(void)
{
    vine_work_init(&burning, burn_at_work);
    reading = (struct vine__operation){.fn = burn_then,
                                       .kind = VINE__POLL_READ,
                                       .fd = pipe_ends[0],
                                       .bytes = &byte,
                                       .size = 1,
                                       .offset = VINE__POLL_STREAM};
    vine__reactor_begin(&reading);
    return 1;
}

static void send_for_it(int timeout_ms)
{
    if (!is_sent_for || timeout_ms <= LOOKS_MS)
        return;
    is_sent_for = false;
    MUST_BE(write(pipe_ends[1], "x", 1), 1);
}

static void who_blocks_before_ringing_is_seen_all_the_same(void **state)
{
    (void)state;
    assert_int_equal(pipe(pipe_ends), 0);
    await("burn_until_told", 1);
    is_sent_for = true;
    run_watched(burn_when_sent_for, (struct vine__watch_options){.blocked_ns = 5 * MS});
    assert_non_null(find_report(told.text, "stall:core 0 has been", "burn_until_told"));
    (void)close(pipe_ends[0]);
    (void)close(pipe_ends[1]);
}

/* ---- who wakes after an hour ----------------------------------------------------------------- */

/* The watcher goes to sleep, and an hour passes in that moment, by the clock below. Then core 0 is
 * woken, and held between the bell that it rings and its turn until the watcher has looked. */
enum stage {
    NOTHING_TO_HOLD,
    AWAITED, /* that the watcher sleeps */
    WOKEN,   /* core 0, by us */
    HELD,
    LOOKED,
};
static uint32_t stage;     /* atomic: enum stage; each thread below waits for it or the semaphore */
#define HELD_LOOKS_MS 1000 /* as LOOKS_MS, of who has as much time as below */
static uint32_t ahead_s;   /* atomic, in no order: how far the clock is ahead of the machine's */
static sem_t has_looked;

static bool go_on_from(enum stage from, enum stage to)
{
    uint32_t expected = from;

    return vine__compare_exchange_acq_rel_u32(&stage, &expected, to);
}

#define NEXT(name) ((typeof(&name))next_of(#name))

static void *next_of(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    const int error = NEXT(clock_gettime)(clock, ret_now);

    if (clock == CLOCK_MONOTONIC)
        ret_now->tv_sec += vine__load_relaxed_u32(&ahead_s);
    return error;
}

static int64_t stop_here(void *nothing)
{
    (void)nothing;
    vine_stop(0);
    return 0;
}

__attribute__((visibility("default"))) int epoll_wait(int fd, struct epoll_event *ret_events,
                                                      int count, int timeout_ms)
{
    if (!vine_on_reactor())
        send_for_it(timeout_ms);
    if (!vine_on_reactor() && timeout_ms > HELD_LOOKS_MS && go_on_from(AWAITED, WOKEN)) {
        vine__store_relaxed_u32(&ahead_s, 3600);
        MUST_BE(vine_alien_submit_to(0, stop_here, NULL), 0);
    } else if (!vine_on_reactor() && go_on_from(HELD, LOOKED)) {
        (void)sem_post(&has_looked);
    }
    return NEXT(epoll_wait)(fd, ret_events, count, timeout_ms);
}

__attribute__((visibility("default"))) ssize_t write(int fd, const void *bytes, size_t size)
{
    /* Before the bell rings, so that the watcher is not faster than we. */
    const bool is_held = vine_on_reactor() && vine_core() == 0 && go_on_from(WOKEN, HELD);
    const ssize_t written = NEXT(write)(fd, bytes, size);

    while (is_held && sem_wait(&has_looked) != 0)
        continue;
    return written;
}

static int have_it_held(void)
{
    vine__store_release_u32(&stage, AWAITED); /* pairs with the exchanges */
    return 1;
}

static void that_a_core_has_slept_is_no_stall_when_it_wakes(void **state)
{
    (void)state;
    await("nothing", 1);
    assert_int_equal(sem_init(&has_looked, 0, 0), 0);
    /* Longer than anything here takes, and shorter than the sleep. */
    run_watched(have_it_held,
                (struct vine__watch_options){.blocked_ns = 1800 * VINE_NS_PER_SECOND});
    assert_int_equal(stage, LOOKED);
    assert_string_equal(told.text, "");
    (void)sem_destroy(&has_looked);
}

/* ---- the state of all ------------------------------------------------------------------------ */

static int block_signal(void **state)
{
    sigset_t set;

    (void)state;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    return pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void stop_as_told(struct vine_timer *every)
{
    if (vine__load_acquire_u32(&told.has_come) == 0)
        return;
    (void)vine_timer_cancel(every);
    vine_stop(0);
}

static int ask_while_idle(void)
{
    vine_timer_init(&timer, VINE_CLOCK_COARSE, stop_as_told);
    vine_timer_arm_every(&timer, 10 * MS);
    return kill(getpid(), SIGUSR1) == 0;
}

static int ask_while_core_1_burns(void)
{
    vine_core_call(&call, 1, burn_until_told, NULL, stop_when_called);
    return kill(getpid(), SIGUSR1) == 0;
}

static void idle_cores_describe_themselves(void **state)
{
    (void)state;
    await("calls: ", CORES);
    run_watched(ask_while_idle, (struct vine__watch_options){.signal = SIGUSR1});
    assert_non_null(strstr(told.text, "state:core 0:\nstate:turns "));
    assert_non_null(strstr(told.text, "state:core 1:\nstate:turns "));
    assert_int_equal(count_told("state:group 0 main: 100 shares, "), CORES);
    assert_non_null(strstr(told.text, "state:timers: 1 armed on the coarse clock\n"));
    assert_int_equal(count_told("stall:"), 0);
}

static void a_core_that_is_blocked_is_described_from_outside(void **state)
{
    (void)state;
    await("burn_until_told", 1);
    run_watched(ask_while_core_1_burns, (struct vine__watch_options){.signal = SIGUSR1});
    assert_non_null(strstr(told.text, "state:core 0:\nstate:turns "));
    assert_non_null(strstr(told.text, "state:calls to core 1: 1 of "));
    assert_non_null(strstr(told.text, "state:core 1: blocked in turn "));
}

static uint32_t taken;

static bool take(void)
{
    taken++;
    vine__store_release_u32(&told.has_come, 1);
    return true;
}

static void who_sees_to_the_signal_is_left_to_it(void **state)
{
    (void)state;
    await("nothing", 1);
    run_watched(ask_while_idle, (struct vine__watch_options){.signal = SIGUSR1, .is_taken = take});
    assert_int_equal(taken, 1);
    assert_string_equal(told.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_blocks_a_core_is_named),
        cmocka_unit_test(a_system_call_that_waits_blocks_a_core_too),
        cmocka_unit_test(a_core_that_stays_blocked_is_told_ever_more_seldom),
        cmocka_unit_test(reports_have_a_limit_and_those_left_out_are_counted),
        cmocka_unit_test(a_watcher_who_sleeps_is_woken),
        cmocka_unit_test(who_blocks_before_ringing_is_seen_all_the_same),
        cmocka_unit_test(that_a_core_has_slept_is_no_stall_when_it_wakes),
        cmocka_unit_test(idle_cores_describe_themselves),
        cmocka_unit_test(a_core_that_is_blocked_is_described_from_outside),
        cmocka_unit_test(who_sees_to_the_signal_is_left_to_it),
    };

    return cmocka_run_group_tests(tests, block_signal, NULL);
}
