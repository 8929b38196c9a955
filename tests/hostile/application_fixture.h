/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/hostile/application_fixture.h - an ordinary appliance that serves a well-behaved
 * application and, beside it, one that plays a part.
 *
 * Owns:     the appliance's process, if it is of this machine, and both applications' pipes.
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
#include "hostile/raw_application.c"
#include "plugins/hostile.c"

/* So many more who behave well, each with a pipe of its own: one in turn is asked for whenever the
 * first one is. */
#ifndef CROWD
#define CROWD 0
#endif

struct fixture {
    char folder[64];
    char path[96];
    pid_t appliance;             /* 0: another machine's */
    struct raw_application good; /* what must go on working */
    struct raw_application bad;
    struct raw_application *crowd;
    uint32_t crowd_count, next; /* the next one that is asked */
    bool leaves_bad_open;
};

/* What the appliance calls them. */
static struct {
    uint16_t noop, echo, count, ends;
} procedures;

/* The same program is run in a virtual machine, against the appliance of another one: these name
 * the links of the one that plays a part and of the well-behaved one. No socket is there, memory
 * does not grow, and the reason for a loss is a number. */
static inline const char *link_of_bad(void)
{
    return getenv("VINE_TEST_LINK_BAD");
}

static inline bool is_at_link(void)
{
    return link_of_bad() != NULL;
}

static inline void skip_at_link(void)
{
    if (is_at_link()) {
        print_message("skipped: what is sent is for the socket, and a link has none\n");
        skip();
    }
}

static const struct vine_procedure_definition noop_definition = {.size_bytes =
                                                                     sizeof noop_definition,
                                                                 .name = "noop",
                                                                 .run = run_noop,
                                                                 .flags = VINE_PROCEDURE_SHORT};

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

static inline int offer(struct vine_appliance *appliance)
{
    int error = vine_appliance_register(appliance, &noop_definition);

    for (const struct vine_procedure_definition *const *each = vine_procedure_library.begin;
         error == 0 && each < vine_procedure_library.end; each++)
        error = vine_appliance_register(appliance, *each);
    return error;
}

static const struct vine_appliance_options served_options = {
    .size_bytes = sizeof served_options,
    .memory_max_bytes = 4u << 20,
    .log = log_reason,
};

/* How it is served: returns an exit code. */
#ifndef SERVE
#define SERVE serve_by_loop
#endif

__attribute__((unused)) static int serve_by_loop(const char *path,
                                                 const struct vine_appliance_options *options,
                                                 int (*offers)(struct vine_appliance *appliance),
                                                 uint32_t worker_count)
{
    (void)worker_count; /* the loop runs all itself */
    if (vine_appliance_create(options, &served) != 0)
        return 1;
    signal(SIGTERM, stop);
    if (offers(served) != 0)
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

static inline void crowd_opens(struct fixture *fixture)
{
    fixture->crowd_count = CROWD;
    fixture->crowd = calloc(fixture->crowd_count + 1, sizeof *fixture->crowd);
    assert_non_null(fixture->crowd);
    for (uint32_t i = 0; i < fixture->crowd_count; i++) {
        assert_int_equal(raw_open(&fixture->crowd[i], fixture->path), 0);
        assert_int_equal(raw_open_channel(&fixture->crowd[i]), 0);
    }
}

static inline void one_of_the_crowd_is_served(struct fixture *fixture)
{
    if (fixture->crowd_count == 0)
        return;
    fixture->next = (fixture->next + 1) % fixture->crowd_count;
    assert_int_equal(raw_ping(&fixture->crowd[fixture->next], 0), 0);
}

static inline void crowd_leaves(struct fixture *fixture)
{
    for (uint32_t i = 0; i < fixture->crowd_count; i++)
        assert_int_equal(raw_ping(&fixture->crowd[i], 0), 0);
    for (uint32_t i = 0; i < fixture->crowd_count; i++)
        raw_close(&fixture->crowd[i]);
    free(fixture->crowd);
}

/* The well-behaved application hands bytes over, gets the same back and gives them back in turn. */
static inline void good_is_served(struct fixture *fixture)
{
    static uint64_t number; /* another one each time */
    struct raw_application *good = &fixture->good;
    const uint64_t words[2] = {number, ~number};
    struct vine_wire_submission submission = task(procedures.echo);
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
    one_of_the_crowd_is_served(fixture);
}

/* Its number, as the appliance tells it. */
static inline uint16_t find_procedure(struct raw_application *good, const char *name)
{
    struct vine_wire_submission submission = task(VINE_WIRE_LOOKUP);
    struct vine_wire_submission release = {.kind = VINE_WIRE_RELEASE};
    const struct vine_token token = expect_token(sizeof(struct vine_wire_description));
    const struct vine_wire_description *description;
    struct vine_wire_completion completion;
    struct vine_token result;

    put_tokens(&submission, &token, 1);
    submission.shape = VINE_WIRE_SHAPE(strlen(name), 1);
    memcpy(submission.body, name, strlen(name));
    assert_int_equal(raw_submit(good, 0, &submission), 0);
    assert_int_equal(raw_complete(good, 0, &completion), 0);
    assert_int_equal(completion.status, 0);
    memcpy(&result, completion.body + VINE_RESULT_MAX - sizeof result, sizeof result);
    description = vine__mirror_resolve(&good->mirror, result.extent, result.offset_units,
                                       sizeof *description, NULL);
    assert_non_null(description);

    const uint16_t number = (uint16_t)description->id;

    put_tokens(&release, &result, 1);
    assert_int_equal(raw_submit(good, 0, &release), 0);
    return number;
}

static inline void attach(struct raw_application *raw, const char *link)
{
    int error;

    /* Who watches over the links of this machine may have it for a moment. */
    do
        error = raw_open(raw, link);
    while (error == -EBUSY);
    assert_int_equal(error, 0);
}

/* Fork an appliance for it, if there is none. */
static inline void reach_appliance(struct fixture *fixture)
{
    int error = -VINE_ENOAPPLIANCE;

    if (is_at_link()) {
        /* One of a process's links has the doorbell, and the first one gets it: the one that will
         * come again and again. */
        attach(&fixture->bad, link_of_bad());
        attach(&fixture->good, getenv("VINE_TEST_LINK_GOOD"));
        raw_close(&fixture->bad);
        return;
    }
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/vine-hostile-XXXXXX");
    assert_int_equal(folder_make(fixture->folder), 0);
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/socket", fixture->folder);
    fixture->appliance = fork();
    assert_true(fixture->appliance >= 0);
    if (fixture->appliance == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(SERVE(fixture->path, &served_options, offer, 0));
    }
    while (error == -VINE_ENOAPPLIANCE) {
        assert_int_equal(waitpid(fixture->appliance, NULL, WNOHANG), 0);
        error = raw_open(&fixture->good, fixture->path);
    }
    assert_int_equal(error, 0);
}

static inline int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    reach_appliance(fixture);
    assert_int_equal(raw_open_channel(&fixture->good), 0);
    procedures.noop = find_procedure(&fixture->good, "noop");
    procedures.echo = find_procedure(&fixture->good, "echo");
    procedures.count = find_procedure(&fixture->good, "count");
    procedures.ends = find_procedure(&fixture->good, "ends");
    crowd_opens(fixture);
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
    crowd_leaves(fixture);
    raw_close(&fixture->good);
    if (fixture->appliance > 0) {
        assert_int_equal(kill(fixture->appliance, SIGTERM), 0);
        assert_int_equal(waitpid(fixture->appliance, &status, 0), fixture->appliance);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        (void)unlink(fixture->path);
        (void)rmdir(fixture->folder);
    }
    if (fixture->leaves_bad_open)
        raw_close(&fixture->bad);
    free(fixture);
    return 0;
}

/* Without a channel. */
static inline void join_bad(struct fixture *fixture)
{
    if (is_at_link())
        attach(&fixture->bad, link_of_bad());
    else
        assert_int_equal(raw_open(&fixture->bad, fixture->path), 0);
}

static inline void open_bad(struct fixture *fixture)
{
    join_bad(fixture);
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
