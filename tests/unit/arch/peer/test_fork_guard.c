/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/fork_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* In children: an exit status that says where it went wrong. */
static int status_of(pid_t child)
{
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static bool the_kernel_wipes(void)
{
    uint64_t generation;
    if (vine__fork_guard_init(&generation) != 0)
        return false;
    const pid_t child = fork();
    if (child == 0)
        _exit(vine__forked(generation) ? 0 : 1);
    return status_of(child) == 0;
}

#define SKIP_IF_NOT_WIPED()                                                                        \
    if (!the_kernel_wipes()) {                                                                     \
        print_message("skipped: MADV_WIPEONFORK has no effect here (an emulator?)\n");             \
        skip();                                                                                    \
    }

static void a_child_sees_that_it_was_forked_and_the_parent_does_not(void **state)
{
    (void)state;
    SKIP_IF_NOT_WIPED();
    uint64_t generation;
    assert_int_equal(vine__fork_guard_init(&generation), 0);
    const pid_t child = fork();
    if (child == 0)
        _exit(vine__forked(generation) ? 0 : 1);
    assert_int_equal(status_of(child), 0);
    assert_false(vine__forked(generation));
}

static void a_child_with_things_of_its_own_still_recognizes_what_it_inherited(void **state)
{
    (void)state;
    SKIP_IF_NOT_WIPED();
    uint64_t generation;
    assert_int_equal(vine__fork_guard_init(&generation), 0);
    const pid_t child = fork();
    if (child == 0) {
        uint64_t own;
        if (vine__fork_guard_init(&own) != 0 || own == generation || own == 0)
            _exit(1);
        if (!vine__forked(generation) || vine__forked(own))
            _exit(2);
        const pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(vine__forked(generation) && vine__forked(own) ? 0 : 1);
        _exit(status_of(grandchild) == 0 ? 0 : 3);
    }
    assert_int_equal(status_of(child), 0);
}

static void a_process_has_one_generation(void **state)
{
    (void)state;
    uint64_t first, second;
    assert_int_equal(vine__fork_guard_init(&first), 0);
    assert_int_equal(vine__fork_guard_init(&second), 0);
    assert_true(first != 0);
    assert_true(first == second);
    assert_false(vine__forked(first));
}

static void *get_generation(void *ret_generation)
{
    return vine__fork_guard_init(ret_generation) == 0 ? ret_generation : NULL;
}

static void threads_that_ask_at_once_get_the_same(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    uint64_t generations[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_generation, &generations[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_non_null(result);
        assert_true(generations[i] == generations[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First, while there is no page. */
        cmocka_unit_test(threads_that_ask_at_once_get_the_same),
        cmocka_unit_test(a_process_has_one_generation),
        cmocka_unit_test(a_child_sees_that_it_was_forked_and_the_parent_does_not),
        cmocka_unit_test(a_child_with_things_of_its_own_still_recognizes_what_it_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
