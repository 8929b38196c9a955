/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A named segment's file that is cut off while it is served: no seal forbids it, and the library
 * takes no signal, so that SIGBUS ends either side at its next access. What is shown is how far
 * that goes: both sides of this segment end and nobody else, and the next appliance makes it anew.
 *
 * Fault model: somebody of the same user truncates the file, to nothing, to its header, or to half
 * of a half. Appliance and application live in processes of their own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/appliance.h>
#include <vine/error.h>
#include <vine/segment.h>
#include <vine/talk.h>

#include "harness/emulator.h"
#include "harness/folder.h"
#include "harness/procedures.h"

#define HANG_GUARD_SECONDS 100
#define SEGMENT_BYTES      (2u << 20)

static const struct vine_procedure_definition noop = {
    .size_bytes = sizeof noop,
    .name = "noop",
    .flags = VINE_PROCEDURE_SHORT,
    .run = run_noop,
};

struct party {
    pid_t pid;
    int said_fd; /* a byte comes when it is at work */
};

/* Run `act` in a process of its own until it says that it is at work. */
static struct party start(int (*act)(const char *address, int say_fd), const char *address)
{
    struct party party;
    int said[2];
    char byte = 0;

    assert_int_equal(pipe(said), 0);
    party.pid = fork();
    assert_true(party.pid >= 0);
    if (party.pid == 0) {
        const struct rlimit no_core = {0, 0};

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGBUS, SIG_DFL); /* a sanitizer's handler would make it an exit */
        _exit(act(address, said[1]));
    }
    close(said[1]);
    assert_int_equal(read(said[0], &byte, 1), 1);
    party.said_fd = said[0];
    return party;
}

/* How a party ended: its signal, or 0. */
static int end_of(const struct party *party)
{
    int status = 0;

    assert_int_equal(waitpid(party->pid, &status, 0), party->pid);
    close(party->said_fd);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int serve(const char *address, int say_fd)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options,
        .segment_bytes = SEGMENT_BYTES,
    };
    struct vine_appliance *appliance = NULL;

    if (vine_appliance_create(&options, &appliance) != 0 ||
        vine_appliance_register(appliance, &noop) != 0 ||
        vine_appliance_listen(appliance, address) != 0 || write(say_fd, "", 1) != 1)
        return 1;
    return vine_appliance_serve(appliance) ? 2 : 0;
}

/* Tasks, as long as they end well. */
static int work(const char *address, int say_fd)
{
    struct vine_pipe *pipe = NULL;
    int error = vine_pipe_open(address, NULL, &pipe);

    for (uint64_t i = 0; !error; i++) {
        error = vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL);
        if (i == 0 && !error && write(say_fd, "", 1) != 1)
            return 1;
    }
    return 2;
}

/* One task, and then nothing but looks until the pipe is over. */
static int idle(const char *address, int say_fd)
{
    struct vine_pipe *pipe = NULL;
    int error = vine_pipe_open(address, NULL, &pipe);

    if (!error)
        error = vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL);
    if (!error && write(say_fd, "", 1) != 1)
        return 1;
    while (!error) {
        (void)sched_yield();
        error = vine_pipe_status(pipe);
    }
    return 2;
}

static void is_served(const char *address)
{
    struct vine_pipe *pipe = NULL;

    assert_int_equal(vine_pipe_open(address, NULL, &pipe), 0);
    assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
    vine_pipe_close(pipe);
}

/* Cut the file to `kept_bytes` under an appliance and an application that does `act`, beside an
 * appliance on a socket of the same folder. */
static void cut_under(int (*act)(const char *address, int say_fd), off_t kept_bytes)
{
    char folder[] = "/tmp/vine-cut-XXXXXX";
    char path[64];
    char named[80];
    char socket_path[64];

    (void)alarm(HANG_GUARD_SECONDS);
    assert_int_equal(folder_make(folder), 0);
    (void)snprintf(path, sizeof path, "%s/segment", folder);
    (void)snprintf(named, sizeof named, "file:%s", path);
    (void)snprintf(socket_path, sizeof socket_path, "%s/socket", folder);

    const struct party neighbour = start(serve, socket_path);
    const struct party appliance = start(serve, named);
    const struct party application = start(act, named);

    assert_int_equal(truncate(path, kept_bytes), 0);
    assert_int_equal(end_of(&appliance), SIGBUS);
    assert_int_equal(end_of(&application), SIGBUS);
    is_served(socket_path);

    /* What is left is a file like any other: who is told to makes a segment of it anew. */
    const struct party next = start(serve, named);

    is_served(named);
    assert_int_equal(kill(next.pid, SIGTERM), 0);
    assert_int_equal(end_of(&next), SIGTERM);
    assert_int_equal(kill(neighbour.pid, SIGTERM), 0);
    assert_int_equal(end_of(&neighbour), SIGTERM);
    (void)unlink(path);
    (void)unlink(socket_path);
    (void)snprintf(path, sizeof path, "%s/socket.lock", folder);
    (void)unlink(path);
    assert_int_equal(rmdir(folder), 0);
    (void)alarm(0);
}

static void a_file_cut_to_nothing_ends_both_sides_and_nobody_else(void **state)
{
    (void)state;
    skip_if_emulated("maps files in its own way");
    cut_under(work, 0);
}

static void a_file_cut_to_its_header_ends_both_sides_and_nobody_else(void **state)
{
    (void)state;
    skip_if_emulated("maps files in its own way");
    cut_under(work, VINE_SEGMENT_HEADER_BYTES);
}

static void sides_that_are_idle_end_too(void **state)
{
    (void)state;
    skip_if_emulated("maps files in its own way");
    cut_under(idle, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_to_nothing_ends_both_sides_and_nobody_else),
        cmocka_unit_test(a_file_cut_to_its_header_ends_both_sides_and_nobody_else),
        cmocka_unit_test(sides_that_are_idle_end_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
