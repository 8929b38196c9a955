/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Futures, messages and requests between coroutines of one heap. */

#include "../state/by_hand.h"

#include <vine/future.h>

struct point {
    int x, y;
};

/* ---- futures --------------------------------------------------------------------------------- */

VINE_COROUTINE(awaits)
{
    struct {
        char *text;
        int error;
    } *self;

    vine_begin();
    vine_future_await(vine_argument(), self->text);
    say(self->text);
    vine_catch(self->error)
    {
        say_number(self->error);
    }
    vine_end();
}

VINE_COROUTINE(sets)
{
    struct {
        struct vine_future future;
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_future_init(&self->future);
    vine_start(awaits, &self->future);
    vine_child(awaits, &self->future, self->child);
    vine_yield();
    say("-");
    vine_cancel(self->child);
    vine_join(self->child);
    vine_future_set(&self->future, "v");
    vine_call(awaits, &self->future);
    vine_end();
}

static void a_future_is_awaited_before_and_after_it_is_set(void **state)
{
    (void)state;
    begin(&vine__type_sets, NULL);
    assert_non_null(strstr(said, "-"));
    assert_string_equal(said + strlen(said) - 2, "vv");
    end(0);
}

VINE_COROUTINE(fails)
{
    struct {
        struct vine_future future;
    } *self;

    vine_begin();
    vine_future_init(&self->future);
    vine_start(awaits, &self->future);
    vine_yield();
    if (vine_argument() != NULL)
        vine_future_fail(&self->future, -EIO);
    vine_end();
}

static void who_awaits_is_told_of_a_failure_and_of_an_end_without_a_value(void **state)
{
    char text[32];

    (void)state;
    begin(&vine__type_fails, "");
    (void)snprintf(text, sizeof text, "%d ", -EIO);
    assert_string_equal(said, text);
    end(0);
    begin(&vine__type_fails, NULL);
    (void)snprintf(text, sizeof text, "%d ", -EPIPE);
    assert_string_equal(said, text);
    end(0);
}

VINE_COROUTINE(sets_twice)
{
    struct {
        struct vine_future future;
    } *self;

    vine_begin();
    vine_future_init(&self->future);
    vine_future_set(&self->future, NULL);
    vine_future_set(&self->future, NULL);
    vine_end();
}

/* ---- messages -------------------------------------------------------------------------------- */

VINE_COROUTINE(sends_many)
{
    struct {
        int i;
        struct point point;
    } *self;

    vine_begin();
    for (self->i = 1; self->i <= VINE_MAILBOX_MAX + 2; self->i++) {
        self->point = (struct point){self->i, -self->i};
        vine_send(vine_argument(), struct point, self->point);
        say(self->i <= VINE_MAILBOX_MAX ? "" : "full ");
    }
    vine_end();
}

VINE_COROUTINE(receives)
{
    struct {
        struct vine_coroutine *child;
        struct point point;
        int i;
    } *self;

    vine_begin();
    vine_child(sends_many, that, self->child);
    vine_yield();
    say("- ");
    for (self->i = 1; self->i <= VINE_MAILBOX_MAX + 2; self->i++) {
        vine_recv(struct point, self->point);
        assert_int_equal(self->point.x, self->i);
        assert_int_equal(self->point.y, -self->i);
        if (self->i < 3) {
            say("took ");
            vine_yield();
        }
    }
    vine_join(self->child);
    vine_end();
}

static void who_sends_to_a_full_mailbox_waits_and_messages_keep_their_order(void **state)
{
    (void)state;
    begin(&vine__type_receives, NULL);
    assert_string_equal(said, "- took full took full ");
    end(0);
}

VINE_COROUTINE(receives_first)
{
    struct {
        struct vine_coroutine *child;
        int number;
    } *self;

    vine_begin();
    if (vine_argument() == NULL) {
        vine_child(receives_first, that, self->child);
        vine_recv(int, self->number);
        say_number(self->number);
        vine_join(self->child);
    } else {
        vine_yield();
        vine_send(vine_argument(), int, 7);
    }
    vine_end();
}

static void who_receives_waits_for_a_message(void **state)
{
    (void)state;
    begin(&vine__type_receives_first, NULL);
    assert_string_equal(said, "7 ");
    end(0);
}

VINE_COROUTINE(ends_soon)
{
    struct {
        int nothing;
    } *self;

    vine_begin();
    vine_yield();
    vine_yield();
    vine_end();
}

VINE_COROUTINE(sends_to_the_dead)
{
    struct {
        struct vine_coroutine *child;
        int i, error;
    } *self;

    vine_begin();
    vine_child(ends_soon, NULL, self->child);
    switch (*(int *)vine_argument()) {
    case 0: /* blocked, when it ends */
        for (self->i = 0;; self->i++)
            vine_send(self->child, int, self->i);
        break;
    case 1:
        for (self->i = 0; self->i < 4; self->i++)
            vine_yield();
        vine_send(self->child, int, 1);
        break;
    default:
        vine_request(self->child, int, 1, int, self->i);
        break;
    }
    say("never");
    vine_catch(self->error)
    {
        say_number(self->error);
    }
    vine_end();
}

static void who_waits_for_one_that_has_ended_is_told(void **state)
{
    char text[32];

    (void)state;
    (void)snprintf(text, sizeof text, "%d ", -EPIPE);
    for (int way = 0; way < 3; way++) {
        begin(&vine__type_sends_to_the_dead, &way);
        assert_string_equal(said, text);
        end(0);
    }
}

VINE_COROUTINE(waits_in_time)
{
    struct {
        struct vine_coroutine *child;
        struct vine_future future;
        char *text;
        int i, error;
    } *self;

    vine_begin();
    vine_child(awaits, &self->future, self->child);
    vine_future_init(&self->future);
    vine_deadline(100);
    switch (*(int *)vine_argument()) {
    case 0:
        for (self->i = 0;; self->i++)
            vine_send(self->child, int, self->i);
        break;
    case 1:
        vine_recv(int, self->i);
        break;
    case 2:
        vine_request(self->child, int, 1, int, self->i);
        break;
    case 3:
        vine_listen(int, self->i);
        break;
    default:
        vine_future_await(&self->future, self->text);
        break;
    }
    vine_catch(self->error)
    {
        say_number(self->error);
    }
    vine_future_set(&self->future, "");
    vine_deadline(VINE_FOREVER);
    vine_join(self->child);
    vine_end();
}

static void all_that_waits_ends_at_its_deadline(void **state)
{
    char text[32];

    (void)state;
    (void)snprintf(text, sizeof text, "%d ", -ETIMEDOUT);
    for (int way = 0; way < 5; way++) {
        begin(&vine__type_waits_in_time, &way);
        run_at(1099);
        assert_string_equal(said, "");
        run_at(1100);
        assert_string_equal(said, text);
        end(0);
    }
}

VINE_COROUTINE(sends_to_itself)
{
    struct {
        int i, error;
    } *self;

    vine_begin();
    for (self->i = 0;; self->i++)
        vine_send(that, int, self->i);
    vine_catch(self->error)
    {
        say_number(self->i);
    }
    vine_recv(int, self->i);
    say_number(self->i);
    vine_request(that, int, 1, int, self->i);
    vine_end();
}

static void who_would_wait_for_itself_is_told(void **state)
{
    (void)state;
    begin(&vine__type_sends_to_itself, NULL);
    assert_string_equal(said, "16 0 ");
    end(-EDEADLK);
}

/* ---- requests -------------------------------------------------------------------------------- */

VINE_COROUTINE(adds)
{
    struct {
        struct point point;
        int sum;
    } *self;

    vine_begin();
    for (;;) {
        vine_listen(struct point, self->point);
        vine_yield();
        if (self->point.x < 0) {
            vine_refuse(-EDOM);
        } else {
            self->sum += self->point.x + self->point.y;
            vine_respond(int, self->sum);
        }
    }
    vine_finally()
    {
        say("f");
    }
    vine_end();
}

VINE_COROUTINE(asks)
{
    struct {
        struct point point;
        int sum, error;
    } *self;

    vine_begin();
    self->point = (struct point){1, 2};
    vine_request(vine_argument(), struct point, self->point, int, self->sum);
    say_number(self->sum);
    self->point.x = -1;
    vine_request(vine_argument(), struct point, self->point, int, self->sum);
    say("never");
    vine_catch(self->error)
    {
        say(self->error == -EDOM ? "d " : "odd");
    }
    vine_end();
}

VINE_COROUTINE(has_an_adder)
{
    struct {
        struct vine_coroutine *adder, *a, *b;
    } *self;

    vine_begin();
    vine_responder(adds, NULL, self->adder);
    vine_child(asks, self->adder, self->a);
    vine_child(asks, self->adder, self->b);
    if (vine_argument() != NULL) { /* it is heard, and goes before the answer */
        vine_yield();
        vine_yield();
        vine_cancel(self->a);
    }
    vine_join(self->a);
    vine_join(self->b);
    vine_end();
}

static void requests_are_answered_one_after_the_other(void **state)
{
    (void)state;
    begin(&vine__type_has_an_adder, NULL);
    assert_string_equal(said, "3 6 d d f");
    end(0);
}

static void who_asked_may_go_before_the_answer(void **state)
{
    (void)state;
    begin(&vine__type_has_an_adder, "");
    assert_string_equal(said, "odd6 d f");
    end(0);
}

/* ---- misuse ---------------------------------------------------------------------------------- */

VINE_COROUTINE(takes_another_type)
{
    struct {
        float number;
    } *self;

    vine_begin();
    vine_send(that, int, 1);
    vine_recv(float, self->number);
    vine_end();
}

VINE_COROUTINE(listens_for_another_type)
{
    struct {
        struct point point;
    } *self;

    vine_begin();
    vine_listen(struct point, self->point);
    vine_end();
}

VINE_COROUTINE(responds_with_another_type)
{
    struct {
        int number;
    } *self;

    vine_begin();
    vine_listen(int, self->number);
    vine_respond(struct point, ((struct point){1, 2}));
    vine_end();
}

VINE_COROUTINE(asks_with_int)
{
    struct {
        struct vine_coroutine *child;
        long number;
    } *self;

    vine_begin();
    vine_child(listens_for_another_type, NULL, self->child);
    vine_request(self->child, int, 1, long, self->number);
    vine_end();
}

VINE_COROUTINE(asks_for_long)
{
    struct {
        struct vine_coroutine *child;
        long number;
    } *self;

    vine_begin();
    vine_child(responds_with_another_type, NULL, self->child);
    vine_request(self->child, int, 1, long, self->number);
    vine_end();
}

VINE_COROUTINE(responds_unasked)
{
    struct {
        int nothing;
    } *self;

    vine_begin();
    vine_respond(int, 1);
    vine_end();
}

VINE_COROUTINE(sends_to_nobody)
{
    struct {
        int nothing;
    } *self;

    vine_begin();
    vine_send(NULL, int, 1);
    vine_end();
}

static void a_wrong_type_and_other_misuse_is_told(void **state)
{
    static const struct {
        const struct vine_coroutine_type *type;
        const char *text;
        int error;
    } ways[] = {
        {&vine__type_takes_another_type, "vine_recv of float, and int was sent", -EFAULT},
        {&vine__type_asks_with_int, "vine_listen for struct point, and int is asked with", -EPIPE},
        {&vine__type_asks_for_long, "vine_respond with struct point, and long is awaited", -EPIPE},
        {&vine__type_responds_unasked, "vine_respond without a request", -EFAULT},
        {&vine__type_sends_to_nobody, "vine_send of what is no coroutine", -EFAULT},
        {&vine__type_sets_twice, "a future is set twice", -EFAULT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(begin_listening(ways[i].type), 1);
        assert_non_null(strstr(told, "test_futures.c:"));
        assert_non_null(strstr(told, ways[i].text));
        end(ways[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_future_is_awaited_before_and_after_it_is_set),
        cmocka_unit_test(who_awaits_is_told_of_a_failure_and_of_an_end_without_a_value),
        cmocka_unit_test(who_sends_to_a_full_mailbox_waits_and_messages_keep_their_order),
        cmocka_unit_test(who_receives_waits_for_a_message),
        cmocka_unit_test(who_waits_for_one_that_has_ended_is_told),
        cmocka_unit_test(all_that_waits_ends_at_its_deadline),
        cmocka_unit_test(who_would_wait_for_itself_is_told),
        cmocka_unit_test(requests_are_answered_one_after_the_other),
        cmocka_unit_test(who_asked_may_go_before_the_answer),
        cmocka_unit_test(a_wrong_type_and_other_misuse_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
