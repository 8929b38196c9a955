/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Coroutines that handle tasks and sessions: what they read and write, and when their tasks end. */
#include "plain_handlers.h"

#include "core/talk/pipe_internal.h"

/* ---- handlers -------------------------------------------------------------------------------- */

/* What it is told, and what it reads. */
VINE_COROUTINE(tells)
{
    struct {
        struct vine_handled handled;
        char text[64];
        ssize_t length;
    } *self;

    vine_begin();
    vine_handled(&self->handled);
    vine_writef("%s, %d scalars, %llu, brings %llu, room %llu: ",
                self->handled.is_session ? "session" : "task", (int)self->handled.scalar_count,
                (unsigned long long)self->handled.scalars[0],
                (unsigned long long)self->handled.input_bytes,
                (unsigned long long)self->handled.room_bytes);
    vine_read(self->length, self->text, sizeof self->text);
    vine_write(self->text, (size_t)self->length);
    vine_end();
}

/* Each line that comes, numbered. */
VINE_COROUTINE(numbers)
{
    struct {
        char line[64];
        ssize_t length;
        int count;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->line, sizeof self->line);
        if (self->length == 0)
            break;
        vine_writef("%d %s", ++self->count, self->line);
    }
    vine_writef("%d lines", self->count);
    vine_end();
}

VINE_COROUTINE(fails)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    vine_write("some", 4);
    vine_flush();
    vine_raise(-VINE_EDATA);
    vine_end();
}

static const struct vine_procedure_definition procedures[] = {
    HANDLER(echo),         HANDLER(tells), HANDLER(numbers),
    HANDLER(reads_a_byte), HANDLER(fails), HANDLER(sleeps),
};

static void serve_with(void (*run)(struct vine_pipe *pipe, struct application *application),
                       uint32_t count)
{
    serve(procedures, sizeof procedures / sizeof procedures[0], NULL, 0);
    serve_applications(run, count);
    serve_no_more();
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static void use_tasks(struct vine_pipe *pipe, struct application *application)
{
    const uint64_t scalar = 7;
    struct vine_data *input = NULL, *output = NULL;
    struct issued issued;
    char bytes[300];

    (void)application;
    issued = issue(pipe, "echo", NULL, "hello", 5, 100, false);
    expect_text(&issued, "hello");
    issued = issue(pipe, "echo", NULL, "", 0, 100, false);
    expect_text(&issued, "");
    issued = issue(pipe, "reads_a_byte", NULL, "hello", 5, 4, false);
    expect_text(&issued, "done");
    issued = issue(pipe, "tells", NULL, "x", 1, 100, false);
    expect_text(&issued, "task, 0 scalars, 0, brings 1, room 100: x");

    /* What travels with it comes first. */
    struct {
        uint64_t scalar;
        char text[4];
    } packed = {scalar, {'a', 'b', 'c', 'd'}};
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .bytes = &packed,
                                              .bytes_size = 12,
                                              .inputs = &input,
                                              .input_count = 1,
                                              .outputs = &output,
                                              .output_count = 1};

    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, 3, &input), 0);
    assert_int_equal(vine_data_write(input, 0, "efg", 3), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 200, &output), 0);
    issued = (struct issued){.input = input, .output = output};
    assert_int_equal(vine_task_issue(pipe, procedure_of(pipe, "tells"), &options, &issued.task), 0);
    expect_text(&issued, "task, 1 scalars, 7, brings 7, room 200: abcdefg");

    /* More than there is room for. */
    issued = issue(pipe, "echo", NULL, "hello", 5, 4, false);
    (void)finish(&issued, -VINE_EOVERFLOW, bytes, sizeof bytes);
    issued = issue(pipe, "fails", NULL, "hello", 5, 100, false);
    (void)finish(&issued, -VINE_EDATA, bytes, sizeof bytes);
    issued = issue(pipe, "sleeps", NULL, "", 0, 100, false);
    assert_int_equal(vine_task_wait(issued.task, 10000000), -ETIMEDOUT);
    assert_int_equal(vine_task_cancel(issued.task), 0);
    (void)finish(&issued, -VINE_ECANCELED, bytes, sizeof bytes);
}

static void a_task_is_what_its_coroutine_reads_and_writes(void **state)
{
    (void)state;
    serve_with(use_tasks, 1);
}

static void use_much(struct vine_pipe *pipe, struct application *application)
{
    const size_t size = 3000000 + application->number * 77;
    unsigned char *const bytes = malloc(size), *const back = malloc(size);
    struct issued issued;

    assert_true(bytes != NULL && back != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + (i >> 9) + application->number);
    issued = issue(pipe, "echo", NULL, bytes, size, size, false);
    assert_int_equal(finish(&issued, 0, back, size), size);
    assert_memory_equal(back, bytes, size);
    free(bytes);
    free(back);
}

static void what_is_large_goes_through_in_pieces(void **state)
{
    (void)state;
    serve_with(use_much, 3);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void use_sessions(struct vine_pipe *pipe, struct application *application)
{
    struct vine_session *session = session_of(pipe, "numbers");
    struct issued one, other, read;

    (void)application;
    /* Each with its own answer. */
    one = issue(pipe, "numbers", session, "one\n", 4, 50, false);
    expect_text(&one, "1 one\n");
    one = issue(pipe, "numbers", session, "two\nthr", 7, 50, false);
    expect_text(&one, "2 two\n");
    /* One brings, another one takes. */
    read = issue(pipe, "numbers", session, "", 0, 50, false);
    one = issue(pipe, "numbers", session, "ee\n", 3, 0, false);
    expect_text(&one, "");
    expect_text(&read, "3 three\n");
    /* Neither. */
    one = issue(pipe, "numbers", session, "", 0, 0, false);
    expect_text(&one, "");
    /* Several at a time, whose answers go to those that have room. */
    one = issue(pipe, "numbers", session, "a\nb\n", 4, 0, false);
    other = issue(pipe, "numbers", session, "c\n", 2, 0, true);
    expect_text(&one, "");
    expect_text(&other, "");
    read = issue(pipe, "numbers", session, "", 0, 6, false);
    expect_text(&read, "4 a\n5 ");
    read = issue(pipe, "numbers", session, "", 0, 90, false);
    expect_text(&read, "b\n6 c\n6 lines");
    vine_session_close(session);
}

static void a_session_is_a_stream(void **state)
{
    (void)state;
    serve_with(use_sessions, 1);
}

static void use_ends(struct vine_pipe *pipe, struct application *application)
{
    struct vine_session *session = session_of(pipe, "echo");
    struct issued one, other;
    char bytes[100];

    (void)application;
    /* The end is read again and again, and nothing comes behind it. */
    one = issue(pipe, "echo", session, "x", 1, 10, true);
    expect_text(&one, "x");
    one = issue(pipe, "echo", session, "", 0, 10, false);
    expect_text(&one, "");
    one = issue(pipe, "echo", session, "", 0, 10, false);
    expect_text(&one, "");
    one = issue(pipe, "echo", session, "y", 1, 10, false);
    (void)finish(&one, -VINE_ESESSION, bytes, sizeof bytes);
    vine_session_close(session);

    /* An error ends all that are there, and those that come. */
    session = session_of(pipe, "fails");
    other = issue(pipe, "fails", session, "", 0, 4, false);
    one = issue(pipe, "fails", session, "x", 1, 0, false);
    expect_text(&one, "");
    (void)!vine_task_wait(other.task, LIMIT_NS);
    one = issue(pipe, "fails", session, "", 0, 10, false);
    assert_true(vine_task_wait(one.task, LIMIT_NS) == -VINE_EDATA ||
                vine_task_poll(one.task) == -VINE_ESESSION);
    one = issue(pipe, "fails", session, "", 0, 10, false);
    (void)finish(&one, -VINE_ESESSION, bytes, sizeof bytes);
    vine_session_close(session);

    /* One that is closed in the middle cancels what waits; so does the pipe, below. */
    session = session_of(pipe, "sleeps");
    one = issue(pipe, "sleeps", session, "much", 4, 0, false);
    other = issue(pipe, "sleeps", session, "", 0, 10, false);
    assert_int_equal(vine_task_wait(one.task, 1000000), -ETIMEDOUT);
    assert_int_equal(vine_task_cancel(other.task), 0);
    (void)finish(&other, -VINE_ECANCELED, bytes, sizeof bytes);
    assert_int_equal(vine_task_cancel(one.task), 0);
    (void)finish(&one, -VINE_ECANCELED, bytes, sizeof bytes);
    vine_session_close(session);
    session = session_of(pipe, "sleeps");
    (void)issue(pipe, "sleeps", session, "much", 4, 0, false);
    (void)issue(pipe, "sleeps", NULL, "much", 4, 0, false);
}

#define READS 40

/* With what is read of it still out. */
static void close_with_reads(struct vine_pipe *pipe, const char *text, bool is_last)
{
    struct vine_session *session = session_of(pipe, "echo");
    struct issued reads[READS];
    struct issued one;
    char bytes[10];

    for (int i = 0; i < READS; i++)
        reads[i] = issue(pipe, "echo", session, "", 0, sizeof bytes, false);
    if (text != NULL) {
        one = issue(pipe, "echo", session, text, strlen(text), 0, is_last);
        expect_text(&one, "");
        expect_text(&reads[0], text);
    }
    vine_session_close(session);
    for (int i = text != NULL; i < READS; i++) {
        const int status = vine_task_wait(reads[i].task, LIMIT_NS);

        if (is_last)
            assert_int_equal(status, 0);
        else
            assert_true(status == -VINE_ECANCELED || status == -VINE_ESESSION);
        assert_int_equal(finish(&reads[i], status, bytes, sizeof bytes), 0);
    }
}

static void use_closed(struct vine_pipe *pipe, struct application *application)
{
    struct vine_session *session = session_of(pipe, "sleeps");
    struct issued one;

    (void)application;
    close_with_reads(pipe, NULL, false);
    close_with_reads(pipe, "x", false);
    close_with_reads(pipe, "x", true);
    /* Before the procedure has begun to read. */
    one = issue(pipe, "sleeps", session, "much", 4, 0, false);
    vine_session_close(session);
    assert_int_equal(vine_task_wait(one.task, LIMIT_NS), -VINE_ECANCELED);
}

static void all_tasks_of_a_stream_that_was_closed_end(void **state)
{
    (void)state;
    serve_with(use_closed, 3);
}

#define CROWD 100

/* More cancels than the ring has room for beside their tasks, and then the session's end: who waits
 * sends what found none, and nobody else does. */
static void use_crowded(struct vine_pipe *pipe, struct application *application)
{
    struct vine_session *session = session_of(pipe, "sleeps");
    struct issued tasks[CROWD];

    (void)application;
    __atomic_store_n(&serve_is_held, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < CROWD; i++)
        tasks[i] = issue(pipe, "sleeps", session, "", 0, 10, false);
    for (int i = 0; i < 3 * CROWD; i++)
        assert_int_equal(vine_task_cancel(tasks[CROWD - 1].task), 0);
    assert_true(pipe->kept_count > 0);
    vine_session_close(session);
    __atomic_store_n(&serve_is_held, 0, __ATOMIC_RELEASE);
    for (int i = 0; i < CROWD; i++) {
        const int status = vine_task_wait(tasks[i].task, LIMIT_NS);

        assert_true(status == -VINE_ECANCELED || status == -VINE_ESESSION);
        assert_int_equal(finish(&tasks[i], status, NULL, 0), 0);
    }
}

static void messages_that_found_no_room_are_sent_by_who_waits(void **state)
{
    (void)state;
    serve_with(use_crowded, 1);
}

static void streams_end_in_every_way(void **state)
{
    (void)state;
    serve_with(use_ends, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_is_what_its_coroutine_reads_and_writes),
        cmocka_unit_test(what_is_large_goes_through_in_pieces),
        cmocka_unit_test(a_session_is_a_stream),
        cmocka_unit_test(all_tasks_of_a_stream_that_was_closed_end),
        cmocka_unit_test(messages_that_found_no_room_are_sent_by_who_waits),
        cmocka_unit_test(streams_end_in_every_way),
    };

    return run_by_all_guards(tests);
}
