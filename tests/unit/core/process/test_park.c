/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Connections that hold nothing between requests. */
#include "process_tests.h"

#include "core/network/network.h"

/* Counts the lines that it has answered since it began. */
VINE_COROUTINE(counting)
{
    struct {
        int line;
        char text[64];
        ssize_t length;
    } *self;

    vine_begin();
    vine_deadline(5 * VINE_NS_PER_SECOND);
    for (self->line = 1;; self->line++) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            break;
        vine_writef("%d%s", self->line, self->text);
        vine_park();
    }
    vine_end();
}

static void until_parked(struct one *one)
{
    for (uint32_t i = 0; vine__process_count() > 0; i++) {
        assert_true(i < 100); /* a second is more than a while */
        advance(VINE_NS_PER_SECOND / 100);
    }
    assert_int_equal(one->ends, 0);
}

static void the_first_byte_begins_it_anew(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_counting, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        say_to(&one, "a\n");
        expect(&one, "1a\n");
        until_parked(&one);
    }
    finish_one(&one, 0);
    close_cores();
}

static void what_is_there_already_is_served_before(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_counting, NULL);
    say_to(&one, "a\nb\nc\n");
    expect(&one, "1a\n2b\n3c\n");
    until_parked(&one);
    say_to(&one, "d\n");
    expect(&one, "1d\n");
    finish_one(&one, 0);
    close_cores();
}

static void who_is_not_idle_for_long_stays_as_it_is(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_counting, NULL);
    for (char line = '1'; line <= '9'; line++) {
        const char answer[] = {line, 'a', '\n', '\0'};

        say_to(&one, "a\n");
        expect(&one, answer);
        advance(VINE_NS_PER_SECOND / 10);
    }
    until_parked(&one);
    finish_one(&one, 0);
    close_cores();
}

static void where_heaps_are_short_the_idle_ones_go_at_once(void **state)
{
    enum { MORE = 80 }; /* than there are heaps */
    static struct one many[MORE];

    (void)state;
    open_processes();
    for (uint32_t i = 0; i < MORE; i++) {
        start_one(&many[i], &vine__type_counting, NULL);
        say_to(&many[i], "a\n");
        expect(&many[i], "1a\n");
    }
    assert_true(vine__process_count() <= 64);
    for (uint32_t i = 0; i < MORE; i++)
        finish_one(&many[i], 0);
    close_cores();
}

static void a_connection_that_is_parked_is_small(void **state)
{
    (void)state;
    /* The record is at most 128 bytes: park.c says so. */
    assert_true(vine__network_connection_bytes() + 128 <= 512);
}

static void a_parked_one_has_its_deadline(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_counting, NULL);
    say_to(&one, "a\n");
    expect(&one, "1a\n");
    until_parked(&one);
    advance(6 * VINE_NS_PER_SECOND);
    until(one.goings == 1);
    finish_one(&one, -ETIMEDOUT);
    close_cores();
}

static void parked_ones_are_closed_when_the_core_stops(void **state)
{
    struct one one, late;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_counting, NULL);
    start_one(&late, &vine__type_counting, NULL);
    say_to(&one, "a\n");
    say_to(&late, "a\n");
    expect(&one, "1a\n");
    expect(&late, "1a\n");
    until_parked(&one);
    vine_stop(0);
    say_to(&late, "b\n"); /* it has come, and is answered */
    advance(VINE_NS_PER_SECOND / 2);
    expect(&late, "1b\n");
    assert_int_equal(one.goings, 1);
    assert_int_equal(one.end.error, -ECANCELED);
    close(one.fd);
    close(late.fd);
    close_cores();
    assert_int_equal(late.goings, 1);
}

/* ---- what a coroutine has ------------------------------------------------------------------- */

/* Sends itself a message in the heap, and makes a pipe, before it parks: both are nothing anymore
 * when it begins anew. */
VINE_COROUTINE(has_used_things)
{
    struct {
        char text[64];
        ssize_t length;
        struct vine_socket *pipe;
        int number;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            break;
        vine_send(that, int, 4);
        vine_recv(int, self->number);
        vine_pipe(self->pipe);
        vine_write_on(self->pipe, self->text, 1);
        vine_writef("%d%s", self->number, self->text);
        vine_park();
    }
    vine_end();
}

static void who_has_used_messages_and_pipes_parks(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_has_used_things, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        say_to(&one, "a\n");
        expect(&one, "4a\n");
        until_parked(&one);
    }
    finish_one(&one, 0);
    close_cores();
}

VINE_COROUTINE(has_a_mailbox)
{
    struct {
        char text[64];
        ssize_t length;
        struct vine_mailbox *box;
    } *self;

    vine_begin();
    vine_mail_open(self->box, int);
    vine_readline(self->length, self->text, sizeof self->text);
    if (self->text[0] != 'p') {
        vine_mail_close(self->box);
        vine_writef("%s", self->text);
    }
    vine_park();
    vine_readline(self->length, self->text, sizeof self->text);
    vine_end();
}

static void who_has_an_open_mailbox_does_not_park(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_has_a_mailbox, NULL);
    for (uint32_t i = 0; i < 2; i++) {
        say_to(&one, "close it\n");
        expect(&one, "close it\n");
        until_parked(&one);
    }
    say_to(&one, "park\n");
    until(one.ends == 1);
    assert_true(one.end.is_fault);
    finish_one(&one, -EFAULT);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_byte_begins_it_anew),
        cmocka_unit_test(what_is_there_already_is_served_before),
        cmocka_unit_test(who_is_not_idle_for_long_stays_as_it_is),
        cmocka_unit_test(where_heaps_are_short_the_idle_ones_go_at_once),
        cmocka_unit_test(a_connection_that_is_parked_is_small),
        cmocka_unit_test(a_parked_one_has_its_deadline),
        cmocka_unit_test(parked_ones_are_closed_when_the_core_stops),
        cmocka_unit_test(who_has_used_messages_and_pipes_parks),
        cmocka_unit_test(who_has_an_open_mailbox_does_not_park),
    };

    return run_by_all_guards(tests);
}
