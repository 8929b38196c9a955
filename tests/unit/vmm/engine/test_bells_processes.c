/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/* Processes that are kept by a server of bells, which is stepped by the test. */
#include "vmm/engine/bells.h"
#include "vmm/engine/bells_internal.h"

#include "arch/peer/process.h"
#include "harness/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/vine-test-XXXXXX";

static int begin(void **state)
{
    static struct vine__bells *bells;
    char path[64];
    const struct vine__bells_options options = {.path = path};

    (void)snprintf(path, sizeof(path), "%s/bells", folder);
    if (vine__bells_create(&bells, &options) != 0)
        return -1;
    *state = bells;
    return 0;
}

static int end(void **state)
{
    vine__bells_destroy(*state);
    return 0;
}

static int make_memory(void)
{
    const int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* A child that does nothing, and what it is watched by. */
static pid_t begin_process(int *ret_pidfd)
{
    const pid_t pid = fork();

    if (pid == 0)
        for (;;)
            (void)pause();
    assert_true(pid > 0);
    assert_int_equal(vine__process_pidfd(pid, ret_pidfd), 0);
    return pid;
}

static void end_process(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_server_is_idle_when_no_process_is_kept(void **state)
{
    struct vine__bells *const bells = *state;
    int pidfds[2], fd;
    const pid_t pids[2] = {begin_process(&pidfds[0]), begin_process(&pidfds[1])};

    assert_true(vine__bells_is_idle(bells));
    /* A memory alone is nobody's that runs. */
    assert_int_equal(vine__bells_kept_add(bells, "page", make_memory()), VINE_BELLS_DONE);
    assert_true(vine__bells_is_idle(bells));
    for (int i = 0; i < 2; i++)
        assert_int_equal(vine__bells_kept_add(bells, i == 0 ? "one" : "two", pidfds[i]),
                         VINE_BELLS_DONE);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(vine__bells_step(bells, 0), 0);
        assert_int_equal(bells->kept_count, 3 - i);
        assert_false(vine__bells_is_idle(bells));
        end_process(pids[i]);
        assert_int_equal(vine__bells_step(bells, VINE_FOREVER), 0);
    }
    assert_true(vine__bells_is_idle(bells));
    assert_int_equal(bells->kept_count, 1);
    assert_int_equal(vine__bells_kept_find(bells, "page", &fd), VINE_BELLS_DONE);
}

static void one_that_has_ended_already_is_forgotten_at_once(void **state)
{
    struct vine__bells *const bells = *state;
    int pidfd, fd;

    end_process(begin_process(&pidfd));
    assert_int_equal(vine__bells_kept_add(bells, "one", pidfd), VINE_BELLS_DONE);
    assert_int_equal(vine__bells_step(bells, VINE_FOREVER), 0);
    assert_int_equal(vine__bells_kept_find(bells, "one", &fd), VINE_BELLS_UNKNOWN);
    assert_true(vine__bells_is_idle(bells));
}

static void one_can_be_forgotten_while_it_runs(void **state)
{
    struct vine__bells *const bells = *state;
    int pidfd;
    const pid_t pid = begin_process(&pidfd);

    assert_int_equal(vine__bells_kept_add(bells, "one", pidfd), VINE_BELLS_DONE);
    assert_int_equal(vine__bells_kept_remove(bells, "one"), VINE_BELLS_DONE);
    assert_true(vine__bells_is_idle(bells));
    end_process(pid);
    assert_int_equal(vine__bells_step(bells, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_server_is_idle_when_no_process_is_kept),
        TEST(one_that_has_ended_already_is_forgotten_at_once),
        TEST(one_can_be_forgotten_while_it_runs),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
