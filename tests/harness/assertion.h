/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness/assertion.h - what must not be done fails an assertion of ours, which ends the process:
 * it is done in a child.
 */
#ifndef VINE_TESTS_HARNESS_ASSERTION_H
#define VINE_TESTS_HARNESS_ASSERTION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether `fn`, in a child, fails one. */
static inline bool child_fails_an_assertion(void (*fn)(void))
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
