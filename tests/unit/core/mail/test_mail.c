/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Messages and requests between micro-processes of one core. */
#include "mail_tests.h"

/* ---- those who take -------------------------------------------------------------------------- */

/* Takes as many as its argument says, one a step, while it may; then ends. */
VINE_COROUTINE(takes)
{
    struct {
        struct vine_mailbox *box;
        struct word word;
    } *self;

    vine_begin();
    vine_mail_open(self->box, struct word);
    address = vine_mail_address(self->box);
    while (taken_count < (uintptr_t)vine_argument()) {
        while (!may_go_on)
            vine_sleep(1000 * 1000);
        vine_mail_recv(self->box, struct word, self->word);
        taken[taken_count++] = self->word.number;
    }
    vine_end();
}

/* Opens one for requests, and answers so many. */
VINE_COROUTINE(answers)
{
    struct {
        struct vine_mailbox *box;
        struct question question;
        struct reply reply;
        uintptr_t left;
    } *self;

    vine_begin();
    vine_mail_open_requests(self->box, struct question, struct reply);
    address = vine_mail_address(self->box);
    for (self->left = (uintptr_t)vine_argument(); self->left > 0; self->left--) {
        vine_mail_listen(self->box, struct question, self->question);
        taken_count++;
        while (!may_go_on)
            vine_sleep(1000 * 1000);
        if (self->question.number < 0) {
            vine_mail_refuse(self->box, -ERANGE);
            continue;
        }
        self->reply.doubled = 2 * self->question.number;
        vine_mail_respond(self->box, struct reply, self->reply);
    }
    vine_end();
}

/* ---- those who send -------------------------------------------------------------------------- */

/* Sends words from 0 to its argument, and tells what was raised. */
VINE_COROUTINE(sends)
{
    struct {
        struct word word;
    } *self;

    vine_begin();
    begun_count++;
    while (self->word.number < (uintptr_t)vine_argument()) {
        vine_mail_send(address, struct word, self->word);
        self->word.number++;
        sent_count++;
    }
    vine_catch(raised)
    {
    }
    vine_end();
}

VINE_COROUTINE(sends_in_time)
{
    struct {
        struct word word;
    } *self;

    vine_begin();
    self->word.number = 4711;
    vine_deadline(VINE_NS_PER_SECOND);
    vine_mail_send(address, struct word, self->word);
    sent_count++;
    vine_catch(raised)
    {
    }
    vine_end();
}

VINE_COROUTINE(asks)
{
    struct {
        struct question question;
        struct reply reply;
    } *self;

    vine_begin();
    begun_count++;
    self->question.number = (int32_t)(intptr_t)vine_argument();
    vine_mail_request(address, struct question, self->question, struct reply, self->reply);
    results[sent_count++] = self->reply.doubled;
    vine_catch(raised)
    {
    }
    vine_end();
}

/* ---- messages -------------------------------------------------------------------------------- */

static void messages_go_from_one_heap_to_another_in_order(void **state)
{
    struct one taker, sender;

    (void)state;
    open_mail();
    may_go_on = true;
    start_alone(&taker, &vine__type_takes, (void *)500);
    until(address.key != 0);
    start_alone(&sender, &vine__type_sends, (void *)500);
    until_gone(&sender, 0);
    until_gone(&taker, 0);
    assert_int_equal(taken_count, 500);
    for (uint32_t i = 0; i < 500; i++)
        assert_int_equal(taken[i], i);
    close_cores();
}

static void who_sends_to_a_full_mailbox_waits_for_room(void **state)
{
    struct one taker, sender;

    (void)state;
    open_mail();
    start_alone(&taker, &vine__type_takes, (void *)40);
    until(address.key != 0);
    start_alone(&sender, &vine__type_sends, (void *)40);
    until(sent_count == VINE_MAIL_WAITING_MAX);
    step_often();
    assert_int_equal(sent_count, VINE_MAIL_WAITING_MAX);
    may_go_on = true;
    advance(VINE_NS_PER_SECOND);
    until_gone(&sender, 0);
    until_gone(&taker, 0);
    assert_int_equal(taken_count, 40);
    close_cores();
}

static void who_does_not_wait_longer_takes_its_message_back(void **state)
{
    struct one taker, sender, late;

    (void)state;
    open_mail();
    start_alone(&taker, &vine__type_takes, (void *)VINE_MAIL_WAITING_MAX);
    until(address.key != 0);
    start_alone(&sender, &vine__type_sends, (void *)VINE_MAIL_WAITING_MAX);
    until_gone(&sender, 0);
    start_alone(&late, &vine__type_sends_in_time, NULL);
    step_often();
    assert_int_equal(late.ends, 0);
    stepped.clock_ns += 2 * VINE_NS_PER_SECOND;
    until_gone(&late, 0);
    assert_int_equal(raised, -ETIMEDOUT);
    may_go_on = true;
    advance(VINE_NS_PER_SECOND);
    until_gone(&taker, 0);
    for (uint32_t i = 0; i < VINE_MAIL_WAITING_MAX; i++)
        assert_int_equal(taken[i], i);
    close_cores();
}

static void what_was_sent_stays_when_its_sender_ends(void **state)
{
    struct one taker, sender;

    (void)state;
    open_mail();
    start_alone(&taker, &vine__type_takes, (void *)5);
    until(address.key != 0);
    start_alone(&sender, &vine__type_sends, (void *)5);
    until_gone(&sender, 0);
    may_go_on = true;
    advance(VINE_NS_PER_SECOND);
    until_gone(&taker, 0);
    assert_int_equal(taken_count, 5);
    close_cores();
}

static void who_waits_for_room_is_told_of_the_mailboxs_end(void **state)
{
    struct one taker, senders[3];

    (void)state;
    open_mail();
    start_alone(&taker, &vine__type_takes, (void *)1);
    until(address.key != 0);
    start_alone(&senders[0], &vine__type_sends, (void *)(VINE_MAIL_WAITING_MAX + 2));
    until(sent_count == VINE_MAIL_WAITING_MAX);
    start_alone(&senders[1], &vine__type_sends, (void *)5);
    start_alone(&senders[2], &vine__type_sends, (void *)5);
    step_often();
    may_go_on = true;
    advance(VINE_NS_PER_SECOND);
    until_gone(&taker, 0);
    for (uint32_t i = 0; i < 3; i++)
        until_gone(&senders[i], 0);
    assert_int_equal(raised, -EPIPE);
    raised = 0;
    start_alone(&senders[0], &vine__type_sends, (void *)1); /* and who comes later */
    until_gone(&senders[0], 0);
    assert_int_equal(raised, -EPIPE);
    close_cores();
}

VINE_COROUTINE(offers)
{
    struct {
        struct word word;
    } *self;

    vine_begin();
    for (self->word.number = 0; self->word.number < VINE_MAIL_WAITING_MAX + 2; self->word.number++)
        vine_mail_offer(results[self->word.number], address, struct word, self->word);
    vine_mail_offer(results[40], (struct vine_mail_address){0}, struct word, self->word);
    sent_count = 1;
    vine_end();
}

static void an_offer_does_not_wait(void **state)
{
    struct one taker, sender;

    (void)state;
    open_mail();
    start_alone(&taker, &vine__type_takes, (void *)1);
    until(address.key != 0);
    start_alone(&sender, &vine__type_offers, NULL);
    until_gone(&sender, 0);
    for (uint32_t i = 0; i < VINE_MAIL_WAITING_MAX; i++)
        assert_int_equal(results[i], 0);
    assert_int_equal(results[VINE_MAIL_WAITING_MAX], -EAGAIN);
    assert_int_equal(results[VINE_MAIL_WAITING_MAX + 1], -EAGAIN);
    assert_int_equal(results[40], -EPIPE);
    may_go_on = true;
    advance(VINE_NS_PER_SECOND);
    until_gone(&taker, 0);
    close_cores();
}

static void who_is_outside_tells_a_mailbox(void **state)
{
    const struct word word = {.number = 7};
    struct one taker;

    (void)state;
    open_mail();
    start_alone(&taker, &vine__type_takes, (void *)(VINE_MAIL_WAITING_MAX + 1));
    until(address.key != 0);
    assert_int_equal(vine_mail_tell(address, uint32_t, 7), -EPROTOTYPE);
    for (uint32_t i = 0; i < VINE_MAIL_WAITING_MAX; i++)
        assert_int_equal(vine_mail_tell(address, struct word, word), 0);
    assert_int_equal(vine_mail_tell(address, struct word, word), -EAGAIN);
    may_go_on = true;
    advance(VINE_NS_PER_SECOND);
    until(taken_count == VINE_MAIL_WAITING_MAX);
    assert_int_equal(vine_mail_tell(address, struct word, word), 0);
    until_gone(&taker, 0);
    assert_int_equal(vine_mail_tell(address, struct word, word), -EPIPE);
    close_cores();
}

/* ---- wrong ones ------------------------------------------------------------------------------ */

struct other {
    char bytes[24]; /* as large as a word */
};

VINE_COROUTINE(sends_another_type)
{
    struct {
        struct other other;
    } *self;

    vine_begin();
    vine_mail_send(address, struct other, self->other);
    vine_catch(raised)
    {
    }
    vine_end();
}

VINE_COROUTINE(asks_a_mailbox_for_messages)
{
    struct {
        struct word word;
        struct reply reply;
    } *self;

    vine_begin();
    vine_mail_request(address, struct word, self->word, struct reply, self->reply);
    vine_catch(raised)
    {
    }
    vine_end();
}

VINE_COROUTINE(awaits_another_reply)
{
    struct {
        struct question question;
        struct other other;
    } *self;

    vine_begin();
    vine_mail_request(address, struct question, self->question, struct other, self->other);
    vine_catch(raised)
    {
    }
    vine_end();
}

static void raises(const struct vine_coroutine_type *type, int error)
{
    struct one one;

    raised = 0;
    start_alone(&one, type, (void *)1);
    until_gone(&one, 0);
    assert_int_equal(raised, error);
}

static void wrong_addresses_and_types_are_refused(void **state)
{
    static const struct vine_mail_address nobodys[] = {
        {0, 0}, {0, 1}, {UINT64_MAX, UINT64_MAX}, {UINT64_C(1) << 32, 7}, {255UL << 32, 7}};
    struct one taker, answerer;
    struct vine_mail_address good;

    (void)state;
    open_mail();
    start_alone(&taker, &vine__type_takes, (void *)1);
    until(address.key != 0);
    raises(&vine__type_sends_another_type, -EPROTOTYPE);
    raises(&vine__type_asks_a_mailbox_for_messages, -EPROTOTYPE);
    good = address;
    for (uint32_t i = 0; i < sizeof(nobodys) / sizeof(nobodys[0]); i++) {
        address = nobodys[i];
        raises(&vine__type_sends, -EPIPE);
        raises(&vine__type_asks, -EPIPE);
    }
    address = good;
    address.key ^= UINT64_C(1) << 63;
    raises(&vine__type_sends, -EPIPE);
    address = good;
    address.place++;
    raises(&vine__type_sends, -EPIPE);
    address.key = 0;
    start_alone(&answerer, &vine__type_answers, (void *)1);
    until(address.key != 0);
    raises(&vine__type_awaits_another_reply, -EPROTOTYPE);
    raises(&vine__type_sends, -EPROTOTYPE);
    close_mail();
    assert_int_equal(taker.goings, 1);
    assert_int_equal(answerer.goings, 1);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void requests_are_answered_one_after_the_other(void **state)
{
    struct one answerer, askers[20];
    uint32_t sum = 0;

    (void)state;
    open_mail();
    may_go_on = true;
    start_alone(&answerer, &vine__type_answers, (void *)20);
    until(address.key != 0);
    for (uintptr_t i = 0; i < 20; i++)
        start_alone(&askers[i], &vine__type_asks, (void *)(i + 1));
    for (uint32_t i = 0; i < 20; i++)
        until_gone(&askers[i], 0);
    until_gone(&answerer, 0);
    assert_int_equal(raised, 0);
    assert_int_equal(sent_count, 20);
    for (uint32_t i = 0; i < 20; i++)
        sum += (uint32_t)results[i];
    assert_int_equal(sum, 20 * 21);
    close_cores();
}

static void a_refusal_is_raised_where_it_was_asked(void **state)
{
    struct one answerer, asker;

    (void)state;
    open_mail();
    may_go_on = true;
    start_alone(&answerer, &vine__type_answers, (void *)1);
    until(address.key != 0);
    start_alone(&asker, &vine__type_asks, (void *)-1);
    until_gone(&asker, 0);
    until_gone(&answerer, 0);
    assert_int_equal(raised, -ERANGE);
    close_cores();
}

VINE_COROUTINE(listens_and_faults)
{
    struct {
        struct vine_mailbox *box;
        struct question question;
    } *self;

    vine_begin();
    vine_mail_open_requests(self->box, struct question, struct reply);
    address = vine_mail_address(self->box);
    vine_mail_listen(self->box, struct question, self->question);
    taken_count++;
    while (!may_go_on)
        vine_sleep(1000 * 1000);
    __builtin_trap();
    vine_end();
}

static void who_waits_for_an_answer_is_told_of_the_others_end(void **state)
{
    struct one answerer, askers[3];

    (void)state;
    open_mail();
    start_alone(&answerer, &vine__type_listens_and_faults, NULL);
    until(address.key != 0);
    for (uint32_t i = 0; i < 3; i++)
        start_alone(&askers[i], &vine__type_asks, (void *)1);
    until(taken_count == 1);
    step_often();
    may_go_on = true;
    advance(VINE_NS_PER_SECOND / 10);
    until_gone(&answerer, -EFAULT);
    for (uint32_t i = 0; i < 3; i++)
        until_gone(&askers[i], 0);
    assert_int_equal(sent_count, 0);
    assert_int_equal(raised, -EPIPE);
    close_cores();
}

VINE_COROUTINE(asks_in_time)
{
    struct {
        struct question question;
        struct reply reply;
    } *self;

    vine_begin();
    vine_deadline((uintptr_t)vine_argument());
    vine_mail_request(address, struct question, self->question, struct reply, self->reply);
    sent_count++;
    vine_catch(raised)
    {
    }
    vine_end();
}

static void who_does_not_wait_for_its_answer_disturbs_nobody(void **state)
{
    struct one answerer, heard, unheard, other;

    (void)state;
    open_mail();
    start_alone(&answerer, &vine__type_answers, (void *)2);
    until(address.key != 0);
    start_alone(&heard, &vine__type_asks_in_time, (void *)(uintptr_t)VINE_NS_PER_SECOND);
    until(taken_count == 1);
    start_alone(&unheard, &vine__type_asks_in_time, (void *)(uintptr_t)VINE_NS_PER_SECOND);
    start_alone(&other, &vine__type_asks, (void *)21);
    step_often();
    stepped.clock_ns += 2 * VINE_NS_PER_SECOND;
    until_gone(&heard, 0);
    until_gone(&unheard, 0);
    assert_int_equal(raised, -ETIMEDOUT);
    assert_int_equal(sent_count, 0);
    may_go_on = true;
    advance(VINE_NS_PER_SECOND / 10);
    until_gone(&other, 0);
    until_gone(&answerer, 0);
    assert_int_equal(results[0], 42);
    close_cores();
}

/* ---- its own --------------------------------------------------------------------------------- */

VINE_COROUTINE(talks_to_itself)
{
    struct {
        struct vine_mailbox *box;
        struct word word, back;
    } *self;

    vine_begin();
    vine_mail_open(self->box, struct word);
    for (self->word.number = 0; self->word.number < VINE_MAIL_WAITING_MAX; self->word.number++)
        vine_mail_send(vine_mail_address(self->box), struct word, self->word);
    vine_mail_recv(self->box, struct word, self->back);
    taken_count += self->back.number == 0;
    vine_mail_send(vine_mail_address(self->box), struct word, self->word);
    vine_mail_send(vine_mail_address(self->box), struct word, self->word);
    vine_catch(raised)
    {
    }
    vine_end();
}

VINE_COROUTINE(asks_itself)
{
    struct {
        struct vine_mailbox *box;
        struct question question;
        struct reply reply;
    } *self;

    vine_begin();
    vine_mail_open_requests(self->box, struct question, struct reply);
    vine_mail_request(vine_mail_address(self->box), struct question, self->question, struct reply,
                      self->reply);
    vine_catch(raised)
    {
    }
    vine_end();
}

static void who_would_wait_for_itself_is_told(void **state)
{
    (void)state;
    open_mail();
    raises(&vine__type_talks_to_itself, -EDEADLK);
    assert_int_equal(taken_count, 1);
    raises(&vine__type_asks_itself, -EDEADLK);
    close_cores();
}

VINE_COROUTINE(opens_many)
{
    struct {
        struct vine_mailbox *boxes[VINE_MAIL_BOXES_MAX + 1];
        uint32_t i, turn;
    } *self;

    vine_begin();
    for (self->turn = 0; self->turn < 20; self->turn++) {
        for (self->i = 0; self->i < VINE_MAIL_BOXES_MAX; self->i++)
            vine_mail_open(self->boxes[self->i], struct word);
        for (self->i = 0; self->i < VINE_MAIL_BOXES_MAX; self->i++)
            vine_mail_close(self->boxes[self->i]);
    }
    for (self->i = 0; self->i <= VINE_MAIL_BOXES_MAX; self->i++) {
        vine_mail_open(self->boxes[self->i], struct word);
        taken_count++;
    }
    vine_catch(raised)
    {
    }
    vine_end();
}

static void mailboxes_are_bounded_and_those_that_close_are_free_again(void **state)
{
    (void)state;
    open_mail();
    raises(&vine__type_opens_many, -ENOSPC);
    assert_int_equal(taken_count, VINE_MAIL_BOXES_MAX);
    close_cores();
}

/* ---- names ----------------------------------------------------------------------------------- */

VINE_COROUTINE(publishes)
{
    struct {
        struct vine_mailbox *box;
    } *self;

    vine_begin();
    vine_mail_open(self->box, struct word);
    vine_mail_publish(self->box, (const char *)vine_argument());
    begun_count++;
    while (!may_go_on)
        vine_sleep(1000 * 1000);
    vine_catch(raised)
    {
    }
    vine_end();
}

VINE_COROUTINE(finds)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_mail_find((const char *)vine_argument(), address);
    taken_count++;
    vine_catch(raised)
    {
    }
    vine_end();
}

static void find(const char *name, int error)
{
    struct one one;

    raised = 0;
    start_alone(&one, &vine__type_finds, (void *)(uintptr_t)name);
    until_gone(&one, 0);
    assert_int_equal(raised, error);
}

static void names_are_one_mailboxs_while_it_is_open(void **state)
{
    struct one publisher, second;

    (void)state;
    open_mail();
    find("room", -ENOENT);
    start_alone(&publisher, &vine__type_publishes, "room");
    until(begun_count == 1);
    find("room", 0);
    assert_true(address.key != 0);
    find("roo", -ENOENT);
    find("a name that is much longer than it may be, as all can see", -ENAMETOOLONG);
    start_alone(&second, &vine__type_publishes, "room");
    until_gone(&second, 0);
    assert_int_equal(raised, -EEXIST);
    find("room", 0); /* the second one's end is not the first one's */
    may_go_on = true;
    advance(VINE_NS_PER_SECOND / 10);
    until_gone(&publisher, 0);
    find("room", -ENOENT);
    raised = 0;
    start_alone(&publisher, &vine__type_publishes, "room");
    until_gone(&publisher, 0);
    assert_int_equal(raised, 0);
    close_cores();
}

/* ---- cancelled ------------------------------------------------------------------------------- */

/* Waits for a message until its deadline, and then again: what came between is not lost. */
VINE_COROUTINE(loses_patience)
{
    struct {
        struct vine_mailbox *box;
        struct word word;
    } *self;

    vine_begin();
    vine_mail_open(self->box, struct word);
    address = vine_mail_address(self->box);
    vine_deadline(VINE_NS_PER_SECOND);
    vine_mail_recv(self->box, struct word, self->word);
    vine_catch(raised)
    {
        vine_deadline(VINE_FOREVER);
    }
    vine_sleep(VINE_NS_PER_SECOND);
    vine_mail_recv(self->box, struct word, self->word);
    taken[taken_count++] = self->word.number;
    vine_end();
}

static void who_stops_waiting_for_a_message_gets_it_later(void **state)
{
    struct one taker, sender;

    (void)state;
    open_mail();
    start_alone(&taker, &vine__type_loses_patience, NULL);
    until(address.key != 0);
    step_often();
    stepped.clock_ns += 2 * VINE_NS_PER_SECOND;
    until(raised == -ETIMEDOUT);
    start_alone(&sender, &vine__type_sends_in_time, NULL);
    until_gone(&sender, 0);
    assert_int_equal(sent_count, 1);
    advance(2 * VINE_NS_PER_SECOND);
    until_gone(&taker, 0);
    assert_int_equal(taken[0], 4711);
    close_cores();
}

VINE_COROUTINE(opens_in_a_child)
{
    struct {
        struct vine_mailbox *box;
        struct word word;
    } *self;

    vine_begin();
    vine_mail_open(self->box, struct word);
    address = vine_mail_address(self->box);
    vine_mail_recv(self->box, struct word, self->word);
    vine_end();
}

VINE_COROUTINE(cancels_its_child)
{
    struct {
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_child(opens_in_a_child, NULL, self->child);
    while (!may_go_on)
        vine_sleep(1000 * 1000);
    vine_cancel(self->child);
    vine_join(self->child);
    begun_count = 1;
    may_go_on = false;
    while (!may_go_on)
        vine_sleep(1000 * 1000);
    vine_end();
}

static void a_mailbox_ends_with_its_coroutine_while_others_live(void **state)
{
    struct one parent;

    (void)state;
    open_mail();
    start_alone(&parent, &vine__type_cancels_its_child, NULL);
    until(address.key != 0);
    may_go_on = true;
    advance(VINE_NS_PER_SECOND / 10);
    until(begun_count == 1);
    assert_int_equal(parent.ends, 0);
    raises(&vine__type_sends, -EPIPE);
    may_go_on = true;
    advance(VINE_NS_PER_SECOND / 10);
    until_gone(&parent, 0);
    close_cores();
}

/* ---- the end of all -------------------------------------------------------------------------- */

static void who_waits_when_the_core_stops_is_cancelled(void **state)
{
    struct one taker, answerer, sender, asker;

    (void)state;
    open_mail();
    start_alone(&taker, &vine__type_takes, (void *)1);
    until(address.key != 0);
    start_alone(&sender, &vine__type_sends, (void *)(VINE_MAIL_WAITING_MAX + 1));
    until(sent_count == VINE_MAIL_WAITING_MAX);
    address.key = 0;
    start_alone(&answerer, &vine__type_answers, (void *)1);
    until(address.key != 0);
    start_alone(&asker, &vine__type_asks, (void *)1);
    until(taken_count == 1);
    vine_stop(0);
    advance(8 * VINE_NS_PER_SECOND);
    until_gone(&taker, -ECANCELED);
    until_gone(&answerer, -ECANCELED);
    assert_int_equal(sender.goings, 1);
    assert_int_equal(asker.goings, 1);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_addresses_and_types_are_refused),
        cmocka_unit_test(messages_go_from_one_heap_to_another_in_order),
        cmocka_unit_test(who_sends_to_a_full_mailbox_waits_for_room),
        cmocka_unit_test(who_does_not_wait_longer_takes_its_message_back),
        cmocka_unit_test(what_was_sent_stays_when_its_sender_ends),
        cmocka_unit_test(who_waits_for_room_is_told_of_the_mailboxs_end),
        cmocka_unit_test(an_offer_does_not_wait),
        cmocka_unit_test(who_is_outside_tells_a_mailbox),
        cmocka_unit_test(requests_are_answered_one_after_the_other),
        cmocka_unit_test(a_refusal_is_raised_where_it_was_asked),
        cmocka_unit_test(who_waits_for_an_answer_is_told_of_the_others_end),
        cmocka_unit_test(who_does_not_wait_for_its_answer_disturbs_nobody),
        cmocka_unit_test(who_would_wait_for_itself_is_told),
        cmocka_unit_test(mailboxes_are_bounded_and_those_that_close_are_free_again),
        cmocka_unit_test(names_are_one_mailboxs_while_it_is_open),
        cmocka_unit_test(who_stops_waiting_for_a_message_gets_it_later),
        cmocka_unit_test(a_mailbox_ends_with_its_coroutine_while_others_live),
        cmocka_unit_test(who_waits_when_the_core_stops_is_cancelled),
    };

    return run_by_all_guards(tests);
}
