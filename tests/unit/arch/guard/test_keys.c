/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * `pku` where it cannot be had, or not all of it: no keys, few of them, an io_uring that would copy
 * with another heap's rights, and threads from before. Each in a child, whose keys are its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/guard/closed.h"
#include "arch/guard/guard.h"

#define LEFT 6 /* keys: two for the runtime */

/* Its exit code, or minus the signal that ended it. */
static int in_a_child(int (*fn)(void))
{
    int status;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGSEGV, SIG_DFL); /* of which the tests' harness has a handler */
        _exit(fn());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A key that was had and given back leaves its rights with who had it: so none are asked for. */
static bool machine_has_keys(void)
{
    const int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);

    if (key >= 0)
        (void)pkey_free(key);
    else
        print_message("[  SKIPPED ] pku: there are no protection keys\n");
    return key >= 0;
}

/* Whether it is refused, with these words. */
static bool is_refused(bool has_rings, const char *words)
{
    const struct vine__guard_options options = {.wanted = VINE__GUARD_PKU, .has_rings = has_rings};
    char why[VINE__GUARD_WHY_BYTES] = "";

    return vine__guard_choose(&options, why) == -EOPNOTSUPP && strstr(why, words) != NULL &&
           vine__guard_kind() == VINE__GUARD_NONE;
}

static bool is_had(bool has_rings)
{
    const struct vine__guard_options options = {.wanted = VINE__GUARD_PKU, .has_rings = has_rings};
    char why[VINE__GUARD_WHY_BYTES] = "";

    return vine__guard_choose(&options, why) == 0 && vine__guard_kind() == VINE__GUARD_PKU;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void take_all_but(int left)
{
    int keys[16];
    int count = 0;

    while (count < 16 && (keys[count] = pkey_alloc(0, 0)) >= 0)
        count++;
    while (left-- > 0)
        (void)pkey_free(keys[--count]);
}

static int try_without_any(void)
{
    take_all_but(0);
    vine__guard_prepare();                 /* a program goes on without */
    return is_refused(false, " ") ? 0 : 1; /* with a sentence */
}

static int try_with_few(void)
{
    take_all_but(3);
    return is_refused(false, "fewer than 4 protection keys") ? 0 : 1;
}

static int try_with_some(void)
{
    take_all_but(LEFT);
    return is_had(false) && vine__guard_colour_count() == LEFT - 2 ? 0 : 1;
}

static void who_finds_no_keys_is_told(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(try_without_any), 0);
}

static void too_few_keys_are_refused_and_some_are_colours(void **state)
{
    (void)state;
    if (!machine_has_keys())
        return;
    assert_int_equal(in_a_child(try_with_few), 0);
    assert_int_equal(in_a_child(try_with_some), 0);
}

/* ---- io_uring -------------------------------------------------------------------------------- */

/* From now on io_uring knows no flags, as on a kernel of before Linux 6.1. */
static bool be_an_old_kernel(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof(steps) / sizeof(steps[0]), .filter = steps};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int try_on_an_old_kernel(void)
{
    if (!be_an_old_kernel())
        return 77;
    return is_refused(true, "DEFER_TASKRUN") && is_had(false) ? 0 : 1;
}

static void rings_that_copy_with_others_rights_are_refused_and_epoll_is_not(void **state)
{
    int code;

    (void)state;
    if (!machine_has_keys())
        return;
    code = in_a_child(try_on_an_old_kernel);
    if (code == 77)
        print_message("[  SKIPPED ] seccomp: this kernel has none\n");
    else
        assert_int_equal(code, 0);
}

/* ---- threads --------------------------------------------------------------------------------- */

static sem_t is_there, may_look;
static volatile uint64_t *closed;

static void *look(void *nothing)
{
    assert_int_equal(sem_post(&is_there), 0);
    while (sem_wait(&may_look) != 0)
        continue;
    return *closed == 0 ? nothing : NULL;
}

static int look_by_a_thread(bool is_from_before)
{
    pthread_t thread;

    (void)sem_init(&is_there, 0, 0);
    (void)sem_init(&may_look, 0, 0);
    if (is_from_before && pthread_create(&thread, NULL, look, NULL) != 0)
        return 1;
    while (is_from_before && sem_wait(&is_there) != 0)
        continue;
    vine__guard_prepare();
    closed = vine__closed_alloc(sizeof(*closed));
    if (closed == NULL || *closed != 0)
        return 1;
    if (!is_from_before && pthread_create(&thread, NULL, look, NULL) != 0)
        return 1;
    (void)sem_post(&may_look);
    return pthread_join(thread, NULL) == 0 ? 0 : 1;
}

static int look_from_before(void)
{
    return look_by_a_thread(true);
}

static int look_from_after(void)
{
    return look_by_a_thread(false);
}

static void threads_from_before_there_were_keys_have_no_rights(void **state)
{
    (void)state;
    if (!machine_has_keys())
        return;
    assert_int_equal(in_a_child(look_from_after), 0);
    assert_int_equal(in_a_child(look_from_before), -SIGSEGV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_finds_no_keys_is_told),
        cmocka_unit_test(too_few_keys_are_refused_and_some_are_colours),
        cmocka_unit_test(rings_that_copy_with_others_rights_are_refused_and_epoll_is_not),
        cmocka_unit_test(threads_from_before_there_were_keys_have_no_rights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
