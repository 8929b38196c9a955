/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Handlers that crash, spin, overflow their heap or stack, block for ever or fail: each ends its
 * task alone, while others of its pipe, and other pipes, are served.
 */
#include "handlers.h"

#include <sched.h>

#define RUN_NS (20 * 1000 * 1000ULL) /* that a handler may take without waiting */
#define PIPES  64U

VINE_COROUTINE(echo)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_forward(that->socket, that->socket);
    vine_end();
}

VINE_COROUTINE(crashes)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    *(volatile char *)0xbad0 = self->byte;
    vine_end();
}

VINE_COROUTINE(divides)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    __builtin_trap();
    vine_end();
}

VINE_COROUTINE(spins)
{
    struct {
        volatile uint64_t count;
    } *self;

    vine_begin();
    for (;;)
        self->count++;
    vine_end();
}

/* More than its heap ever is. */
VINE_COROUTINE(takes_all)
{
    struct {
        void *memory;
    } *self;

    vine_begin();
    for (;;)
        vine_alloc(self->memory, 1000);
    vine_end();
}

VINE_SERVICE_CODE static int go_deeper(volatile int *depth)
{
    volatile char room[512];

    room[0] = (char)*depth;
    *depth = *depth + 1;
    return *depth < 1000000 ? go_deeper(depth) + room[0] : 0;
}

VINE_COROUTINE(goes_deep)
{
    struct {
        volatile int depth;
        int result;
    } *self;

    vine_begin();
    self->result = go_deeper(&self->depth);
    vine_end();
}

VINE_COROUTINE(sleeps)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    for (;;)
        vine_sleep(100 * VINE_NS_PER_SECOND);
    vine_end();
}

/* It is cancelled, and does not heed. */
VINE_COROUTINE(clings)
{
    struct {
        int error;
    } *self;

    vine_begin();
again:
    for (;;)
        vine_sleep(100 * VINE_NS_PER_SECOND);
    vine_catch(self->error)
    {
        goto again;
    }
    vine_end();
}

VINE_COROUTINE(raises)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_raise(-EIO);
    vine_end();
}

static const struct vine_procedure_definition procedures[] = {
    HANDLER(echo),      HANDLER(crashes), HANDLER(divides), HANDLER(spins),  HANDLER(takes_all),
    HANDLER(goes_deep), HANDLER(sleeps),  HANDLER(clings),  HANDLER(raises),
};

static const struct {
    const char *name;
    bool is_cancelled;
    int status;
} bad[] = {
    {"crashes", false, -VINE_EFAILED},   {"divides", false, -VINE_EFAILED},
#ifndef __SANITIZE_THREAD__ /* which keeps the signal back from who makes no calls */
    {"spins", false, -VINE_EFAILED},
#endif
    {"takes_all", false, -VINE_EFAILED}, {"goes_deep", false, -VINE_EFAILED},
    {"sleeps", true, -VINE_ECANCELED},   {"clings", true, -VINE_ECANCELED},
    {"raises", false, -VINE_EFAILED},
};

#define BAD (sizeof bad / sizeof bad[0])

/* A session that is good goes on through all of it, a byte at a time. */
static void expect_one_more(struct vine_pipe *pipe, struct vine_session *session, char byte)
{
    struct issued issued = issue(pipe, "echo", session, &byte, 1, 10, false);
    char back = 0;

    assert_int_equal(finish(&issued, 0, &back, 1), 1);
    assert_int_equal(back, byte);
}

static void use_bad_ones(struct vine_pipe *pipe, struct application *application)
{
    struct vine_session *const good = session_of(pipe, "echo");
    char bytes[16];

    (void)application;
    for (size_t i = 0; i < BAD; i++) {
        struct vine_session *const session = session_of(pipe, bad[i].name);
        struct issued in_session, other, alone;
        int status;

        in_session = issue(pipe, bad[i].name, session, "x", 1, 10, false);
        other = issue(pipe, bad[i].name, session, "", 0, 10, false);
        alone = issue(pipe, bad[i].name, NULL, "x", 1, 10, false);
        expect_one_more(pipe, good, (char)('a' + i));
        if (bad[i].is_cancelled) {
            assert_int_equal(vine_task_cancel(alone.task), 0);
            vine_session_close(session);
            assert_int_equal(vine_task_cancel(in_session.task), 0);
            assert_int_equal(vine_task_cancel(other.task), 0);
        }
        (void)finish(&alone, bad[i].status, bytes, sizeof bytes);
        (void)finish(&in_session, bad[i].status, bytes, sizeof bytes);
        /* Where it came later, the session had failed. */
        status = vine_task_wait(other.task, LIMIT_NS);
        assert_true(status == bad[i].status || (!bad[i].is_cancelled && status == -VINE_ESESSION));
        (void)finish(&other, status, bytes, sizeof bytes);
        if (!bad[i].is_cancelled) {
            alone = issue(pipe, bad[i].name, session, "x", 1, 10, false);
            (void)finish(&alone, -VINE_ESESSION, bytes, sizeof bytes);
            vine_session_close(session);
        }
        expect_one_more(pipe, good, (char)('A' + i));
    }
    vine_session_close(good);
}

static void a_bad_handler_ends_its_task_alone(void **state)
{
    (void)state;
    serve(procedures, sizeof procedures / sizeof procedures[0], NULL, RUN_NS);
    serve_applications(use_bad_ones, 1);
    serve_no_more();
}

/* Each pipe has one kind of bad handler and a good session. */
static void use_one_bad(struct vine_pipe *pipe, struct application *application)
{
    const size_t i = application->number % BAD;
    struct vine_session *const good = session_of(pipe, "echo");
    struct issued alone;
    char bytes[16];

    for (int round = 0; round < 3; round++) {
        alone = issue(pipe, bad[i].name, NULL, "x", 1, 10, false);
        for (int j = 0; j < 10; j++)
            expect_one_more(pipe, good, (char)('a' + j));
        if (bad[i].is_cancelled)
            assert_int_equal(vine_task_cancel(alone.task), 0);
        (void)finish(&alone, bad[i].status, bytes, sizeof bytes);
    }
    /* What is left in the middle goes with the pipe. */
    (void)issue(pipe, bad[i].name, session_of(pipe, bad[i].name), "x", 1, 0, false);
}

static void sixty_four_pipes_are_served_beside_bad_handlers(void **state)
{
    (void)state;
    serve(procedures, sizeof procedures / sizeof procedures[0], NULL, RUN_NS);
    serve_applications(use_one_bad, PIPES);
    serve_no_more();
}

/* One that is issued, perhaps changed and cancelled, and left: it goes on without us. Returns
 * whether there was room for it. */
static bool issue_and_leave(struct vine_pipe *pipe, struct vine_session *session, uint64_t seed)
{
    struct issued issued = {.task = NULL};
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &issued.input,
                                              .input_count = 1,
                                              .outputs = &issued.output,
                                              .output_count = 1,
                                              .session = session,
                                              .session_last = (seed >> 50) % 30 == 0};
    int error;

    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, (seed >> 33) % 3, &issued.input), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, (seed >> 40) % 3, &issued.output), 0);
    error = vine_task_issue(pipe, procedure_of(pipe, "echo"), &options, &issued.task);
    if (vine_data_size(issued.input) > 0)
        memset(vine_data_map(issued.input), (int)seed, 1);
    if (error == 0 && seed >> 63)
        assert_int_equal(vine_task_cancel(issued.task), 0);
    vine_data_free(issued.input);
    vine_data_free(issued.output);
    vine_task_free(issued.task);
    return error == 0;
}

/* Thousands of tiny tasks, and sessions that end at any point. */
static void use_up(struct vine_pipe *pipe, struct application *application)
{
    uint64_t seed = application->number * 7919 + 1;

    for (int round = 0; round < 200; round++) {
        struct vine_session *session = NULL;
        const int count = 1 + (int)((seed >> 20) % 40);

        if (vine_session_open(pipe, procedure_of(pipe, "echo"), &session) != 0) {
            sched_yield(); /* as many as may be are about to end */
            continue;
        }
        for (int i = 0; i < count && issue_and_leave(pipe, session, seed); i++)
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        (void)!vine_pipe_poll(pipe);
        vine_session_close(session);
    }
}

static void streams_that_are_left_at_any_point_leave_nothing(void **state)
{
    (void)state;
    serve(procedures, sizeof procedures / sizeof procedures[0], NULL, RUN_NS);
    serve_applications(use_up, 4);
    serve_no_more();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_handler_ends_its_task_alone),
        cmocka_unit_test(sixty_four_pipes_are_served_beside_bad_handlers),
        cmocka_unit_test(streams_that_are_left_at_any_point_leave_nothing),
    };

    return run_by_all_guards(tests);
}
