/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* How coroutines end: errors, cancelling, vine_catch and vine_finally, parents and children. */

#include "by_hand.h"

/* A frame with nothing in it. */
#define NO_STATE                                                                                   \
    struct {                                                                                       \
        int nothing;                                                                               \
    } * self

/* ---- waiting --------------------------------------------------------------------------------- */

VINE_COROUTINE(pauses)
{
    NO_STATE;

    vine_begin();
    vine_pause();
    say("never");
    vine_finally()
    {
        say("f");
        vine_yield();
        say(vine_argument());
    }
    vine_end();
}

VINE_COROUTINE(calls_one_that_pauses)
{
    NO_STATE;

    vine_begin();
    vine_call(pauses, vine_argument());
    say("never");
    vine_finally()
    {
        say("F");
    }
    vine_end();
}

VINE_COROUTINE(cancels_a_call)
{
    struct {
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_child(calls_one_that_pauses, "1", self->child);
    vine_yield();
    vine_yield();
    vine_cancel(self->child);
    vine_join(self->child);
    say("joined");
    vine_end();
}

static void who_has_called_is_cancelled_behind_the_one_it_called(void **state)
{
    (void)state;
    begin(&vine__type_cancels_a_call, NULL);
    assert_string_equal(said, "f1Fjoined");
    end(0);
}

VINE_COROUTINE(cancels_before_it_begins)
{
    struct {
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_child(pauses, "1", self->child);
    vine_cancel(self->child);
    vine_join(self->child);
    vine_end();
}

static void who_is_cancelled_before_it_begins_runs_its_finally(void **state)
{
    (void)state;
    begin(&vine__type_cancels_before_it_begins, NULL);
    assert_string_equal(said, "f1");
    end(0);
}

VINE_COROUTINE(cancels_itself)
{
    NO_STATE;

    vine_begin();
    vine_cancel(that);
    say("never");
    vine_finally()
    {
        say("f");
    }
    vine_end();
}

static void who_cancels_itself_leaves_there(void **state)
{
    (void)state;
    begin(&vine__type_cancels_itself, NULL);
    assert_string_equal(said, "f");
    end(-ECANCELED);
}

VINE_COROUTINE(joins_and_catches)
{
    struct {
        struct vine_coroutine *child;
        int error;
    } *self;

    vine_begin();
    vine_child(pauses, "1", self->child);
    *(struct vine_coroutine **)vine_argument() = self->child;
    vine_join(self->child);
    vine_catch(self->error)
    {
        say(self->error == -ECANCELED ? "c" : "odd");
    }
    vine_play(self->child); /* which it does not end by */
    vine_sleep(100);
    say("s");
    vine_end();
}

VINE_COROUTINE(cancels_who_joins)
{
    struct {
        struct vine_coroutine *middle, *inner;
    } *self;

    vine_begin();
    vine_child(joins_and_catches, &self->inner, self->middle);
    vine_yield();
    vine_yield();
    vine_cancel(self->middle); /* which sleeps then */
    vine_yield();
    vine_cancel(self->inner); /* the end of which does not wake it */
    vine_join(self->middle);
    say("j");
    vine_end();
}

static void who_does_not_join_any_more_is_not_woken_by_the_end_of_a_child(void **state)
{
    (void)state;
    begin(&vine__type_cancels_who_joins, NULL);
    assert_false(inside->has_ended);
    assert_string_equal(said, "cf1");
    run_at(1099);
    assert_false(inside->has_ended);
    run_at(1100);
    assert_string_equal(said, "cf1sj");
    end(0);
}

VINE_COROUTINE(joins)
{
    struct {
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_child(pauses, "1", self->child);
    vine_join(self->child);
    say("never");
    vine_end();
}

VINE_COROUTINE(cancels_one_that_joins)
{
    struct {
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_child(joins, NULL, self->child);
    vine_yield();
    vine_yield();
    vine_cancel(self->child);
    vine_join(self->child);
    say("joined");
    vine_end();
}

static void who_is_cancelled_in_a_join_takes_the_child_along(void **state)
{
    (void)state;
    begin(&vine__type_cancels_one_that_joins, NULL);
    assert_string_equal(said, "f1joined");
    end(0);
}

/* ---- asked and taken back ------------------------------------------------------------------- */

VINE_COROUTINE(sleeps_twice)
{
    struct {
        int error;
    } *self;

    vine_begin();
    vine_sleep(1000);
    say("never");
    vine_catch(self->error)
    {
        vine_sleep(500);
        say("s");
    }
    vine_end();
}

VINE_COROUTINE(cancels_who_sleeps)
{
    struct {
        struct vine_coroutine *a, *b;
    } *self;

    vine_begin();
    vine_child(sleeps_twice, NULL, self->a);
    vine_child(pauses, "1", self->b);
    vine_yield();
    vine_cancel(self->a);
    vine_cancel(self->b);
    vine_join(self->b);
    vine_join(self->a);
    vine_end();
}

static void who_is_cancelled_asleep_can_sleep_again(void **state)
{
    (void)state;
    begin(&vine__type_cancels_who_sleeps, NULL);
    assert_string_equal(said, "f1");
    assert_int_equal(inside->due_ns, 1500);
    run_at(1500);
    assert_string_equal(said, "f1s");
    end(0);
}

/* ---- raising --------------------------------------------------------------------------------- */

VINE_COROUTINE(raises_in_catch)
{
    struct {
        int error;
    } *self;

    vine_begin();
    vine_raise(-EIO);
    vine_catch(self->error)
    {
        say("c");
        vine_raise(-EPERM);
    }
    say("never");
    vine_finally()
    {
        say("f");
    }
    vine_end();
}

static void what_is_raised_in_catch_goes_to_finally_and_out(void **state)
{
    (void)state;
    begin(&vine__type_raises_in_catch, NULL);
    assert_string_equal(said, "cf");
    end(-EPERM);
}

VINE_COROUTINE(raises_in_finally)
{
    NO_STATE;

    vine_begin();
    vine_raise(-EIO);
    vine_finally()
    {
        say("f");
        vine_raise(-EPERM);
        say("never");
    }
    vine_end();
}

static void what_is_raised_in_finally_replaces_what_was_raised(void **state)
{
    (void)state;
    begin(&vine__type_raises_in_finally, NULL);
    assert_string_equal(said, "f");
    end(-EPERM);
}

VINE_COROUTINE(returns)
{
    struct {
        int error;
    } *self;

    vine_begin();
    if (vine_argument() == NULL)
        vine_return();
    vine_raise(-EIO);
    vine_catch(self->error)
    {
        say("c");
        vine_return();
    }
    say("never");
    vine_finally()
    {
        say("f");
        vine_return();
    }
    vine_end();
}

static void who_returns_goes_by_finally_and_without_an_error(void **state)
{
    (void)state;
    begin(&vine__type_returns, NULL);
    assert_string_equal(said, "f");
    end(0);
    begin(&vine__type_returns, "");
    assert_string_equal(said, "cf");
    end(0);
}

/* ---- families -------------------------------------------------------------------------------- */

VINE_COROUTINE(fails)
{
    NO_STATE;

    vine_begin();
    vine_yield();
    vine_raise(-EIO);
    vine_end();
}

VINE_COROUTINE(leaves_before_one_fails)
{
    NO_STATE;

    vine_begin();
    vine_start(pauses, "1");
    vine_start(fails, NULL);
    vine_start(pauses, "2");
    say("-");
    vine_end();
}

static void an_error_of_one_child_cancels_the_others_of_a_parent_that_has_left(void **state)
{
    (void)state;
    begin(&vine__type_leaves_before_one_fails, NULL);
    assert_string_equal(said, "-ff21");
    end(-EIO);
}

VINE_COROUTINE(goes_on_in_finally)
{
    NO_STATE;

    vine_begin();
    vine_start(fails, NULL);
    vine_finally()
    {
        vine_yield();
        vine_yield();
        vine_yield();
        say("f");
    }
    vine_end();
}

static void an_error_of_a_child_does_not_disturb_finally_and_is_not_lost(void **state)
{
    (void)state;
    begin(&vine__type_goes_on_in_finally, NULL);
    assert_string_equal(said, "f");
    end(-EIO);
}

VINE_COROUTINE(slow_finally)
{
    NO_STATE;

    vine_begin();
    vine_finally()
    {
        vine_sleep(100);
        say("s");
    }
    vine_end();
}

VINE_COROUTINE(calls_while_one_fails)
{
    struct {
        int error;
    } *self;

    vine_begin();
    vine_start(fails, NULL);
    vine_call(slow_finally, NULL);
    say("never");
    vine_catch(self->error)
    {
        say(self->error == -EIO ? "c" : "odd");
    }
    vine_end();
}

static void an_error_of_a_child_waits_for_the_finally_of_who_was_called(void **state)
{
    (void)state;
    begin(&vine__type_calls_while_one_fails, NULL);
    assert_string_equal(said, "");
    run_at(1100);
    assert_string_equal(said, "sc");
    end(0);
}

VINE_COROUTINE(joins_late)
{
    struct {
        struct vine_coroutine *good, *bad;
        int error;
    } *self;

    vine_begin();
    vine_child(slow_finally, NULL, self->good);
    vine_child(fails, NULL, self->bad);
    vine_sleep(200);
    vine_join(self->good);
    say("g");
    vine_join(self->bad);
    say("never");
    vine_catch(self->error)
    {
        say(self->error == -EIO ? "b" : "odd");
    }
    vine_end();
}

static void a_child_can_be_joined_after_its_end(void **state)
{
    (void)state;
    begin(&vine__type_joins_late, NULL);
    run_at(1100);
    run_at(1200);
    assert_string_equal(said, "sgb");
    end(0);
}

VINE_COROUTINE(joins_nobody)
{
    struct {
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_child(fails, NULL, self->child);
    vine_end();
}

static void an_error_that_nobody_joins_for_is_the_parents(void **state)
{
    (void)state;
    begin(&vine__type_joins_nobody, NULL);
    end(-EIO);
}

VINE_COROUTINE(deeper)
{
    NO_STATE;

    vine_begin();
    ++*(int *)vine_argument();
    vine_call(deeper, vine_argument());
    vine_end();
}

static void calls_go_so_deep_and_no_deeper(void **state)
{
    int depth = 0;

    (void)state;
    begin(&vine__type_deeper, &depth);
    assert_int_equal(depth, VINE_COROUTINE_DEPTH_MAX);
    end(-ELOOP);
}

VINE_COROUTINE(waits_to_be_asked)
{
    NO_STATE;

    vine_begin();
    vine_pause();
    say("never");
    vine_finally()
    {
        say("f");
    }
    vine_end();
}

VINE_COROUTINE(has_a_responder)
{
    struct {
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_responder(waits_to_be_asked, NULL, self->child);
    vine_yield();
    say("-");
    vine_end();
}

static void a_responder_is_cancelled_when_its_parent_leaves(void **state)
{
    (void)state;
    begin(&vine__type_has_a_responder, NULL);
    assert_string_equal(said, "-f");
    end(0);
}

/* ---- time ------------------------------------------------------------------------------------ */

VINE_COROUTINE(sets_a_later_deadline)
{
    NO_STATE;

    vine_begin();
    vine_deadline(VINE_FOREVER);
    vine_pause();
    vine_end();
}

VINE_COROUTINE(has_a_deadline)
{
    struct {
        struct vine_coroutine *child;
        int error;
    } *self;

    vine_begin();
    vine_child(pauses, "1", self->child);
    vine_deadline(100);
    switch (*(int *)vine_argument()) {
    case 0:
        vine_pause();
        break;
    case 1:
        vine_sleep(101);
        break;
    case 2:
        vine_join(self->child);
        break;
    default:
        vine_call(sets_a_later_deadline, NULL);
        break;
    }
    say("never");
    vine_catch(self->error)
    {
        say(self->error == -ETIMEDOUT ? "t" : "odd");
    }
    vine_cancel(self->child);
    vine_deadline(VINE_FOREVER);
    vine_join(self->child);
    vine_end();
}

static void whatever_blocks_ends_at_its_deadline(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        begin(&vine__type_has_a_deadline, &way);
        assert_int_equal(inside->due_ns, 1100);
        run_at(1099);
        assert_string_equal(said, "");
        run_at(1100);
        assert_string_equal(said, "tf1");
        end(0);
    }
}

/* ---- misuse ---------------------------------------------------------------------------------- */

#define TELLS(type_, line_, text_)                                                                 \
    do {                                                                                           \
        char where[64];                                                                            \
        assert_int_equal(begin_listening(&vine__type_##type_), 1);                                 \
        (void)snprintf(where, sizeof where, "test_family.c:%d: coroutine %s: ", line_, #type_);    \
        assert_non_null(strstr(told, where));                                                      \
        assert_non_null(strstr(told, text_));                                                      \
        end(-EFAULT);                                                                              \
    } while (0)

static int line;

#define HERE line = __LINE__;

VINE_COROUTINE(joins_twice)
{
    struct {
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_child(returns, NULL, self->child);
    vine_join(self->child);
    /* clang-format off */
    HERE vine_join(self->child);
    /* clang-format on */
    vine_end();
}

VINE_COROUTINE(joins_none)
{
    NO_STATE;

    vine_begin();
    /* clang-format off */
    HERE vine_join(NULL);
    /* clang-format on */
    vine_end();
}

VINE_COROUTINE(joins_itself)
{
    NO_STATE;

    vine_begin();
    /* clang-format off */
    HERE vine_join(that);
    /* clang-format on */
    vine_end();
}

VINE_COROUTINE(plays_what_is_none)
{
    NO_STATE;

    vine_begin();
    /* clang-format off */
    HERE vine_play((struct vine_coroutine *)self);
    /* clang-format on */
    vine_end();
}

VINE_COROUTINE(cancels_what_is_elsewhere)
{
    NO_STATE;

    vine_begin();
    /* clang-format off */
    HERE vine_cancel((struct vine_coroutine *)&by_hand);
    /* clang-format on */
    vine_end();
}

VINE_COROUTINE(raises_nothing)
{
    NO_STATE;

    vine_begin();
    /* clang-format off */
    HERE vine_raise(0);
    /* clang-format on */
    vine_end();
}

VINE_COROUTINE(frees_what_is_not_its)
{
    struct {
        int nothing;
    } *self;

    vine_begin();
    vine_yield();
    /* clang-format off */
    HERE vine_free((char *)self + 64);
    /* clang-format on */
    vine_end();
}

VINE_COROUTINE(reads_without_a_socket)
{
    struct {
        char text[8];
        ssize_t length;
    } *self;

    vine_begin();
    vine_yield();
    /* clang-format off */
    HERE vine_read(self->length, self->text, sizeof self->text);
    /* clang-format on */
    vine_end();
}

VINE_COROUTINE(returns_by_return)
{
    NO_STATE;

    vine_begin();
    /* clang-format off */
    HERE vine_yield();
    /* clang-format on */
    if (self->nothing == 0)
        return;
    vine_end();
}

static void misuse_is_told_with_its_line_and_ends_the_micro_process(void **state)
{
    (void)state;
    TELLS(joins_twice, line, "vine_join of what is no coroutine");
    TELLS(joins_none, line, "vine_join of what is no coroutine");
    TELLS(joins_itself, line, "no child of it");
    TELLS(plays_what_is_none, line, "vine_play of what is no coroutine");
    TELLS(cancels_what_is_elsewhere, line, "vine_cancel of what is no coroutine");
    TELLS(raises_nothing, line, "negative");
    TELLS(frees_what_is_not_its, line, "vine_free");
    TELLS(reads_without_a_socket, line, "no socket");
    TELLS(returns_by_return, line, "vine_return");
}

VINE_COROUTINE(survives_misuse)
{
    struct {
        struct vine_coroutine *child;
        int error;
    } *self;

    vine_begin();
    vine_call(joins_none, NULL);
    vine_catch(self->error)
    {
        say(self->error == -EFAULT ? "caught" : "odd");
    }
    vine_end();
}

static void misuse_in_what_was_called_can_be_caught(void **state)
{
    (void)state;
    assert_int_equal(begin_listening(&vine__type_survives_misuse), 1);
    assert_string_equal(said, "caught");
    end(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_called_is_cancelled_behind_the_one_it_called),
        cmocka_unit_test(who_is_cancelled_before_it_begins_runs_its_finally),
        cmocka_unit_test(who_cancels_itself_leaves_there),
        cmocka_unit_test(who_does_not_join_any_more_is_not_woken_by_the_end_of_a_child),
        cmocka_unit_test(who_is_cancelled_in_a_join_takes_the_child_along),
        cmocka_unit_test(who_is_cancelled_asleep_can_sleep_again),
        cmocka_unit_test(what_is_raised_in_catch_goes_to_finally_and_out),
        cmocka_unit_test(what_is_raised_in_finally_replaces_what_was_raised),
        cmocka_unit_test(who_returns_goes_by_finally_and_without_an_error),
        cmocka_unit_test(an_error_of_one_child_cancels_the_others_of_a_parent_that_has_left),
        cmocka_unit_test(an_error_of_a_child_does_not_disturb_finally_and_is_not_lost),
        cmocka_unit_test(an_error_of_a_child_waits_for_the_finally_of_who_was_called),
        cmocka_unit_test(a_child_can_be_joined_after_its_end),
        cmocka_unit_test(an_error_that_nobody_joins_for_is_the_parents),
        cmocka_unit_test(calls_go_so_deep_and_no_deeper),
        cmocka_unit_test(a_responder_is_cancelled_when_its_parent_leaves),
        cmocka_unit_test(whatever_blocks_ends_at_its_deadline),
        cmocka_unit_test(misuse_is_told_with_its_line_and_ends_the_micro_process),
        cmocka_unit_test(misuse_in_what_was_called_can_be_caught),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
