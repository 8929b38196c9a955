/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries of procedures that are coroutines, taken up by `vine appliance --procs`: with each kind
 * of isolation, while sessions run that have the version of their time, beside versions that are
 * refused and unloaded, and with faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/stream.h>

#include "harness/folder.h"

#define LIMIT_NS  60000000000ULL /* a hang guard */
#define SESSIONS  8
#define ROUNDS    6
#define NO_ANSWER (-1)

static char folder[] = "/tmp/vine-relay-XXXXXX";
static char address[80], procs[80];
static pid_t appliance;
static FILE *says;
static struct vine_pipe *pipe_to;
static struct vine_procedure *relay;

/* ---- the appliance --------------------------------------------------------------------------- */

/* As an installer does, so that nobody sees half of it. */
static void install(const char *plugin, const char *name)
{
    char command[512];

    (void)snprintf(command, sizeof command,
                   "cp '%s/tests/plugins/%s.so' '%s/.new' && chmod 700 '%s/.new' && "
                   "mv '%s/.new' '%s/%s.so'",
                   getenv("VINE_BUILD_DIR"), plugin, procs, procs, procs, procs, name);
    assert_int_equal(system(command), 0);
}

/* Returns whether it says so; what it says else before that is passed over. */
static bool hear(const char *what)
{
    char line[512];

    while (fgets(line, sizeof line, says) != NULL)
        if (strstr(line, what) != NULL)
            return true;
    return false;
}

static int reap(void)
{
    int status = 0;

    assert_int_equal(waitpid(appliance, &status, 0), appliance);
    (void)fclose(says);
    return WIFEXITED(status) ? WEXITSTATUS(status) : NO_ANSWER;
}

/* Options of reactors come with the isolation. */
static void start_command(const char *command, const char *isolation)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    appliance = fork();
    if (appliance == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)execl(command, "vine", "appliance", "--listen", address, "--procs", procs,
                    "--verbose", isolation != NULL ? "--isolate" : NULL, isolation, "--smp=2",
                    "--overprovisioned", "--blocked-reactor-notify-ms=10000", (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    says = fdopen(ends[0], "re");
    assert_non_null(says);
}

/* Returns false where this machine has no such isolation. */
static bool start(const char *isolation)
{
    start_command(getenv("VINE_COMMAND"), isolation);
    if (!hear(" ready at ")) {
        assert_int_equal(reap(), 2);
        return false;
    }
    assert_int_equal(vine_pipe_open(address, NULL, &pipe_to), 0);
    assert_int_equal(vine_procedure_get(pipe_to, "relay", &relay), 0);
    return true;
}

static void stop(void)
{
    vine_pipe_close(pipe_to);
    assert_int_equal(kill(appliance, SIGTERM), 0);
    assert_true(hear("stopped; "));
    assert_int_equal(reap(), 0);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static struct vine_stream *open_one(void)
{
    /* All of them together fit into a channel. */
    const struct vine_stream_options options = {
        .size_bytes = sizeof options, .chunk_bytes = 4096, .writes_max = 1, .reads_max = 1};
    struct vine_stream *stream = NULL;

    assert_int_equal(vine_stream_open(pipe_to, relay, &options, &stream), 0);
    return stream;
}

static int send(struct vine_stream *stream, const char *line)
{
    size_t size = 0;
    const int error = vine_stream_write(stream, line, strlen(line), LIMIT_NS, &size);

    if (error == 0)
        assert_int_equal(size, strlen(line));
    return error;
}

/* Which version answers. */
static int ask(struct vine_stream *stream)
{
    char answer[64] = "";
    size_t length = 0, size = 0;

    assert_int_equal(send(stream, "who\n"), 0);
    while (memchr(answer, '\n', length) == NULL) {
        assert_int_equal(
            vine_stream_read(stream, answer + length, sizeof answer - 1 - length, LIMIT_NS, &size),
            0);
        assert_true(size > 0);
        length += size;
    }
    assert_string_equal(answer + 1, " who\n");
    return answer[0] - '0';
}

static void end_one(struct vine_stream *stream)
{
    char rest[8];
    size_t size = 1;

    assert_int_equal(vine_stream_end(stream, LIMIT_NS), 0);
    assert_int_equal(vine_stream_read(stream, rest, sizeof rest, LIMIT_NS, &size), 0);
    assert_int_equal(size, 0);
    vine_stream_close(stream);
}

static int ask_anew(void)
{
    struct vine_stream *const stream = open_one();
    const int version = ask(stream);

    end_one(stream);
    return version;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void go_through(const char *isolation)
{
    struct vine_stream *sessions[ROUNDS][SESSIONS], *faulty;
    char byte;
    size_t size;

    install("relay_1", "relay");
    if (!start(isolation)) {
        print_message("without --isolate %s, which this machine does not have\n", isolation);
        return;
    }
    for (int round = 0; round < ROUNDS; round++) {
        const int version = 1 + round % 2;

        if (round > 0)
            install(version == 1 ? "relay_1" : "relay_2", "relay");
        while (ask_anew() != version) /* it is taken up a moment later */
            continue;
        for (int i = 0; i < SESSIONS; i++)
            sessions[round][i] = open_one();
        /* Those of before have the version of their time; new ones have the new one. */
        for (int before = 0; before <= round; before++)
            for (int i = 0; i < SESSIONS; i++)
                assert_int_equal(ask(sessions[before][i]), 1 + before % 2);
        /* What the new one breaks is a task of its own. */
        faulty = open_one();
        assert_int_equal(ask(faulty), version);
        assert_int_equal(send(faulty, "fault\n"), 0);
        while (vine_stream_read(faulty, &byte, 1, LIMIT_NS, &size) == 0)
            assert_true(size > 0);
        assert_int_equal(vine_stream_error(faulty), -VINE_EFAILED);
        vine_stream_close(faulty);
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SESSIONS; i++) {
            assert_int_equal(ask(sessions[round][i]), 1 + round % 2);
            end_one(sessions[round][i]);
        }
    stop();
}

static void sessions_go_on_with_the_version_of_their_time(void **state)
{
    (void)state;
    go_through("none");
}

static void the_same_with_mprotect(void **state)
{
    (void)state;
    go_through("mprotect");
}

static void the_same_with_protection_keys(void **state)
{
    (void)state;
    go_through("pku");
}

/* Its table was known before it was refused. */
static void a_library_that_is_refused_and_unloaded_is_forgotten(void **state)
{
    (void)state;
    install("relay_1", "relay");
    assert_true(start("best"));
    for (int round = 0; round < ROUNDS; round++) {
        install("relay_2", "twice");
        assert_true(hear("its procedure 'relay' is offered by relay.so"));
        install(round % 2 == 0 ? "relay_2" : "relay_1", "relay");
        while (ask_anew() != 2 - round % 2)
            continue;
    }
    stop();
}

static void without_reactors_it_is_refused(void **state)
{
    char copy[80], command[512];

    (void)state;
    install("relay_1", "relay");
    (void)snprintf(copy, sizeof copy, "%s/alone", folder);
    (void)snprintf(command, sizeof command, "cp '%s' '%s'", getenv("VINE_COMMAND"), copy);
    assert_int_equal(system(command), 0);
    start_command(copy, NULL);
    assert_true(hear("relay.so: it cannot be loaded"));
    assert_true(hear(" ready at "));
    assert_int_equal(kill(appliance, SIGTERM), 0);
    assert_true(hear("stopped; "));
    assert_int_equal(reap(), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (folder_make(folder) != 0)
        return -1;
    (void)snprintf(address, sizeof address, "%s/socket", folder);
    (void)snprintf(procs, sizeof procs, "%s/procs", folder);
    return setenv("XDG_RUNTIME_DIR", folder, 1) != 0 || mkdir(procs, 0700) != 0 ? -1 : 0;
}

static int clear(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -f '%s'/*.so", procs);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_reactors_it_is_refused, clear),
        cmocka_unit_test_teardown(sessions_go_on_with_the_version_of_their_time, clear),
        cmocka_unit_test_teardown(the_same_with_mprotect, clear),
        cmocka_unit_test_teardown(the_same_with_protection_keys, clear),
        cmocka_unit_test_teardown(a_library_that_is_refused_and_unloaded_is_forgotten, clear),
    };

    return cmocka_run_group_tests(tests, make_folder, NULL);
}
