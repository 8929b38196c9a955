/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Processes of our own: what they have and what they do not, how their ends are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/process/notify.h"
#include "arch/process/spawn.h"

/* ---- a shell --------------------------------------------------------------------------------- */

static char number_text[64] = "NUMBER=";
static char *environment[] = {number_text, NULL};
static char *const numbers[] = {number_text + 7, NULL};

static struct vine__spawn_options shell(const char *const argv[4])
{
    return (struct vine__spawn_options){
        .path = "/bin/sh",
        .argv = (char *const *)(uintptr_t)argv,
        .environment = environment,
        .numbers = numbers,
    };
}

/* Run a script whose descriptor 3 we read to its end; the rest it has is as `options` say. */
static void run(const char *script, int extra, char text[1024], int *ret_status)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct vine__spawn_options options = shell(argv);
    struct vine__spawned spawned;
    int ends[2];
    size_t length = 0;
    ssize_t size;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const int descriptors[] = {ends[1], extra};

    options.descriptors = descriptors;
    options.descriptor_count = extra >= 0 ? 2 : 1;
    assert_int_equal(vine__spawn(&options, &spawned), 0);
    (void)close(ends[1]);
    while ((size = read(ends[0], text + length, 1023 - length)) > 0)
        length += (size_t)size;
    text[length] = '\0';
    (void)close(ends[0]);
    struct pollfd life = {.fd = spawned.pidfd, .events = POLLIN};

    assert_int_equal(poll(&life, 1, 30000), 1);
    assert_true(vine__spawned_reap(&spawned, ret_status));
    vine__spawned_close(&spawned);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void what_cannot_be_run_is_told_and_leaves_nothing(void **state)
{
    const char *const argv[] = {"nothing", NULL, NULL, NULL};
    struct vine__spawn_options options = shell(argv);
    struct vine__spawned spawned;

    (void)state;
    options.path = "/no/such/program";
    assert_int_equal(vine__spawn(&options, &spawned), -ENOENT);
    options.path = "/dev/null";
    assert_int_equal(vine__spawn(&options, &spawned), -EACCES);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void a_program_that_has_gone_is_taken_from_where_it_still_is(void **state)
{
    const char *const argv[] = {"sh", "-c", "exit 4", NULL};
    struct vine__spawn_options options = shell(argv);
    struct vine__spawned spawned;
    int status;

    (void)state;
    options.path = "/no/such/program";
    options.other = "/bin/sh";
    assert_int_equal(vine__spawn(&options, &spawned), 0);
    assert_int_equal(waitpid(spawned.pid, &status, 0), spawned.pid);
    assert_int_equal(WEXITSTATUS(status), 4);
    /* Somebody else was first. */
    assert_true(vine__spawned_reap(&spawned, &status));
    assert_int_equal(status, -1);
    vine__spawned_close(&spawned);
}

static void a_process_has_its_number_and_its_descriptors(void **state)
{
    char text[1024], expected[64];
    int status;

    (void)state;
    /* Those that it shall have may lie where others are to be. */
    const int low = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    assert_true(low >= 3);
    run("echo $$ $NUMBER >&3; head -c 2 <&4 | wc -c >&3; ls -l /proc/$$/fd/4 >&3", low, text,
        &status);
    assert_int_equal(status, 0);
    (void)snprintf(expected, sizeof(expected), "%d ", atoi(text));
    assert_memory_equal(text, expected, strlen(expected));
    assert_int_equal(atoi(text), atoi(text + strlen(expected)));
    assert_non_null(strstr(text, "\n2\n"));
    assert_non_null(strstr(text, "/dev/zero"));
    (void)close(low);
}

static void a_process_has_no_input_and_a_group_of_its_own(void **state)
{
    char text[1024];
    int status;
    int pid, group;

    (void)state;
    run("wc -c >&3; cut -d' ' -f1,5 /proc/$$/stat >&3", -1, text, &status);
    assert_int_equal(atoi(text), 0);
    assert_int_equal(sscanf(strchr(text, '\n'), "%d %d", &pid, &group), 2);
    assert_int_equal(pid, group);
}

static void signals_are_as_at_first(void **state)
{
    sigset_t all, before;
    char text[1024];
    int status;

    (void)state;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    (void)signal(SIGTERM, SIG_IGN);
    /* A shell blocks some while it waits. */
    run("exec grep SigBlk /proc/self/status >&3", -1, text, &status);
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
    run("kill -TERM $$; exit 5", -1, text, &status);
    (void)signal(SIGTERM, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void a_process_dies_with_its_parent(void **state)
{
    int ends[2];
    char byte;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const pid_t parent = fork();

    assert_true(parent >= 0);
    if (parent == 0) {
        const char *const argv[] = {"sh", "-c", "echo >&3; exec sleep 1000", NULL};
        struct vine__spawn_options options = shell(argv);
        struct vine__spawned spawned;

        options.descriptors = &ends[1];
        options.descriptor_count = 1;
        _exit(vine__spawn(&options, &spawned) != 0 || poll(NULL, 0, -1) != 0);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1); /* it lives */
    (void)kill(parent, SIGKILL);
    (void)waitpid(parent, NULL, 0);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody has the other end any more */
    (void)close(ends[0]);
}

static void one_that_is_killed_has_gone_when_that_is_over(void **state)
{
    const char *const argv[] = {"sleep", "1000", NULL, NULL};
    struct vine__spawn_options options = shell(argv);
    struct vine__spawned spawned;
    int status;

    (void)state;
    options.path = "/bin/sleep";
    assert_int_equal(vine__spawn(&options, &spawned), 0);
    assert_false(vine__spawned_reap(&spawned, &status));
    const pid_t pid = spawned.pid;

    vine__spawned_kill(&spawned);
    assert_int_equal(kill(pid, 0), -1);
}

static void ends_are_told_in_words(void **state)
{
    char text[VINE__STATUS_TEXT_BYTES];

    (void)state;
    vine__status_print(W_EXITCODE(3, 0), text);
    assert_string_equal(text, "ended with the code 3");
    vine__status_print(W_EXITCODE(0, SIGSEGV), text);
    assert_string_equal(text, "was killed by SIGSEGV");
    vine__status_print(W_EXITCODE(0, SIGABRT) | WCOREFLAG, text);
    assert_string_equal(text, "was killed by SIGABRT (core dumped)");
    vine__status_print(W_EXITCODE(0, SIGRTMIN + 3), text);
    assert_non_null(strstr(text, "was killed by a signal"));
    vine__status_print(-1, text);
    assert_string_equal(text, "has ended, and somebody else knows how");
}

static void a_manager_has_an_address_that_can_be_one(void **state)
{
    char long_one[256];

    (void)state;
    memset(long_one, 'x', sizeof(long_one) - 1);
    long_one[0] = '/';
    long_one[sizeof(long_one) - 1] = '\0';
    assert_int_equal(vine__notify("", "READY=1"), -EINVAL);
    assert_int_equal(vine__notify("@", "READY=1"), -EINVAL);
    assert_int_equal(vine__notify("vsock:2:1", "READY=1"), -EINVAL);
    assert_int_equal(vine__notify(long_one, "READY=1"), -EINVAL);
    assert_int_equal(vine__notify("/no/such/socket", "READY=1"), -ENOENT);
    assert_int_equal(vine__notify("@vine-nobody-is-there", "READY=1"), -ECONNREFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_run_is_told_and_leaves_nothing),
        cmocka_unit_test(a_program_that_has_gone_is_taken_from_where_it_still_is),
        cmocka_unit_test(a_process_has_its_number_and_its_descriptors),
        cmocka_unit_test(a_process_has_no_input_and_a_group_of_its_own),
        cmocka_unit_test(signals_are_as_at_first),
        cmocka_unit_test(a_process_dies_with_its_parent),
        cmocka_unit_test(one_that_is_killed_has_gone_when_that_is_over),
        cmocka_unit_test(ends_are_told_in_words),
        cmocka_unit_test(a_manager_has_an_address_that_can_be_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
