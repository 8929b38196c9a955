/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/hostile/appliance_fixture.h - an ordinary application before an appliance that plays a
 * part.
 *
 * Owns:     the appliance's process, the application's pipe and tasks.
 * Threads:  one.
 * Blocking: for hang guards at most.
 * Trust:    the appliance deserves none.
 * Limits:   for test programs alone: everything is static.
 */
#ifndef VINE_TESTS_HOSTILE_APPLIANCE_FIXTURE_H
#define VINE_TESTS_HOSTILE_APPLIANCE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ring/spsc_inline.h"
#include "harness/emulator.h"
#include "harness/folder.h"
#include "hostile/raw_appliance.c"
#include "unit/arch/memory/fake_sysfs.h"

#define DEVICE             "0000:00:04.0"
#define HANG_GUARD_SECONDS 100
#define SHORT_NS           100000000ULL   /* in which nothing comes that never comes */
#define PROMPT_NS          1000000000ULL  /* in which a loss is told */
#define LATEST_NS          60000000000ULL /* nothing takes that long unless it hangs */

struct fixture {
    char folder[64];
    char path[96];
    char trees[2][FAKE_SYSFS_PATH_MAX]; /* of the appliance's devices, and of ours */
    pid_t appliance;
    int leash; /* what holds on to it lives until this is closed */
    struct vine_pipe *pipe;
    struct vine_procedure *echo;
};

typedef void (*play_fn)(struct raw_appliance *raw, const void *part);

/* Reads until the test lets go. */
static int leash_end;

static inline void stay(void)
{
    char byte;

    (void)!read(leash_end, &byte, 1);
}

/* Whatever the last appliance left behind. */
static inline void clear_address(const struct fixture *fixture)
{
    char path[2 * FAKE_SYSFS_PATH_MAX];

    if (strncmp(fixture->path, "pci:", 4) != 0) {
        (void)unlink(strchr(fixture->path, '/'));
        return;
    }
    (void)snprintf(path, sizeof path, "%s/bus/pci/devices/%s/resource2", fixture->trees[0], DEVICE);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(truncate(path, RAW_SEGMENT_BYTES), 0);
}

static inline void begin(struct fixture *fixture, play_fn play, const void *part)
{
    int ready[2];
    int leash[2];
    char byte = 0;

    (void)alarm(HANG_GUARD_SECONDS);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(leash, O_CLOEXEC), 0);
    clear_address(fixture);
    fixture->appliance = fork();
    assert_true(fixture->appliance >= 0);
    if (fixture->appliance == 0) {
        static struct raw_appliance raw;

        (void)alarm(0);
        (void)setenv("VINE_SYSFS", fixture->trees[0], 1);
        close(leash[1]);
        leash_end = leash[0];
        raw_appliance_listen(&raw, fixture->path);
        if (write(ready[1], "", 1) == 1)
            play(&raw, part);
        stay();
        _exit(0);
    }
    close(leash[0]);
    close(ready[1]);
    fixture->leash = leash[1];
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
}

static inline void kill_appliance(struct fixture *fixture)
{
    assert_int_equal(kill(fixture->appliance, SIGKILL), 0);
}

static inline void end(struct fixture *fixture)
{
    int status = 0;

    vine_pipe_close(fixture->pipe);
    fixture->pipe = NULL;
    fixture->echo = NULL;
    (void)kill(fixture->appliance, SIGTERM);
    assert_int_equal(waitpid(fixture->appliance, &status, 0), fixture->appliance);
    /* By us, or by itself in good order: it has no bugs to speak of. */
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGKILL
                                    : WEXITSTATUS(status) == 0);
    close(fixture->leash);
    (void)alarm(0);
}

/* Where the appliance listens: in the folder, or at a device. */
static inline int setup_at(void **state, const char *address)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/vine-hostile-XXXXXX");
    assert_int_equal(folder_make(fixture->folder), 0);
    (void)snprintf(fixture->path, sizeof fixture->path, address, fixture->folder);
    assert_int_equal(fake_sysfs_pair(fixture->folder, DEVICE, RAW_SEGMENT_BYTES, fixture->trees),
                     0);
    (void)setenv("VINE_SYSFS", fixture->trees[1], 1);
    *state = fixture;
    return 0;
}

static inline int setup(void **state)
{
    return setup_at(state, "%s/socket");
}

static inline int setup_file(void **state)
{
    return setup_at(state, "file:%s/segment");
}

static inline int setup_pci(void **state)
{
    return setup_at(state, "pci:" DEVICE);
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fake_sysfs_destroy(fixture->folder), 0);
    free(fixture);
    return 0;
}

/* ---- the ordinary application ---------------------------------------------------------------- */

static inline int open_pipe_within(struct fixture *fixture, uint64_t timeout_ns)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options,
        .connect_timeout_ns = timeout_ns,
    };

    return vine_pipe_open(fixture->path, &options, &fixture->pipe);
}

static inline int open_pipe(struct fixture *fixture)
{
    return open_pipe_within(fixture, LATEST_NS);
}

static inline void open_echo(struct fixture *fixture)
{
    assert_int_equal(open_pipe(fixture), 0);
    assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &fixture->echo), 0);
}

struct job {
    struct vine_data *input;
    struct vine_data *output;
    struct vine_task *task;
};

static inline int issue(struct fixture *fixture, struct job *job)
{
    static const char text[] = "hello";
    int error;

    memset(job, 0, sizeof *job);
    error = vine_data_create(fixture->pipe, VINE_TYPE_BYTES, sizeof text, &job->input);
    if (!error)
        error = vine_data_write(job->input, 0, text, sizeof text);
    if (!error)
        error = vine_data_expect(fixture->pipe, VINE_TYPE_BYTES, 64, &job->output);

    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .inputs = &job->input,
        .input_count = 1,
        .outputs = &job->output,
        .output_count = 1,
    };

    if (!error)
        error = vine_task_issue(fixture->pipe, fixture->echo, &options, &job->task);
    return error;
}

static inline void let_go(struct job *job)
{
    unsigned char bytes[64];
    const uint64_t size = job->output != NULL ? vine_data_size(job->output) : 0;

    /* Whatever it is said to be: it can be read. */
    assert_true(size <= sizeof bytes);
    if (size > 0)
        assert_int_equal(vine_data_read(job->output, 0, bytes, size), 0);
    vine_task_free(job->task);
    vine_data_free(job->output);
    vine_data_free(job->input);
}

/* All that was issued has ended in one of three ways. */
static inline void all_have_ended(struct fixture *fixture)
{
    struct vine_pipe_stats stats;

    vine_pipe_get_stats(fixture->pipe, &stats);
    assert_int_equal(stats.tasks_in_flight, 0);
    assert_int_equal(stats.tasks_issued, stats.tasks_done + stats.tasks_failed + stats.tasks_lost);
}

/* An entry of a table of tests; and two, in a named segment and in a device's memory. */
#define HOSTILE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define HOSTILE_NAMED(test)                                                                        \
    cmocka_unit_test_setup_teardown(test, setup_file, teardown),                                   \
        cmocka_unit_test_setup_teardown(test, setup_pci, teardown)

#endif
