/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* How connections of micro-processes end: what is unread costs nobody an answer, and a core that
 * stops waits for those that are in the middle of something, for a while. */
#include "process_tests.h"

#define SECOND VINE_NS_PER_SECOND

/* Answers the first byte, and leaves the rest unread. */
VINE_COROUTINE(answering)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    vine_write("answer", 6);
    vine_end();
}

/* Answers each line, the second half of the answer a second later. */
VINE_COROUTINE(slow)
{
    struct {
        char text[16];
        ssize_t length;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            break;
        vine_sleep(VINE_NS_PER_SECOND);
        vine_write(vine_is_draining() ? "draining" : "going on", 8);
    }
    vine_end();
}

/* Cannot be cancelled. */
VINE_COROUTINE(stubborn)
{
    struct {
        char byte;
        int error;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    vine_finally()
    {
        for (;;)
            vine_sleep(VINE_NS_PER_SECOND / 50);
    }
    vine_end();
}

/* More than fits into blocks and sockets, to who never reads. */
VINE_COROUTINE(flooding)
{
    struct {
        int i;
    } *self;

    vine_begin();
    for (self->i = 0; self->i < 1000; self->i++)
        vine_write("0123456789abcdef0123456789abcdef", 32);
    vine_end();
}

/* Pieces of text that do not fit into what is left of a block, more of them than the heap has room
 * for. */
VINE_COROUTINE(formatting)
{
    struct {
        int i;
    } *self;

    vine_begin();
    for (self->i = 0; self->i < 200; self->i++)
        vine_writef("%3000d\n", self->i);
    vine_end();
}

/* Little by little, for ever. */
VINE_COROUTINE(talking)
{
    struct {
        int i;
    } *self;

    vine_begin();
    for (self->i = 0;; self->i++) {
        vine_writef("%d\n", self->i);
        vine_yield();
    }
    vine_end();
}

static void an_answer_arrives_though_the_request_is_not_read(void **state)
{
    char bytes[1000] = "";
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_answering, NULL);
    assert_int_equal(write(one.fd, bytes, sizeof(bytes)), sizeof(bytes));
    until(one.ends == 1);
    step_often();
    assert_int_equal(write(one.fd, bytes, sizeof(bytes)), sizeof(bytes));
    expect(&one, "answer");
    expect_end(&one);
    assert_int_equal(one.goings, 0); /* it is still listened to */
    finish_one(&one, 0);
    close_cores();
}

static void who_never_ends_is_not_listened_to_for_ever(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_answering, NULL);
    say_to(&one, "x and more");
    expect(&one, "answer");
    expect_end(&one);
    advance(3 * SECOND);
    until(one.goings == 1);
    finish_one(&one, 0);
    close_cores();
}

static void text_is_written_as_long_as_there_is_somebody(void **state)
{
    struct one one;
    char *const bytes = malloc(200 * 3001);

    (void)state;
    open_processes();
    start_one(&one, &vine__type_formatting, NULL);
    expect_bytes(&one, bytes, (size_t)200 * 3001);
    assert_memory_equal(bytes + (size_t)200 * 3001 - 4, "199\n", 4);
    expect_end(&one);
    finish_one(&one, 0);
    start_one(&one, &vine__type_formatting, NULL);
    close(one.fd);
    one.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    until(one.goings == 1);
    finish_one(&one, -EPIPE);
    free(bytes);
    close_cores();
}

static void who_talks_to_nobody_is_told(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_talking, NULL);
    expect(&one, "0\n1\n2\n");
    close(one.fd);
    one.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    until(one.goings == 1);
    finish_one(&one, -EPIPE);
    close_cores();
}

static void who_is_idle_ends_at_once_when_the_core_stops(void **state)
{
    struct one fresh, served;

    (void)state;
    open_processes();
    start_one(&fresh, &vine__type_slow, NULL);
    start_one(&served, &vine__type_slow, NULL);
    step_often();
    say_to(&served, "1\n");
    step_often();
    advance(SECOND + SECOND / 10);
    expect(&served, "going on");
    step_often();
    vine_stop(0);
    advance(SECOND / 5);
    assert_int_equal(fresh.ends, 1);
    assert_int_equal(fresh.end.error, -ECANCELED);
    assert_int_equal(served.ends, 1);
    close(fresh.fd);
    close(served.fd);
    close_cores();
}

static void who_has_a_request_answers_it_when_the_core_stops(void **state)
{
    struct one half, whole, unread;

    (void)state;
    open_processes();
    start_one(&half, &vine__type_slow, NULL);
    start_one(&whole, &vine__type_slow, NULL);
    start_one(&unread, &vine__type_slow, NULL);
    step_often();
    say_to(&half, "a");
    say_to(&whole, "b\n");
    step_often();
    vine_stop(0);
    say_to(&unread, "c\n"); /* it has come, and nobody has seen it */
    advance(SECOND / 2);
    assert_int_equal(half.ends, 0);
    assert_int_equal(whole.ends, 0);
    say_to(&half, "\n");
    advance(SECOND + SECOND / 2);
    expect(&half, "draining");
    expect(&whole, "draining");
    expect(&unread, "draining");
    expect_end(&half);
    expect_end(&whole);
    close(half.fd);
    close(whole.fd);
    close(unread.fd);
    close_cores();
    assert_int_equal(half.goings + whole.goings + unread.goings, 3);
}

static void who_does_not_end_is_ended_when_the_core_stops(void **state)
{
    struct one one, full;
    char bytes[8];

    (void)state;
    open_processes();
    start_one(&one, &vine__type_stubborn, NULL);
    start_one(&full, &vine__type_flooding, NULL);
    say_to(&one, "x");
    step_often();
    vine_stop(0);
    advance(SECOND * 7 / 2);
    assert_int_equal(one.ends, 0); /* it runs its vine_finally */
    advance(SECOND);
    until(one.goings == 1 && full.goings == 1);
    assert_int_equal(one.end.error, -ECANCELED);
    (void)read(one.fd, bytes, sizeof(bytes));
    close(one.fd);
    close(full.fd);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_arrives_though_the_request_is_not_read),
        cmocka_unit_test(who_never_ends_is_not_listened_to_for_ever),
        cmocka_unit_test(text_is_written_as_long_as_there_is_somebody),
        cmocka_unit_test(who_talks_to_nobody_is_told),
        cmocka_unit_test(who_is_idle_ends_at_once_when_the_core_stops),
        cmocka_unit_test(who_has_a_request_answers_it_when_the_core_stops),
        cmocka_unit_test(who_does_not_end_is_ended_when_the_core_stops),
    };

    return run_by_all_guards(tests);
}
