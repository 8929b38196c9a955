/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Crashes beside others: thousands of micro-processes that fail, one after the other, while a load
 * goes on, and a fault within malloc, which ends a process. All other connections are served.
 */
#include "harness/logged.h"

#include "http_clients.h"

enum { CRASHES = 2000 };

/* ---- in the service's own code --------------------------------------------------------------- */

static void crash_beside_a_load(const char *isolate, const char *backend, const char *cores)
{
    const uint64_t begin_ns = vine__clock_now_ns();
    char text[ANSWER_BYTES];

    serve("http", "--hello", "--crash=/crash", isolate, backend, cores);
    begin_load(true);
    for (uint32_t i = 0; i < CRASHES; i++) {
        const int fd = connect_now();

        assert_true(send_text(fd, "GET /crash HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_int_equal(receive_answer(fd, text), 500);
        assert_int_equal(receive_answer(fd, text), 0);
        (void)close(fd);
        if (i % 500 == 0)
            await_answers(1); /* each of them beside the load */
    }
    end_load();
    print_message("%s %s %s: %d crashes in %.1f s, beside %u answers\n", isolate, backend, cores,
                  CRASHES, (double)(vine__clock_now_ns() - begin_ns) / 1e9, load.answered);
    assert_int_equal(load.lost, 0);
    assert_int_equal(load.wrong, 0);
    stop_serving();
    /* All of them were noticed: those with a line, and those that others stand for. */
    assert_true(was_said("SIGSEGV"));
    assert_false(was_said("was killed"));
}

static void crashes_beside_a_load_disturb_no_other_connection(void **state)
{
    (void)state;
    crash_beside_a_load("--isolate=none", "--reactor-backend=auto", "--smp=1");
    crash_beside_a_load("--isolate=mprotect", "--reactor-backend=auto", "--smp=1");
    crash_beside_a_load("--isolate=none", "--reactor-backend=epoll", "--smp=2");
}

/* ---- within malloc --------------------------------------------------------------------------- */

enum { COUNT = 32 };

/* The next line, as a number; 0: the connection has ended. */
static int tell_pid(int fd)
{
    char line[32];
    ssize_t size;

    if (!send_text(fd, "pid\n"))
        return 0;
    size = recv(fd, line, sizeof(line) - 1, 0);
    line[size > 0 ? size : 0] = '\0';
    return atoi(line);
}

/* Returns how many of them the process has. */
static uint32_t connect_all(int fds[COUNT], int pid)
{
    uint32_t theirs = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        fds[i] = connect_now();
        theirs += tell_pid(fds[i]) == pid ? 1 : 0;
    }
    return theirs;
}

static void close_all(const int fds[COUNT])
{
    for (uint32_t i = 0; i < COUNT; i++)
        (void)close(fds[i]);
}

static void a_fault_within_malloc_ends_its_process_and_no_other_connection(void **state)
{
    static const char *const guards[] = {"--isolate=none", "--isolate=mprotect"};
    static char plugin[1024];

    (void)state;
    if (is_sanitized()) {
        print_message("skipped: a sanitizer's malloc looks before it touches\n");
        skip();
    }
    (void)snprintf(plugin, sizeof(plugin), "%s/tests/plugins/failing.so", getenv("VINE_BUILD_DIR"));
    for (size_t i = 0; i < sizeof(guards) / sizeof(guards[0]); i++) {
        int fds[COUNT], pids[COUNT], fatal, pid;
        uint32_t theirs, ended = 0;

        serve(plugin, "--processes=2", "--smp=1", guards[i]);
        /* Each process has its part, or there would be nothing to see; of two on a busy machine
         * one may have had no time to take any. */
        for (theirs = connect_all(fds, logged_pid_at(0)); theirs == 0 || theirs == COUNT;
             theirs = connect_all(fds, logged_pid_at(0)))
            close_all(fds);
        for (uint32_t n = 0; n < COUNT; n++)
            pids[n] = tell_pid(fds[n]);
        fatal = fds[0];
        pid = pids[0];
        assert_true(send_text(fatal, "malloc\n"));
        (void)listen_for(
            "was killed by SIGSEGV; its last words: failing: coroutine failing, line ");
        for (uint32_t n = 0; n < COUNT; n++) {
            const int told = tell_pid(fds[n]);

            if (told != (pids[n] == pid ? 0 : pids[n]))
                fail_msg("a connection of process %d is answered by %d", pids[n], told);
            ended += told == 0 ? 1 : 0;
        }
        assert_int_equal(ended, pid == logged_pid_at(0) ? theirs : COUNT - theirs);
        close_all(fds);
        (void)listen_for(" ms after the end of");
        (void)connect_all(fds, pid);
        for (uint32_t n = 0; n < COUNT; n++) {
            const int told = tell_pid(fds[n]);

            assert_true(told > 0 && told != pid);
        }
        close_all(fds);
        stop_serving();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crashes_beside_a_load_disturb_no_other_connection),
        cmocka_unit_test(a_fault_within_malloc_ends_its_process_and_no_other_connection),
    };

    return cmocka_run_group_tests(tests, logged_open, logged_close);
}
