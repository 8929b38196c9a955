/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Signals of the process as events on core 0. Each test is a child of fork with a vine_main of its
 * own, which sends itself signals and says what came of them; its exit code is the verdict.
 */
#include <vine/runtime.h>

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HANG_S     60
#define TEXT_BYTES (1 << 20)

/* In children: say what is wrong, and end. */
#define DEMAND(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("line %d: not so: %s\n", __LINE__, #condition);                                 \
            _exit(9);                                                                              \
        }                                                                                          \
    } while (0)

static char text[TEXT_BYTES]; /* what the last child has said */

/* Returns how it has ended. When it has said `word` (NULL: none), SIGTERM is sent to it. */
static int run(int (*app_main)(int, char **), const char *word)
{
    char *argv[] = {"program", "--smp=2", "--overprovisioned", "--memory=64M", NULL};
    const struct rlimit no_core = {0};
    size_t length = 0;
    int ends[2], status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        setvbuf(stdout, NULL, _IONBF, 0);
        exit(vine_main(4, argv, NULL, app_main));
    }
    (void)close(ends[1]);
    for (ssize_t got = 1; got > 0; length += (size_t)got) {
        struct pollfd said = {.fd = ends[0], .events = POLLIN};

        text[length] = '\0';
        if (word != NULL && strstr(text, word) != NULL) {
            assert_int_equal(kill(pid, SIGTERM), 0);
            word = NULL;
        }
        if (poll(&said, 1, HANG_S * 1000) != 1) {
            (void)kill(pid, SIGKILL);
            fail_msg("it hangs; it has said %s", text);
        }
        got = read(ends[0], text + length, TEXT_BYTES - 1 - length);
        assert_true(got >= 0);
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void must_end_well(int (*app_main)(int, char **))
{
    const int status = run(app_main, NULL);

    if (status != 0)
        fail_msg("status %x: %s", (unsigned int)status, text);
}

static void send_self(int number)
{
    DEMAND(kill(getpid(), number) == 0);
}

/* ---- refused --------------------------------------------------------------------------------- */

static struct vine_signal_handler one, other, third;

static void never(struct vine_signal_handler *handler)
{
    (void)handler;
    printf("was called\n");
    _exit(9);
}

static int handle_what_is_no_event(int argc, char **argv)
{
    const int none[] = {-1,      0,      32,      SIGKILL, SIGSTOP,  SIGTSTP,     SIGCONT,
                        SIGSEGV, SIGBUS, SIGABRT, SIGPROF, SIGRTMAX, SIGRTMAX + 1};

    (void)argc;
    (void)argv;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        DEMAND(vine_signal_handle(&one, none[i], never) == -EINVAL);
    DEMAND(vine_signal_handle(&one, SIGHUP, NULL) == -EINVAL);
    /* What was refused is called by nobody. */
    send_self(SIGHUP);
    send_self(SIGTERM);
    return VINE_MAIN_GOES_ON;
}

static void what_is_no_event_is_refused(void **state)
{
    (void)state;
    must_end_well(handle_what_is_no_event);
}

/* ---- handled --------------------------------------------------------------------------------- */

static bool is_in_main;
static uint32_t one_calls, other_calls;

static void see(struct vine_signal_handler *handler)
{
    DEMAND(!is_in_main && vine_on_reactor() && vine_core() == 0);
    if (handler == &one)
        one_calls++;
    else
        other_calls++;
    DEMAND(one_calls <= 1 && other_calls <= 1);
    if (one_calls + other_calls == 2)
        vine_stop(0);
}

static int handle_twice(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    is_in_main = true;
    DEMAND(vine_signal_handle(&one, SIGHUP, see) == 0);
    DEMAND(vine_signal_handle(&other, SIGHUP, see) == 0);
    DEMAND(vine_signal_handle(&third, SIGUSR2, never) == 0);
    send_self(SIGHUP);
    is_in_main = false;
    return VINE_MAIN_GOES_ON;
}

static void it_is_work_of_core_0_and_each_handler_of_it_is_called(void **state)
{
    (void)state;
    must_end_well(handle_twice);
}

static void stop_the_second_time(struct vine_signal_handler *handler)
{
    if (++one_calls == 2)
        vine_stop(0);
    else
        send_self(handler->number);
}

static int handle_the_end(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    DEMAND(vine_signal_handle(&one, SIGTERM, stop_the_second_time) == 0);
    send_self(SIGTERM);
    return VINE_MAIN_GOES_ON;
}

static void who_handles_the_end_is_not_stopped_by_it(void **state)
{
    (void)state;
    must_end_well(handle_the_end);
}

/* ---- the state of all ------------------------------------------------------------------------ */

static void stop_here(struct vine_signal_handler *handler)
{
    DEMAND(handler->number == SIGUSR1 && vine_on_reactor() && vine_core() == 0);
    printf("handled\n");
    vine_stop(0);
}

static int handle_user(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    DEMAND(vine_signal_handle(&one, SIGUSR1, stop_here) == 0);
    send_self(SIGUSR1);
    return VINE_MAIN_GOES_ON;
}

static void who_handles_sigusr1_gets_it_instead_of_the_state_of_all(void **state)
{
    (void)state;
    must_end_well(handle_user);
    assert_non_null(strstr(text, "handled\n"));
    assert_null(strstr(text, "state: "));
}

/* ---- forgotten ------------------------------------------------------------------------------- */

static void forget_and_send_again(struct vine_signal_handler *handler)
{
    DEMAND(++one_calls == 1);
    vine_signal_forget(handler);
    send_self(handler->number);
}

static int forget_the_end(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    DEMAND(vine_signal_handle(&one, SIGTERM, forget_and_send_again) == 0);
    send_self(SIGTERM);
    return VINE_MAIN_GOES_ON;
}

static int forget_user(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    DEMAND(vine_signal_handle(&one, SIGUSR1, forget_and_send_again) == 0);
    send_self(SIGUSR1);
    return VINE_MAIN_GOES_ON;
}

static void a_signal_that_is_forgotten_does_what_it_did_before(void **state)
{
    (void)state;
    must_end_well(forget_the_end);
    assert_int_equal(run(forget_user, "state: core 1:"), 0);
    assert_non_null(strstr(text, "state: core 1:"));
}

static struct vine_work later;

static void stop_later(struct vine_work *work)
{
    (void)work;
    DEMAND(one_calls == 1);
    vine_stop(0);
}

static void forget_the_other(struct vine_signal_handler *handler)
{
    one_calls++;
    vine_signal_forget(handler == &one ? &other : &one);
    vine_work_post(&later);
}

static int handle_what_forgets(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    vine_work_init(&later, stop_later);
    DEMAND(vine_signal_handle(&one, SIGHUP, forget_the_other) == 0);
    DEMAND(vine_signal_handle(&other, SIGHUP, forget_the_other) == 0);
    send_self(SIGHUP);
    return VINE_MAIN_GOES_ON;
}

static void a_handler_that_another_one_has_forgotten_is_not_called(void **state)
{
    (void)state;
    must_end_well(handle_what_forgets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_event_is_refused),
        cmocka_unit_test(it_is_work_of_core_0_and_each_handler_of_it_is_called),
        cmocka_unit_test(who_handles_the_end_is_not_stopped_by_it),
        cmocka_unit_test(who_handles_sigusr1_gets_it_instead_of_the_state_of_all),
        cmocka_unit_test(a_signal_that_is_forgotten_does_what_it_did_before),
        cmocka_unit_test(a_handler_that_another_one_has_forgotten_is_not_called),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
