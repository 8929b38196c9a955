/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/clock/clock.h"
#include "arch/cpu/cpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static void conversions_that_do_not_fit_give_the_greatest_value(void **state)
{
    (void)state;
    vine__clock_calibrate();
    /* One of the two rates is at most 1, so that one may fit: never does either wrap. */
    const uint64_t time_ns = vine__clock_ticks_to_ns(UINT64_MAX);
    const uint64_t ticks = vine__clock_ns_to_ticks(UINT64_MAX);
    assert_true(time_ns >= UINT64_MAX >> 10);
    assert_true(ticks >= UINT64_MAX >> 10);
    assert_true(time_ns == UINT64_MAX || ticks == UINT64_MAX || time_ns == ticks);
    assert_int_equal(vine__clock_ticks_to_ns(0), 0);
    assert_int_equal(vine__clock_ns_to_ticks(0), 0);
}

static void neither_clock_runs_backwards(void **state)
{
    (void)state;
    uint64_t last_ns = vine__clock_now_ns();
    uint64_t last_ticks = vine__clock_ticks();
    for (int i = 0; i < 100000; i++) {
        const uint64_t now_ns = vine__clock_now_ns();
        const uint64_t now_ticks = vine__clock_ticks();
        assert_true(now_ns >= last_ns);
        /* On another processor the counter may lag by the nanoseconds of a message. */
        assert_true(now_ticks + vine__clock_ns_to_ticks(10000) >= last_ticks);
        last_ns = now_ns;
        last_ticks = now_ticks;
    }
}

static void both_clocks_agree_on_a_stretch_of_time(void **state)
{
    (void)state;
    /* A best of several: the process may be put aside between two readings. */
    double best = 1.0;
    for (int i = 0; i < 20 && best > 0.001; i++) {
        const uint64_t from_ns = vine__clock_now_ns();
        const uint64_t from_ticks = vine__clock_ticks();
        while (vine__clock_now_ns() - from_ns < 5000000)
            vine__cpu_relax();
        const uint64_t ticks = vine__clock_ticks() - from_ticks;
        const uint64_t time_ns = vine__clock_now_ns() - from_ns;
        const double ratio = (double)vine__clock_ticks_to_ns(ticks) / (double)time_ns;
        const double off = ratio > 1.0 ? ratio - 1.0 : 1.0 - ratio;
        if (off < best)
            best = off;
    }
    assert_true(best <= 0.001);
}

static void there_and_back_again_gives_about_the_same(void **state)
{
    (void)state;
    const uint64_t second_ns = 1000000000;
    const uint64_t back_ns = vine__clock_ticks_to_ns(vine__clock_ns_to_ticks(second_ns));
    assert_in_range(back_ns, second_ns - 1000, second_ns + 1000);
}

static void the_source_is_decided_once(void **state)
{
    (void)state;
    (void)vine__clock_ticks();
    const uint32_t source = vine__load_relaxed_u32(&vine__clock_source_word);
    assert_true(source == VINE__CLOCK_CYCLES || source == VINE__CLOCK_MONOTONIC);
    vine__clock_calibrate();
    assert_int_equal(vine__load_relaxed_u32(&vine__clock_source_word), source);
}

/* Every thread is the first one that asks. */
static void *ask_first(void *ret_ticks)
{
    *(uint64_t *)ret_ticks = vine__clock_ticks();
    (void)vine__clock_ticks_to_ns(1);
    return NULL;
}

static void threads_that_ask_first_at_once_read_the_same_clock(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    uint64_t ticks[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_first, &ticks[i]), 0);
    const uint64_t after_ns = 60 * UINT64_C(1000000000);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        const uint64_t apart = ticks[i] > ticks[0] ? ticks[i] - ticks[0] : ticks[0] - ticks[i];
        assert_true(vine__clock_ticks_to_ns(apart) < after_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First, while nobody has asked. */
        cmocka_unit_test(threads_that_ask_first_at_once_read_the_same_clock),
        cmocka_unit_test(conversions_that_do_not_fit_give_the_greatest_value),
        cmocka_unit_test(neither_clock_runs_backwards),
        cmocka_unit_test(both_clocks_agree_on_a_stretch_of_time),
        cmocka_unit_test(there_and_back_again_gives_about_the_same),
        cmocka_unit_test(the_source_is_decided_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
