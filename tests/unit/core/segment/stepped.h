/* SPDX-License-Identifier: Apache-2.0 */
/* A child that its parent stops by ptrace wherever it likes, for as long as it likes. */
#ifndef VINE_TESTS_CORE_SEGMENT_STEPPED_H
#define VINE_TESTS_CORE_SEGMENT_STEPPED_H

#include "segment_tests.h"

#include <stdbool.h>
#include <sys/ptrace.h>

#define STOPS_MAX 1000 /* of one child */

struct stepped {
    pid_t pid;
    bool has_ended; /* it did what it was to do, and lives */
};

/* A child that is about to call `body`, and stops for good when it has. */
static inline struct stepped start_stepped(void (*body)(int which), int which)
{
    struct stepped child = {.pid = fork()};
    int status;

    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(77);
        (void)raise(SIGSTOP);
        body(which);
        (void)raise(SIGSTOP);
        _exit(0);
    }
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    if (WIFEXITED(status)) {
        print_message("skipped: no ptrace here\n");
        skip();
    }
    return child;
}

/* On to where `request` of ptrace next stops it, or to its end. */
static inline void step_on(struct stepped *child, enum __ptrace_request request)
{
    int status;

    assert_int_equal(ptrace(request, child->pid, NULL, NULL), 0);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_true(WIFSTOPPED(status));
    child->has_ended = WSTOPSIG(status) == SIGSTOP;
    if (!child->has_ended)
        assert_int_equal(WSTOPSIG(status), SIGTRAP);
}

static inline void kill_stepped(const struct stepped *child)
{
    int status = 0;

    assert_int_equal(kill(child->pid, SIGKILL), 0);
    while (waitpid(child->pid, &status, 0) == child->pid && !WIFSIGNALED(status))
        ;
}

#endif
