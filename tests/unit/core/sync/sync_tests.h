/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of core/sync share: as much of a reactor as they need, in the test's own hands. Its
 * turns are called by the test, and its clock is the test's.
 */
#ifndef VINE_TESTS_SYNC_TESTS_H
#define VINE_TESTS_SYNC_TESTS_H

#include "core/timer/wheel.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <vine/error.h>
#include <vine/waiting.h>

static struct vine__wheel test_wheel;
static uint64_t test_now_ns;
static struct vine_work *test_first_work, **test_last_work;

void vine_work_init(struct vine_work *work, vine_work_fn fn)
{
    *work = (struct vine_work){.fn = fn};
}

void vine_work_post(struct vine_work *work)
{
    if (work->is_posted)
        return;
    work->is_posted = true;
    work->next = NULL;
    *test_last_work = work;
    test_last_work = &work->next;
}

void vine_timer_init(struct vine_timer *timer, enum vine_clock clock, vine_timer_fn fn)
{
    assert_int_equal(clock, VINE_CLOCK_COARSE);
    *timer = (struct vine_timer){.fn = fn, .clock = (uint8_t)clock};
}

void vine_timer_arm_at(struct vine_timer *timer, uint64_t due_ns)
{
    vine__wheel_arm(&test_wheel, timer, due_ns);
}

bool vine_timer_cancel(struct vine_timer *timer)
{
    return vine__wheel_cancel(&test_wheel, timer);
}

static inline void start_core(void)
{
    test_now_ns = 1000;
    vine__wheel_init(&test_wheel, 1, test_now_ns);
    test_last_work = &test_first_work;
    test_first_work = NULL;
}

static inline uint64_t now_ns(void)
{
    return test_now_ns;
}

/* Turn until nothing is left to do, `by_ns` later. */
static inline void run_core(uint64_t by_ns)
{
    struct vine_timer *timer = NULL;

    test_now_ns += by_ns;
    do {
        timer = vine__wheel_pop_due(&test_wheel, test_now_ns);
        if (timer != NULL)
            timer->fn(timer);
        while (test_first_work != NULL) {
            struct vine_work *work = test_first_work;

            test_first_work = work->next;
            if (test_first_work == NULL)
                test_last_work = &test_first_work;
            work->is_posted = false;
            work->fn(work);
        }
    } while (timer != NULL);
}

/* Nothing is armed or on its way any more. */
static inline bool core_is_idle(void)
{
    return test_first_work == NULL && vine__wheel_next_ns(&test_wheel) == VINE_FOREVER;
}

/* ---- those who wait -------------------------------------------------------------------------- */

/* By how much a deadline may be late: the resolution of the clock. */
#define DEADLINE_SLACK_NS 1

#define GUESTS 8

struct guest {
    struct vine_waiting waiting;
    uint32_t calls;
    int result;
    uint32_t order; /* which of all calls the last one was, from 1 */
};

static struct guest guests[GUESTS];
static uint32_t guest_calls;

static inline void note_end(struct vine_waiting *waiting)
{
    struct guest *guest = (struct guest *)(void *)waiting;

    assert_true(vine_waiting_is_idle(waiting));
    guest->calls++;
    guest->result = vine_waiting_result(waiting);
    guest->order = ++guest_calls;
}

static inline void start_guests(void)
{
    start_core();
    guest_calls = 0;
    memset(guests, 0, sizeof(guests));
    for (size_t n = 0; n < GUESTS; n++)
        vine_waiting_init(&guests[n].waiting, note_end);
}

/* Called once, with this result, as this one of all. */
#define ASSERT_ENDED(n, wanted_result, wanted_order)                                               \
    do {                                                                                           \
        assert_int_equal(guests[n].calls, 1);                                                      \
        assert_int_equal(guests[n].result, wanted_result);                                         \
        assert_int_equal(guests[n].order, wanted_order);                                           \
    } while (0)

/* ---- what must not be done ------------------------------------------------------------------- */

/* Whether `fn` fails an assertion of ours. In a child, as it ends the process. */
static inline bool fails_an_assertion(void (*fn)(void))
{
    int status = 0;
    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
