/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/hostile/application_fixture.h - an ordinary appliance that serves a well-behaved
 * application and, beside it, one that plays a part.
 *
 * Owns:     the appliance's process and both applications' pipes.
 * Threads:  one.
 * Blocking: for hang guards at most.
 * Trust:    `bad` deserves none.
 * Limits:   for test programs alone: everything is static.
 */
#ifndef VINE_TESTS_HOSTILE_APPLICATION_FIXTURE_H
#define VINE_TESTS_HOSTILE_APPLICATION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/appliance.h>
#include <vine/error.h>

#include "arch/peer/peer.h"
#include "core/ring/spsc_inline.h"
#include "core/talk/message.h"
#include "harness/folder.h"
#include "harness/procedures.h"
#include "hostile/raw_application.c"

#define PROCEDURE_NOOP  VINE_WIRE_PROCEDURES_FROM
#define PROCEDURE_ECHO  (VINE_WIRE_PROCEDURES_FROM + 1)
#define PROCEDURE_COUNT (VINE_WIRE_PROCEDURES_FROM + 2)
#define PROCEDURE_ENDS  (VINE_WIRE_PROCEDURES_FROM + 3)

struct fixture {
    char folder[64];
    char path[96];
    pid_t appliance;
    struct raw_application good; /* what must go on working */
    struct raw_application bad;
    bool leaves_bad_open;
};

static inline int run_count(struct vine_call *call)
{
    uint64_t *count = vine_call_state(call);

    /* None without a session. */
    if (count == NULL)
        return -VINE_ESESSION;
    ++*count;
    return vine_call_result(call, count, sizeof *count);
}

static const struct vine_argument ends_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, UINT64_MAX},
    {"ends", VINE_RESULT, 0, 2, 2},
};

static const struct vine_argument count_arguments[] = {
    {"count", VINE_RESULT, 0, 8, 8},
};

static const struct vine_argument echo_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, 65536},
    {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 65536},
};

static const struct vine_procedure_definition definitions[] = {
    {.size_bytes = sizeof definitions[0],
     .name = "noop",
     .run = run_noop,
     .flags = VINE_PROCEDURE_SHORT},
    {.size_bytes = sizeof definitions[0],
     .name = "echo",
     .run = run_echo,
     .arguments = echo_arguments,
     .argument_count = 2},
    {.size_bytes = sizeof definitions[0],
     .name = "count",
     .run = run_count,
     .arguments = count_arguments,
     .argument_count = 1,
     .state_bytes = sizeof(uint64_t)},
    {.size_bytes = sizeof definitions[0],
     .name = "ends",
     .run = run_ends,
     .flags = VINE_ARGUMENTS_SHARED,
     .arguments = ends_arguments,
     .argument_count = 2},
};

static struct vine_appliance *served;

static inline void stop(int signal_number)
{
    (void)signal_number;
    vine_appliance_stop(served);
}

static inline void log_reason(void *context, enum vine_log_level level, const char *message)
{
    (void)context;
    if (level <= VINE_LOG_ERROR)
        (void)fprintf(stderr, "appliance: %s\n", message);
}

static inline int serve(const char *path)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options,
        .memory_max_bytes = 4u << 20,
        .log = log_reason,
    };

    if (vine_appliance_create(&options, &served) != 0)
        return 1;
    signal(SIGTERM, stop);
    for (size_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++)
        if (vine_appliance_register(served, &definitions[i]) != 0)
            return 2;
    if (vine_appliance_listen(served, path) != 0)
        return 3;

    const int error = vine_appliance_serve(served);

    vine_appliance_destroy(served);
    return error ? 4 : 0;
}

static inline struct vine_wire_submission task(uint16_t procedure)
{
    return (struct vine_wire_submission){
        .operation = 1, .procedure = procedure, .kind = VINE_WIRE_TASK};
}

static inline void put_tokens(struct vine_wire_submission *submission,
                              const struct vine_token *tokens, uint32_t count)
{
    submission->shape = VINE_WIRE_SHAPE(0, count);
    memcpy(submission->body + VINE_WIRE_BODY_BYTES - count * sizeof *tokens, tokens,
           count * sizeof *tokens);
}

static inline struct vine_token expect_token(uint32_t room)
{
    return (struct vine_token){.length = room, .type = VINE_TYPE_BYTES | VINE_WIRE_TYPE_EXPECT};
}

/* The well-behaved application hands bytes over, gets the same back and gives them back in turn. */
static inline void good_is_served(struct fixture *fixture)
{
    static uint64_t number; /* another one each time */
    struct raw_application *good = &fixture->good;
    const uint64_t words[2] = {number, ~number};
    struct vine_wire_submission submission = task(PROCEDURE_ECHO);
    struct vine_wire_submission release = {.kind = VINE_WIRE_RELEASE};
    struct vine_wire_completion completion;
    struct vine_token result;
    struct vine__box box;
    const void *memory;

    assert_int_equal(vine__half_alloc(&good->half, sizeof words, &box), 0);
    memcpy(box.memory, words, sizeof words);

    const struct vine_token tokens[2] = {{.offset_units = box.offset_units,
                                          .extent = (uint16_t)box.extent,
                                          .length = sizeof words,
                                          .type = VINE_TYPE_BYTES},
                                         expect_token(sizeof words)};

    put_tokens(&submission, tokens, 2);
    assert_int_equal(raw_submit(good, 0, &submission), 0);
    assert_int_equal(raw_complete(good, 0, &completion), 0);
    assert_int_equal(completion.status, 0);
    assert_int_equal(completion.shape, VINE_WIRE_SHAPE(0, 1));
    memcpy(&result, completion.body + VINE_RESULT_MAX - sizeof result, sizeof result);
    assert_int_equal(result.length, sizeof words);
    memory = vine__mirror_resolve(&good->mirror, result.extent, result.offset_units, result.length,
                                  NULL);
    assert_non_null(memory);
    assert_memory_equal(memory, words, sizeof words);
    put_tokens(&release, &result, 1);
    assert_int_equal(raw_submit(good, 0, &release), 0);
    vine__half_free(&good->half, &box);
    number++;
}

static inline int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/vine-hostile-XXXXXX");
    assert_int_equal(folder_make(fixture->folder), 0);
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/socket", fixture->folder);
    fixture->appliance = fork();
    assert_true(fixture->appliance >= 0);
    if (fixture->appliance == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(serve(fixture->path));
    }

    int error = -VINE_ENOAPPLIANCE;

    while (error == -VINE_ENOAPPLIANCE) {
        assert_int_equal(waitpid(fixture->appliance, NULL, WNOHANG), 0);
        error = raw_open(&fixture->good, fixture->path);
    }
    assert_int_equal(error, 0);
    assert_int_equal(raw_open_channel(&fixture->good), 0);
    *state = fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    int status = 0;

    /* Whatever was done: the other application still works, and the appliance ends in good
     * order. */
    good_is_served(fixture);
    raw_close(&fixture->good);
    assert_int_equal(kill(fixture->appliance, SIGTERM), 0);
    assert_int_equal(waitpid(fixture->appliance, &status, 0), fixture->appliance);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    if (fixture->leaves_bad_open)
        raw_close(&fixture->bad);
    (void)unlink(fixture->path);
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static inline void open_bad(struct fixture *fixture)
{
    assert_int_equal(raw_open(&fixture->bad, fixture->path), 0);
    assert_int_equal(raw_open_channel(&fixture->bad), 0);
}

static inline void closed_with(struct fixture *fixture, int error)
{
    assert_int_equal(raw_wait_closed(&fixture->bad), error);
    assert_true(fixture->bad.why.text[0] != 0);
    raw_close(&fixture->bad);
}

/* An entry of the table of tests. */
#define HOSTILE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
