/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * An appliance on reactors whose pipe lies in a named segment does not spin when idle, be it that
 * its kernel wakes who waits for a word or that the core looks now and then: test_idle.c says how
 * that is watched. Application and appliance are one process here, which is watched as a whole.
 */
#include <stdint.h>

static uint8_t backend;

#define REACTORS_BACKEND backend
#define SERVED_APPLIANCE "../appliance/served_by_reactors.h"

#include "unit/core/talk/served.h"

#include "harness/emulator.h"

#include <poll.h>

#define MOST_NS (SECOND / 20)
#define WATCHES 5

static uint64_t time_of(clockid_t clock)
{
    struct timespec time;

    assert_int_equal(clock_gettime(clock, &time), 0);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

/* The time that is watched: nothing is to come in it. */
static void let_pass(uint64_t time_ns)
{
    assert_int_equal(poll(NULL, 0, (int)(time_ns / (SECOND / 1000))), 0);
}

static void watch(const char *name)
{
    static const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                          .segment_bytes = 1u << 20};
    struct served served;
    struct vine_pipe *pipe;
    uint64_t used_ns = SECOND;

    served_start_at(&served, "file:", &options, 0);
    pipe = served_open(&served, NULL);
    assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
    let_pass(SECOND / 4);
    for (int i = 0; i < WATCHES && used_ns >= MOST_NS; i++) {
        const uint64_t before_ns = time_of(CLOCK_PROCESS_CPUTIME_ID);

        let_pass(SECOND);
        used_ns = time_of(CLOCK_PROCESS_CPUTIME_ID) - before_ns;

        const uint64_t begin_ns = time_of(CLOCK_MONOTONIC);

        assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
        print_message("%s: in a second %llu us, and a task after it takes %llu us\n", name,
                      (unsigned long long)used_ns / 1000,
                      (unsigned long long)(time_of(CLOCK_MONOTONIC) - begin_ns) / 1000);
    }
    assert_true(used_ns < MOST_NS);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void an_idle_segment_is_waited_for(void **state)
{
    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    backend = VINE__POLL_BACKEND_ANY;
    watch("waiting");
}

static void an_idle_segment_is_looked_at_seldom(void **state)
{
    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    backend = VINE__POLL_BACKEND_EPOLL;
    watch("looking");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_segment_is_waited_for),
        cmocka_unit_test(an_idle_segment_is_looked_at_seldom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
