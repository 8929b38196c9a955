/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_false_condition_aborts_and_says_which_it_was(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        const int two = 2;
        VINE_ASSERT(two == 3);
        _exit(0);
    }
    close(ends[1]);
    char said[512] = {0};
    size_t size = 0;
    for (ssize_t got; size < sizeof(said) - 1; size += (size_t)got) {
        got = read(ends[0], said + size, sizeof(said) - 1 - size);
        if (got <= 0)
            break;
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_non_null(strstr(said, "two == 3"));
    assert_non_null(strstr(said, "test_assert.c:"));
}

static void a_true_condition_is_evaluated_once(void **state)
{
    (void)state;
    int count = 0;
    VINE_ASSERT(++count > 0);
    assert_int_equal(count, 1);
}

static void slow_conditions_are_for_debug_builds(void **state)
{
    (void)state;
    int count = 0;
    VINE_ASSERT_SLOW(++count > 0);
#ifdef NDEBUG
    assert_int_equal(count, 0);
#else
    assert_int_equal(count, 1);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_false_condition_aborts_and_says_which_it_was),
        cmocka_unit_test(a_true_condition_is_evaluated_once),
        cmocka_unit_test(slow_conditions_are_for_debug_builds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
