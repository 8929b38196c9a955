/* SPDX-License-Identifier: Apache-2.0 */
/* test: timeout=600 */
/*
 * The control socket of `vine server`: an address that somebody holds for a moment longer, or for
 * good; and waves of a thousand connections, which leave nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/folder.h"

#define CALLERS 1000
#define WAVES   10
#define FEW     16 /* descriptors that it may open for itself meanwhile */
#define KIB_MAX                                                                                    \
    8192 /* the last five waves may have more than the first; 1.6 KiB for each of them */

static char folder[] = "/tmp/vine-sockets-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static pid_t server;
static FILE *says;

/* ---- the server ------------------------------------------------------------------------------ */

static void begin_server(void)
{
    char state[64], runtime[64];
    int ends[2];

    (void)snprintf(state, sizeof(state), "%s/state", folder);
    (void)snprintf(runtime, sizeof(runtime), "%s/run", folder);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    server = fork();
    assert_true(server >= 0);
    if (server == 0) {
        struct rlimit limit;

        /* It raises that itself, or a thousand connections wait. */
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
            _exit(126);
        limit.rlim_cur = limit.rlim_max < 256 ? limit.rlim_max : 256;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            _exit(126);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)execl(getenv("VINE_COMMAND"), "vine", "server", "--state", state, "--runtime",
                    runtime, "--console-links", "runtime", "--accelerator", "tcg", (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    says = fdopen(ends[0], "r");
    assert_non_null(says);
}

/* A line of its with this in it. */
static void expect_to_say(const char *text)
{
    char line[512];

    for (;;) {
        if (fgets(line, sizeof(line), says) == NULL)
            fail_msg("never says `%s`", text);
        if (strstr(line, text) != NULL)
            return;
    }
}

static void expect_to_end(int code)
{
    int status = 0;

    assert_int_equal(waitpid(server, &status, 0), server);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
    (void)fclose(says);
}

static void stop_server(void)
{
    assert_int_equal(kill(server, SIGTERM), 0);
    expect_to_end(0);
}

/* ---- an address that is held ----------------------------------------------------------------- */

static int hold(void)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void an_address_that_is_let_go_of_late_is_tried_again(void **state)
{
    const int held = hold();

    (void)state;
    begin_server();
    /* It looks whether somebody is there: a connection is a try. */
    for (int tries = 0; tries < 3; tries++)
        assert_int_equal(close(accept(held, NULL, NULL)), 0);
    assert_int_equal(close(held), 0);
    expect_to_say(": ready: ");
    stop_server();
}

static void an_address_that_is_another_ones_is_told_of(void **state)
{
    const int held = hold();
    struct stat before, after;

    (void)state;
    assert_int_equal(stat(address.sun_path, &before), 0);
    begin_server();
    expect_to_say("control.sock: Address already in use");
    expect_to_end(1);
    assert_int_equal(stat(address.sun_path, &after), 0);
    assert_true(after.st_ino == before.st_ino);
    assert_int_equal(close(held), 0);
    assert_int_equal(unlink(address.sun_path), 0);
}

/* ---- waves ----------------------------------------------------------------------------------- */

static long count_descriptors(void)
{
    char path[64];
    long count = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)server);
    DIR *const descriptors = opendir(path);

    assert_non_null(descriptors);
    while (readdir(descriptors) != NULL)
        count++;
    (void)closedir(descriptors);
    return count;
}

/* Of its own, in its memory now. */
static long count_kib(void)
{
    char path[64], line[256];
    long kib = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)server);
    FILE *const status = fopen(path, "r");

    assert_non_null(status);
    while (kib < 0 && fgets(line, sizeof(line), status) != NULL)
        if (sscanf(line, "RssAnon: %ld", &kib) != 1)
            kib = -1;
    (void)fclose(status);
    assert_true(kib > 0);
    return kib;
}

/* All are there and were answered, and then all are gone. Returns what the server had meanwhile. */
static long play_wave(long descriptors)
{
    static int fds[CALLERS];
    char answer[16];
    long kib;

    for (int i = 0; i < CALLERS; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
        assert_int_equal(connect(fds[i], (const struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(write(fds[i], "1,1\n", 4), 4);
    }
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(recv(fds[i], answer, 7, MSG_WAITALL), 7);
    kib = count_kib();
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(close(fds[i]), 0);
    while (count_descriptors() > descriptors + FEW)
        (void)sched_yield();
    return kib;
}

static void waves_of_connections_leave_nothing_behind(void **state)
{
    long descriptors, most[2] = {0, 0}; /* of both halves */

    (void)state;
    begin_server();
    expect_to_say(": ready: ");
    descriptors = count_descriptors();
    for (int wave = 0; wave < WAVES; wave++) {
        const long kib = play_wave(descriptors);
        long *const half = &most[wave >= WAVES / 2];

        print_message("wave %d: %ld KiB\n", wave + 1, kib);
        *half = kib > *half ? kib : *half;
    }
    /* A sanitizer keeps what was freed. */
    if (getenv("VINE_SANITIZE") == NULL || getenv("VINE_SANITIZE")[0] == '\0')
        assert_true(most[1] <= most[0] + KIB_MAX);
    stop_server();
}

static int begin(void **state)
{
    struct rlimit limit;
    char path[64];

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -1;
    limit.rlim_cur = limit.rlim_max < 2 * CALLERS ? limit.rlim_max : 2 * CALLERS;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -1;
    if (folder_make(folder) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/run", folder);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/control.sock", folder);
    return mkdir(path, 0700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_is_let_go_of_late_is_tried_again),
        cmocka_unit_test(an_address_that_is_another_ones_is_told_of),
        cmocka_unit_test(waves_of_connections_leave_nothing_behind),
    };

    return cmocka_run_group_tests(tests, begin, NULL);
}
