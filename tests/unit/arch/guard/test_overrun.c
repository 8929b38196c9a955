/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Runs that take too long: abandoned in the service's own text, and elsewhere the end of the
 * process. */
#include "unit/arch/guard/guards.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_NS 40000000ULL

static struct vine__guard_region region;
static struct vine__guard_fault fault;

static int run(void (*fn)(void *), void *argument)
{
    fault = (struct vine__guard_fault){0};
    return vine__guard_run(&region, fn, argument, &fault);
}

static uint64_t used_ns(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* ---- services -------------------------------------------------------------------------------- */

SERVICE static void spin(void *address)
{
    volatile uint64_t *const word = address;

    for (;;)
        ++*word;
}

/* In a leaf nearly all of the time. */
static void *(*volatile call_memset)(void *, int, size_t) = memset;

SERVICE static void spin_in_a_leaf(void *address)
{
    for (;;)
        (void)call_memset(address, 1, PAGE);
}

SERVICE static void count(void *address)
{
    ++*(uint64_t *)address;
}

__attribute__((noinline, no_sanitize("address", "thread", "undefined"))) static void
somebody_else_spins(void)
{
    static volatile uint64_t word;

    for (;;)
        ++word;
}

SERVICE static void never_come_back(void *address)
{
    somebody_else_spins();
    *(volatile uint64_t *)address = 2;
}

static int spin_in_the_gate(struct vine__guard_region *its_region, uintptr_t argument)
{
    const uint64_t end_ns = used_ns() + 2 * LIMIT_NS;

    (void)its_region;
    (void)argument;
    while (used_ns() < end_ns)
        continue;
    return 7;
}

SERVICE static void be_long_in_the_gate(void *address)
{
    *(volatile int *)address = vine__guard_gate(spin_in_the_gate, 0);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void check_abandoned(void)
{
    region = region_make(1, 0);
    assert_int_equal(run(spin, region.start), -EFAULT);
    assert_int_equal(fault.signal, SIGXCPU);
    assert_true(fault.pc - (uintptr_t)__start_test_service <
                (uintptr_t)__stop_test_service - (uintptr_t)__start_test_service);
    /* Again, and then who does not take long is left alone. */
    assert_int_equal(run(spin, region.start), -EFAULT);
    assert_int_equal(run(spin_in_a_leaf, region.start), -EFAULT);
    assert_int_equal(fault.signal, SIGXCPU);
    assert_int_equal(run(count, region.start), 0);
    region_release(&region);
}

static void who_runs_for_too_long_is_abandoned(void **state)
{
    (void)state;
    guard_each(check_abandoned);
}

static void check_many(void)
{
    const uint64_t end_ns = used_ns() + 4 * LIMIT_NS;
    int error = 0;

    region = region_make(1, 0);
    while (error == 0 && used_ns() < end_ns)
        error = run(count, region.start);
    assert_int_equal(error, 0);
    region_release(&region);
}

static void many_short_runs_are_none_that_is_too_long(void **state)
{
    (void)state;
    guard_each(check_many);
}

static void check_gate(void)
{
    int result = 0, error;

    region = region_make(1, 0);
    /* What is outside for a while is not abandoned there; on its way back it may be. */
    error = run(be_long_in_the_gate, region.start);
    if (error == 0) {
        assert_int_equal(vine__guard_open(&region), 0);
        result = *(int *)(void *)region.start;
        vine__guard_close(&region);
        assert_int_equal(result, 7);
    } else {
        assert_int_equal(error, -EFAULT);
        assert_int_equal(fault.signal, SIGXCPU);
    }
    assert_int_equal(run(count, region.start), 0);
    region_release(&region);
}

static void who_is_outside_by_the_gate_is_not_abandoned_there(void **state)
{
    (void)state;
    guard_each(check_gate);
}

static void check_end(void)
{
    char said[512];
    int ends[2], status;
    ssize_t size = 0, more;

    region = region_make(1, 0);
    assert_int_equal(pipe(ends), 0);

    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const enum vine__guard_kind kind = vine__guard_kind();

        (void)dup2(ends[1], STDERR_FILENO);
        vine__guard_thread_stop(); /* a child has no timers */
        if (guard_begin(kind))
            (void)run(never_come_back, region.start);
        _exit(0);
    }
    (void)close(ends[1]);
    while ((more = read(ends[0], said + size, sizeof(said) - 1 - (size_t)size)) > 0)
        size += more;
    said[size] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGXCPU);
    assert_non_null(strstr(said, "vine: SIGXCPU at 0x"));
    assert_non_null(strstr(said, "a run takes too long in what is not a service's own code"));
    region_release(&region);
}

static void who_never_comes_back_from_elsewhere_ends_the_process(void **state)
{
    (void)state;
    guard_each(check_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_runs_for_too_long_is_abandoned),
        cmocka_unit_test(many_short_runs_are_none_that_is_too_long),
        cmocka_unit_test(who_is_outside_by_the_gate_is_not_abandoned_there),
        cmocka_unit_test(who_never_comes_back_from_elsewhere_ends_the_process),
    };
    const char *const sanitizers = getenv("VINE_SANITIZE");

    if (sanitizers != NULL && strstr(sanitizers, "thread") != NULL) {
        printf("skipped: ThreadSanitizer keeps signals back from who makes no calls\n");
        return 77;
    }
    guard_run_ns = LIMIT_NS;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
