/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* A micro-process with more coroutines than ends of operations come in by a run, each of which asks
 * anew at once and is answered at once: others have their turns. */
#include "mail_tests.h"

#define COROUTINES 100 /* of which a run takes in VINE__ITEMS_MAX */

static bool is_over; /* an open static */

VINE_COROUTINE(offers_on)
{
    struct {
        struct word word;
        int result;
    } *self;

    vine_begin();
    while (!is_over) {
        vine_mail_offer(self->result, address, struct word, self->word);
        sent_count++;
        stepped.clock_ns += 1000; /* it takes its time, as whatever is done */
    }
    vine_end();
}

VINE_COROUTINE(offers_by_many)
{
    struct {
        struct vine_mailbox *box;
        int i;
    } *self;

    vine_begin();
    vine_mail_open(self->box, struct word);
    address = vine_mail_address(self->box);
    for (self->i = 0; self->i < COROUTINES; self->i++)
        vine_start(offers_on, NULL);
    vine_end();
}

VINE_COROUTINE(echoes)
{
    struct {
        char bytes[16];
        ssize_t length;
    } *self;

    vine_begin();
    for (;;) {
        vine_read(self->length, self->bytes, sizeof self->bytes);
        if (self->length == 0)
            break;
        vine_write(self->bytes, (size_t)self->length);
    }
    vine_end();
}

/* And of its own ends none is forgotten behind the others. */
VINE_COROUTINE(echoes_beside_them)
{
    struct {
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_child(offers_by_many, NULL, self->child);
    vine_call(echoes, NULL);
    is_over = true;
    vine_join(self->child);
    vine_end();
}

static void who_is_answered_at_once_for_ever_lets_others_run(void **state)
{
    struct one greedy, other;

    (void)state;
    open_mail();
    is_over = false;
    start_alone(&greedy, &vine__type_offers_by_many, NULL);
    until(sent_count > 10 * COROUTINES);
    start_one(&other, &vine__type_echoes, NULL);
    say_to(&other, "here");
    expect(&other, "here");
    finish_one(&other, 0);
    is_over = true;
    until_gone(&greedy, 0);
    close_mail();
}

static void who_is_answered_at_once_for_ever_hears_its_own_connection(void **state)
{
    struct one greedy;

    (void)state;
    open_mail();
    is_over = false;
    start_one(&greedy, &vine__type_echoes_beside_them, NULL);
    until(sent_count > 10 * COROUTINES);
    say_to(&greedy, "here");
    expect(&greedy, "here");
    finish_one(&greedy, 0);
    close_mail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_answered_at_once_for_ever_lets_others_run),
        cmocka_unit_test(who_is_answered_at_once_for_ever_hears_its_own_connection),
    };

    return run_by_all_guards(tests);
}
