/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/identity.h"
#include "harness/emulator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* The identity of a child that was born after `unshare` of these; skips where that is refused. */
static struct vine__identity identity_of_child(int namespaces)
{
    struct vine__identity identity = {0};
    int ends[2];
    int status = 0;

    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (namespaces != 0 && unshare(namespaces) != 0 && unshare(namespaces | CLONE_NEWUSER) != 0)
            _exit(77);
        const pid_t grandchild = fork();
        if (grandchild == 0) {
            vine__identity_of_self(&identity);
            _exit(write(ends[1], &identity, sizeof(identity)) != sizeof(identity));
        }
        _exit(grandchild < 0 || waitpid(grandchild, &status, 0) != grandchild || status != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("skipped: no such namespace may be made here\n");
        (void)close(ends[0]);
        (void)close(ends[1]);
        skip();
    }
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], &identity, sizeof(identity)), sizeof(identity));
    (void)close(ends[0]);
    (void)close(ends[1]);
    return identity;
}

static void processes_that_can_judge_each_other_share_a_scope(void **state)
{
    (void)state;
    struct vine__identity self;

    vine__identity_of_self(&self);
    const struct vine__identity child = identity_of_child(0);
    assert_true(self.scope != 0);
    assert_true(child.scope == self.scope);
    assert_int_not_equal(child.pid, self.pid);
}

static void pids_of_another_namespace_are_of_another_scope(void **state)
{
    (void)state;
    skip_if_emulated("knows no namespaces");
    struct vine__identity self;

    vine__identity_of_self(&self);
    const struct vine__identity child = identity_of_child(CLONE_NEWPID);
    assert_int_equal(child.pid, 1);
    assert_true(child.scope != self.scope);
}

/* Where a process has started at another time for us than for its fellows. */
static void start_times_of_another_namespace_are_of_another_scope(void **state)
{
    (void)state;
    skip_if_emulated("knows no namespaces");
    struct vine__identity self;

    vine__identity_of_self(&self);
    assert_true(identity_of_child(CLONE_NEWTIME).scope != self.scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_that_can_judge_each_other_share_a_scope),
        cmocka_unit_test(pids_of_another_namespace_are_of_another_scope),
        cmocka_unit_test(start_times_of_another_namespace_are_of_another_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
