/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* What the kernel says of threads, and interrupting them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arch/thread/thread.h"
#include "utils/atomic.h"

/* Words of threads that wait for each other by them alone; all pair with themselves. */
static uint32_t has_ended, is_there, interrupted;
static uint32_t numbers[2];

static void burn(void *context)
{
    struct timespec now;
    const uint32_t index = (uint32_t)(uintptr_t)context;

    numbers[index] = vine__thread_number();
    (void)vine__fetch_add_acq_rel_u32(&is_there, 1);
    while (vine__load_acquire_u32(&has_ended) == 0)
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
}

static void start_burning(struct vine__thread *threads, uint32_t count)
{
    has_ended = 0;
    is_there = 0;
    for (uintptr_t i = 0; i < count; i++)
        assert_int_equal(vine__thread_start(&threads[i], "burn", burn, (void *)i), 0);
    while (vine__load_acquire_u32(&is_there) < count)
        (void)sched_yield();
}

static void stop_burning(struct vine__thread *threads, uint32_t count)
{
    vine__store_release_u32(&has_ended, 1);
    for (uint32_t i = 0; i < count; i++)
        vine__thread_join(&threads[i]);
}

static void threads_that_share_a_processor_wait_for_it(void **state)
{
    struct vine__thread_places places;
    struct vine__thread threads[2];
    uint32_t processor = 0;

    (void)state;
    if (access("/proc/self/schedstat", R_OK) != 0) {
        (void)puts("skipped: this kernel does not count how long threads wait");
        return;
    }
    assert_int_equal(vine__thread_get_places(&places), 0);
    while ((places.processors[processor / 64] >> processor % 64 & 1) == 0)
        processor++;
    assert_int_equal(vine__thread_pin(processor), 0);
    start_burning(threads, 2);
    /* Both burn on one processor, so that each waits while the other one runs. */
    while (vine__thread_waited_ns(numbers[0]) < 1000000 ||
           vine__thread_waited_ns(numbers[1]) < 1000000)
        (void)sched_yield();
    assert_true(vine__thread_is_runnable(numbers[0]));
    assert_true(vine__thread_used_ns(threads[0].id) > 0);
    stop_burning(threads, 2);
    vine__thread_use_places(&places);
    assert_int_equal(vine__thread_waited_ns(numbers[0]), 0); /* there is no such thread now */
    assert_false(vine__thread_is_runnable(numbers[0]));
}

static void note(void *context)
{
    if (context != NULL)
        (void)vine__fetch_add_acq_rel_u32(&interrupted, 1);
    errno = EXDEV;
}

static void a_thread_is_interrupted_where_it_is(void **state)
{
    struct vine__thread threads[1];

    (void)state;
    assert_int_equal(vine__interrupts_open(note), 0);
    start_burning(threads, 1);
    assert_int_equal(vine__interrupt(threads[0].id), 0);
    while (vine__load_acquire_u32(&interrupted) == 0)
        (void)sched_yield();
    stop_burning(threads, 1);
    errno = 0;
    assert_int_equal(vine__interrupt(vine__thread_self()), 0);
    /* A signal to oneself is there before the call returns, or at the next call of libc. */
    (void)getppid();
    while (vine__load_acquire_u32(&interrupted) == 1)
        (void)sched_yield();
    assert_int_equal(errno, 0);
}

static void the_signal_that_interrupts_is_no_event(void **state)
{
    (void)state;
    assert_false(vine__signal_is_event(SIGRTMAX));
    assert_true(vine__signal_is_event(SIGRTMAX - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_share_a_processor_wait_for_it),
        cmocka_unit_test(a_thread_is_interrupted_where_it_is),
        cmocka_unit_test(the_signal_that_interrupts_is_no_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
