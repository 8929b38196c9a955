/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/process.h"
#include "arch/peer/random.h"
#include "harness/emulator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t start_child(void)
{
    const pid_t child = fork();
    if (child == 0) {
        for (;;)
            pause();
    }
    return child;
}

static void a_pid_that_nobody_has_is_esrch(void **state)
{
    (void)state;
    uint64_t ticks = 77;
    int pidfd = -7;
    const pid_t child = start_child();
    assert_true(child > 0);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(vine__process_start_time(child, &ticks), -ESRCH);
    assert_int_equal(vine__process_start_time(0, &ticks), -ESRCH);
    assert_int_equal(vine__process_start_time(-1, &ticks), -ESRCH);
    assert_int_equal(vine__process_pidfd(-1, &pidfd), -ESRCH);
    assert_false(vine__process_is_alive(child, 0));
    const int error = vine__process_pidfd(child, &pidfd);
    assert_true(error == -ESRCH || error == -ENOSYS);
    assert_int_equal(ticks, 77);
    assert_int_equal(pidfd, -7);
}

static void what_is_no_pidfd_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(vine__peer_is_dead(1 << 20), -EBADF);
}

static void a_zombie_is_dead(void **state)
{
    (void)state;
    uint64_t ticks;
    siginfo_t info;
    const pid_t child = start_child();
    assert_true(child > 0);
    assert_int_equal(vine__process_start_time(child, &ticks), 0);
    assert_true(vine__process_is_alive(child, ticks));
    assert_false(vine__process_is_alive(child, ticks + 1));
    int pidfd = -1;
    const int error = vine__process_pidfd(child, &pidfd);
    if (error == 0)
        assert_int_equal(vine__peer_is_dead(pidfd), 0);
    else
        assert_int_equal(error, -ENOSYS);
    kill(child, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_false(vine__process_is_alive(child, ticks));
    if (error == 0) {
        assert_int_equal(vine__peer_is_dead(pidfd), 1);
        close(pidfd);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(vine__process_is_alive(child, ticks));
}

static void *wait_for_ever(void *context)
{
    for (;;)
        (void)pause();
    return context;
}

static bool is_first_thread_a_zombie(pid_t pid)
{
    char path[32];
    char text[512] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    (void)fclose(file);
    return strstr(text, ") Z ") != NULL;
}

/* Its first thread may end by itself, and does so first now and then when all are killed. */
static void a_process_lives_for_as_long_as_one_of_its_threads(void **state)
{
    (void)state;
    skip_if_emulated("has the first thread end otherwise");
    uint64_t before, after;
    siginfo_t info;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pthread_t thread;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (pthread_create(&thread, NULL, wait_for_ever, NULL) == 0)
            (void)syscall(SYS_exit, 0);
        _exit(1);
    }
    assert_int_equal(vine__process_start_time(child, &before), 0);
    while (!is_first_thread_a_zombie(child))
        (void)sched_yield();
    assert_int_equal(vine__process_start_time(child, &after), 0);
    assert_true(before == after);
    assert_true(vine__process_is_alive(child, before));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(vine__process_start_time(child, &after), -ESRCH);
    assert_false(vine__process_is_alive(child, before));
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void a_name_full_of_parentheses_does_not_confuse(void **state)
{
    (void)state;
    uint64_t before, after;
    char name[16];
    assert_int_equal(prctl(PR_GET_NAME, name), 0);
    assert_int_equal(vine__process_start_time(getpid(), &before), 0);
    assert_int_equal(prctl(PR_SET_NAME, ") Z 1 (2) 3 4"), 0);
    assert_int_equal(vine__process_start_time(getpid(), &after), 0);
    assert_int_equal(prctl(PR_SET_NAME, name), 0);
    assert_true(before == after);
    assert_true(vine__process_is_alive(getpid(), before));
}

static void random_bytes_differ(void **state)
{
    (void)state;
    uint8_t first[300], second[300];
    assert_int_equal(vine__random_bytes(first, 0), 0);
    assert_int_equal(vine__random_bytes(first, sizeof(first)), 0);
    assert_int_equal(vine__random_bytes(second, sizeof(second)), 0);
    assert_memory_not_equal(first, second, sizeof(first));
    /* The last bytes too. */
    assert_memory_not_equal(first + 284, second + 284, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pid_that_nobody_has_is_esrch),
        cmocka_unit_test(what_is_no_pidfd_is_an_error),
        cmocka_unit_test(a_zombie_is_dead),
        cmocka_unit_test(a_process_lives_for_as_long_as_one_of_its_threads),
        cmocka_unit_test(a_name_full_of_parentheses_does_not_confuse),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
