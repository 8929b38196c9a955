/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness/cmocka.h - as much of cmocka's language as our tests speak, in one header.
 *
 * For builds for another machine, for which Debian has no cmocka without a second architecture in
 * its package manager: the same tests, one header instead. Where cmocka is, it is used.
 *
 * Owns:     one running test a program.
 * Threads:  assertions on the thread that runs the test.
 * Limits:   no mocks, no memory checks; one group a program.
 */
#ifndef VINE_TESTS_HARNESS_CMOCKA_H
#define VINE_TESTS_HARNESS_CMOCKA_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
    const char *name;
    void (*test_func)(void **state);
    CMFixtureFunction setup_func;
    CMFixtureFunction teardown_func;
    void *initial_state;
};

enum {
    HARNESS_RUNNING,
    HARNESS_FAILED,
    HARNESS_SKIPPED,
};

static jmp_buf harness_end;

#define cmocka_unit_test(function)                                                                 \
    {                                                                                              \
#function, function, NULL, NULL, NULL                                                      \
    }
#define cmocka_unit_test_setup(function, setup)                                                    \
    {                                                                                              \
#function, function, setup, NULL, NULL                                                     \
    }
#define cmocka_unit_test_teardown(function, teardown)                                              \
    {                                                                                              \
#function, function, NULL, teardown, NULL                                                  \
    }
#define cmocka_unit_test_setup_teardown(function, setup, teardown)                                 \
    {                                                                                              \
#function, function, setup, teardown, NULL                                                 \
    }
#define cmocka_unit_test_prestate(function, state)                                                 \
    {                                                                                              \
#function, function, NULL, NULL, state                                                     \
    }
#define cmocka_unit_test_prestate_setup_teardown(function, setup, teardown, state)                 \
    {                                                                                              \
#function, function, setup, teardown, state                                                \
    }

__attribute__((noreturn, format(printf, 3, 4), unused)) static void
harness_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "%s:%d: ", file, line);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    longjmp(harness_end, HARNESS_FAILED);
}

__attribute__((format(printf, 1, 2), unused)) static void print_message(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
}

#define print_error print_message
#define skip()      longjmp(harness_end, HARNESS_SKIPPED)
#define fail()      harness_fail(__FILE__, __LINE__, "failed")
#define fail_msg(...)                                                                              \
    do {                                                                                           \
        print_message(__VA_ARGS__);                                                                \
        harness_fail(__FILE__, __LINE__, " (failed)");                                             \
    } while (0)

__attribute__((unused)) static void harness_integers(const char *file, int line, uintmax_t a,
                                                     uintmax_t b, int equal)
{
    if ((a == b) != equal)
        harness_fail(file, line, "%#" PRIxMAX " %s %#" PRIxMAX, a, equal ? "!=" : "==", b);
}

__attribute__((unused)) static void harness_strings(const char *file, int line, const char *a,
                                                    const char *b, int equal)
{
    if ((strcmp(a, b) == 0) != equal)
        harness_fail(file, line, "\"%s\" %s \"%s\"", a, equal ? "!=" : "==", b);
}

__attribute__((unused)) static void harness_memory(const char *file, int line, const void *a,
                                                   const void *b, size_t size_bytes, int equal)
{
    if ((memcmp(a, b, size_bytes) == 0) != equal)
        harness_fail(file, line, "%zu bytes are %s", size_bytes, equal ? "different" : "the same");
}

__attribute__((unused)) static void harness_range(const char *file, int line, uintmax_t value,
                                                  uintmax_t low, uintmax_t high, int inside)
{
    if ((value >= low && value <= high) != inside)
        harness_fail(file, line, "%" PRIuMAX " is %s %" PRIuMAX "-%" PRIuMAX, value,
                     inside ? "outside" : "inside", low, high);
}

#define HARNESS_WORD(value) ((uintmax_t)(value))

#define assert_true(c)     ((c) ? (void)0 : harness_fail(__FILE__, __LINE__, "not true: %s", #c))
#define assert_false(c)    ((c) ? harness_fail(__FILE__, __LINE__, "not false: %s", #c) : (void)0)
#define assert_non_null(c) ((c) ? (void)0 : harness_fail(__FILE__, __LINE__, "is NULL: %s", #c))
#define assert_null(c)     ((c) ? harness_fail(__FILE__, __LINE__, "not NULL: %s", #c) : (void)0)
#define assert_return_code(rc, error)                                                              \
    ((rc) >= 0 ? (void)0 : harness_fail(__FILE__, __LINE__, "%s: %s", #rc, strerror(error)))

#define assert_int_equal(a, b)                                                                     \
    harness_integers(__FILE__, __LINE__, HARNESS_WORD(a), HARNESS_WORD(b), 1)
#define assert_int_not_equal(a, b)                                                                 \
    harness_integers(__FILE__, __LINE__, HARNESS_WORD(a), HARNESS_WORD(b), 0)
#define assert_ptr_equal(a, b)                                                                     \
    harness_integers(__FILE__, __LINE__, (uintptr_t)(a), (uintptr_t)(b), 1)
#define assert_ptr_not_equal(a, b)                                                                 \
    harness_integers(__FILE__, __LINE__, (uintptr_t)(a), (uintptr_t)(b), 0)
#define assert_string_equal(a, b)        harness_strings(__FILE__, __LINE__, (a), (b), 1)
#define assert_string_not_equal(a, b)    harness_strings(__FILE__, __LINE__, (a), (b), 0)
#define assert_memory_equal(a, b, n)     harness_memory(__FILE__, __LINE__, (a), (b), (n), 1)
#define assert_memory_not_equal(a, b, n) harness_memory(__FILE__, __LINE__, (a), (b), (n), 0)
#define assert_in_range(value, low, high)                                                          \
    harness_range(__FILE__, __LINE__, HARNESS_WORD(value), HARNESS_WORD(low), HARNESS_WORD(high), 1)
#define assert_not_in_range(value, low, high)                                                      \
    harness_range(__FILE__, __LINE__, HARNESS_WORD(value), HARNESS_WORD(low), HARNESS_WORD(high), 0)

/* Runs one test with its fixtures; `group_state` is what the group's set-up left. */
static int harness_run_one(const struct CMUnitTest *test, void *group_state)
{
    void *volatile state = test->initial_state ? test->initial_state : group_state;
    volatile int stage = 0; /* set-up, test, tear-down: one that fails is not begun again */
    void *shown = state;
    const int outcome = setjmp(harness_end);
    if (outcome == HARNESS_RUNNING) {
        if (test->setup_func && test->setup_func(&shown) != 0)
            return HARNESS_FAILED;
        state = shown;
        stage = 1;
        test->test_func(&shown);
        state = shown;
    }
    if (stage++ != 1)
        return HARNESS_FAILED;
    shown = state;
    if (test->teardown_func && test->teardown_func(&shown) != 0)
        return HARNESS_FAILED;
    return outcome;
}

static int harness_run_group(const struct CMUnitTest *tests, size_t count, CMFixtureFunction setup,
                             CMFixtureFunction teardown)
{
    static const char *const words[] = {"       OK", "   FAILED", "  SKIPPED"};
    void *state = NULL;
    int failures = 0;
    if (setup && setup(&state) != 0) {
        (void)fprintf(stderr, "the group's set-up failed\n");
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < count; i++) {
        (void)printf("[ RUN      ] %s\n", tests[i].name);
        (void)fflush(stdout);
        const int outcome = harness_run_one(&tests[i], state);
        (void)printf("[%s ] %s\n", words[outcome], tests[i].name);
        (void)fflush(stdout);
        failures += outcome == HARNESS_FAILED;
    }
    if (teardown && teardown(&state) != 0)
        failures++;
    return failures;
}

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    harness_run_group(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    cmocka_run_group_tests(tests, setup, teardown)

#endif
