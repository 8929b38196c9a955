/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Coroutines of one heap, run by hand: their order, their families, and what they raise. */

#include "by_hand.h"

/* ---- one ------------------------------------------------------------------------------------ */

VINE_COROUTINE(in_a_switch)
{
    struct {
        int i;
        char text[2];
    } *self;

    vine_begin();
    for (self->i = 0; self->i < 4; self->i++) {
        switch (self->i) {
        case 0:
            vine_yield();
            say("a");
            break;
        case 2: /* clang-format off */
            vine_yield(); say("b"); vine_yield(); say("c");
            break; /* clang-format on */
        default:
            if (self->i == 3)
                vine_yield();
            self->text[0] = (char)('0' + self->i);
            say(self->text);
        }
    }
    vine_end();
}

static void operations_stand_in_a_switch_and_twice_on_a_line(void **state)
{
    (void)state;
    begin(&vine__type_in_a_switch, NULL);
    assert_string_equal(said, "a1bc3");
    end(0);
}

VINE_COROUTINE(large)
{
    struct {
        char bytes[1 << 20];
    } *self;

    vine_begin();
    say(self->bytes);
    vine_end();
}

static void a_frame_that_does_not_fit_is_an_error(void **state)
{
    char text[VINE__HEAP_WHY_BYTES];

    (void)state;
    begin(&vine__type_large, NULL);
    vine__heap_explain(&inside->heap, text);
    assert_non_null(strstr(text, "pages"));
    end(-ENOMEM);
}

/* ---- several --------------------------------------------------------------------------------- */

VINE_COROUTINE(speaker)
{
    struct {
        int i;
    } *self;

    vine_begin();
    for (self->i = 0; self->i < 3; self->i++) {
        say(vine_argument());
        vine_yield();
    }
    vine_end();
}

VINE_COROUTINE(chorus)
{
    struct {
        struct vine_coroutine *a, *b;
    } *self;

    vine_begin();
    vine_child(speaker, "a", self->a);
    vine_child(speaker, "b", self->b);
    vine_start(speaker, "c");
    say("-");
    vine_join(self->a);
    say("+");
    vine_join(self->b);
    vine_call(speaker, "d");
    say(".");
    vine_end();
}

static void children_take_turns_and_a_call_comes_back(void **state)
{
    (void)state;
    begin(&vine__type_chorus, NULL);
    assert_string_equal(said, "-abcabcabc+ddd.");
    end(0);
}

VINE_COROUTINE(parent_first)
{
    struct {
        int nothing;
    } *self;

    vine_begin();
    self->nothing = 1;
    vine_start(speaker, "x");
    say("left");
    vine_end();
}

static void a_parent_ends_after_its_children(void **state)
{
    (void)state;
    begin(&vine__type_parent_first, NULL);
    assert_string_equal(said, "leftxxx");
    end(0);
}

/* ---- errors ---------------------------------------------------------------------------------- */

VINE_COROUTINE(failing)
{
    struct {
        int nothing;
    } *self;

    vine_begin();
    self->nothing = 1;
    vine_yield();
    vine_raise(-EIO);
    say("never");
    vine_finally()
    {
        say("f");
    }
    vine_end();
}

VINE_COROUTINE(catching)
{
    struct {
        int error;
    } *self;

    vine_begin();
    vine_call(failing, NULL);
    say("never");
    vine_catch(self->error)
    {
        say(self->error == -EIO ? "c" : "odd");
    }
    say("on");
    vine_finally()
    {
        say("F");
    }
    vine_end();
}

static void what_is_raised_is_caught_and_finally_runs(void **state)
{
    (void)state;
    begin(&vine__type_catching, NULL);
    assert_string_equal(said, "fconF");
    end(0);
    begin(&vine__type_failing, NULL);
    assert_string_equal(said, "f");
    end(-EIO);
}

VINE_COROUTINE(waiting)
{
    struct {
        int nothing;
    } *self;

    vine_begin();
    self->nothing = 1;
    vine_pause();
    say("played");
    vine_pause();
    say("never");
    vine_finally()
    {
        vine_yield();
        say("F");
    }
    vine_end();
}

VINE_COROUTINE(cancelling)
{
    struct {
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_child(waiting, NULL, self->child);
    vine_yield();
    vine_play(self->child);
    vine_yield();
    vine_cancel(self->child);
    vine_join(self->child);
    say("joined");
    vine_end();
}

static void who_is_cancelled_runs_its_finally(void **state)
{
    (void)state;
    begin(&vine__type_cancelling, NULL);
    assert_string_equal(said, "playedFjoined");
    end(0);
}

VINE_COROUTINE(unlucky_parent)
{
    struct {
        int nothing;
    } *self;

    vine_begin();
    self->nothing = 1;
    vine_start(waiting, NULL);
    vine_start(failing, NULL);
    vine_pause();
    say("never");
    vine_end();
}

static void an_error_that_nobody_awaits_ends_the_family(void **state)
{
    (void)state;
    begin(&vine__type_unlucky_parent, NULL);
    assert_string_equal(said, "fF");
    end(-EIO);
}

/* ---- memory ---------------------------------------------------------------------------------- */

VINE_COROUTINE(allocating)
{
    struct {
        char *a, *b, *c;
        int error;
    } *self;

    vine_begin();
    vine_alloc(self->a, 100);
    vine_alloc(self->b, 100);
    vine_free(self->a); /* below the other one */
    vine_free(self->b);
    vine_alloc(self->c, 100);
    say(self->c == self->a ? "same" : "other");
    vine_alloc(self->a, 1 << 20);
    say("never");
    vine_catch(self->error)
    {
        say(self->error == -ENOMEM ? " full" : " odd");
    }
    vine_end();
}

static void memory_goes_back_in_any_order(void **state)
{
    (void)state;
    begin(&vine__type_allocating, NULL);
    assert_string_equal(said, "same full");
    end(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_stand_in_a_switch_and_twice_on_a_line),
        cmocka_unit_test(a_frame_that_does_not_fit_is_an_error),
        cmocka_unit_test(children_take_turns_and_a_call_comes_back),
        cmocka_unit_test(a_parent_ends_after_its_children),
        cmocka_unit_test(what_is_raised_is_caught_and_finally_runs),
        cmocka_unit_test(who_is_cancelled_runs_its_finally),
        cmocka_unit_test(an_error_that_nobody_awaits_ends_the_family),
        cmocka_unit_test(memory_goes_back_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
