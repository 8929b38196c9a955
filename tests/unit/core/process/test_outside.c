/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Functions outside, as coroutines call them: what they are told is checked, what they keep goes
 * with its micro-process whatever ends that, and what coroutines share is nothing that they reach.
 */
#include "process_tests.h"

#include <stdlib.h>

#include "core/state/state.h"

/* ---- what is kept ---------------------------------------------------------------------------- */

static uint32_t kept_count;
static uint64_t total;

/* Of one micro-process, outside. */
struct account {
    struct vine_kept kept;
    uint64_t sum;
};

static void end_account(struct vine_kept *kept)
{
    kept_count--;
    free(kept);
}

static struct account *account_of(struct vine_outside *outside)
{
    struct account *account = (struct account *)vine_outside_kept(outside);

    if (account != NULL)
        return account;
    account = calloc(1, sizeof(*account));
    assert_non_null(account);
    account->kept.end = end_account;
    vine_outside_keep(outside, &account->kept);
    kept_count++;
    return account;
}

static int64_t add(struct vine_outside *outside, const void *asked)
{
    uint64_t number;

    memcpy(&number, asked, sizeof(number));
    account_of(outside)->sum += number;
    total += number;
    return (int64_t)account_of(outside)->sum;
}

/* Adds the digits that come, and says the sum; with '!' it faults, with '.' it ends. */
VINE_COROUTINE(adding)
{
    struct {
        char byte;
        ssize_t length;
        uint64_t number;
        int64_t sum;
    } *self;

    vine_begin();
    for (;;) {
        vine_read(self->length, &self->byte, 1);
        if (self->length == 0 || self->byte == '.')
            break;
        if (self->byte == '!')
            *(volatile char *)0xbad0 = 1;
        self->number = (uint64_t)(self->byte - '0');
        vine_outside(self->sum, add, &self->number, sizeof(self->number));
        vine_writef("%lld,", (long long)self->sum);
    }
    vine_end();
}

static void what_is_kept_is_each_ones_own_and_what_is_shared_is_one(void **state)
{
    struct one one, other;
    (void)state;

    total = 0;
    open_processes();
    start_one(&one, &vine__type_adding, NULL);
    start_one(&other, &vine__type_adding, NULL);
    say_to(&one, "12");
    expect(&one, "1,3,");
    say_to(&other, "5");
    expect(&other, "5,");
    say_to(&one, "4");
    expect(&one, "7,");
    assert_int_equal(total, 12);
    assert_int_equal(kept_count, 2);
    say_to(&one, ".");
    expect_end(&one);
    finish_one(&one, 0);
    assert_int_equal(kept_count, 1);
    finish_one(&other, 0);
    assert_int_equal(kept_count, 0);
    close_cores();
}

static void who_faults_leaves_what_is_shared_whole(void **state)
{
    struct one one, other;
    (void)state;

    total = 0;
    open_processes();
    start_one(&one, &vine__type_adding, NULL);
    start_one(&other, &vine__type_adding, NULL);
    say_to(&one, "3");
    expect(&one, "3,");
    say_to(&other, "4");
    expect(&other, "4,");
    say_to(&one, "!");
    expect_end(&one);
    finish_one(&one, -EFAULT);
    assert_int_equal(kept_count, 1);
    say_to(&other, "2");
    expect(&other, "6,");
    assert_int_equal(total, 9);
    finish_one(&other, 0);
    assert_int_equal(kept_count, 0);
    close_cores();
}

/* The same, and waits between two digits so that it may be parked. */
VINE_COROUTINE(adding_parked)
{
    struct {
        char byte;
        ssize_t length;
        uint64_t number;
        int64_t sum;
    } *self;

    vine_begin();
    for (;;) {
        vine_park();
        vine_read(self->length, &self->byte, 1);
        if (self->length == 0)
            break;
        self->number = (uint64_t)(self->byte - '0');
        vine_outside(self->sum, add, &self->number, sizeof(self->number));
        vine_writef("%lld,", (long long)self->sum);
    }
    vine_end();
}

static void until_parked(void)
{
    for (uint32_t i = 0; vine__process_count() > 0; i++) {
        assert_true(i < 100); /* a second is more than a while */
        advance(VINE_NS_PER_SECOND / 100);
    }
}

static void what_is_kept_stays_while_its_connection_is_parked_and_goes_with_that(void **state)
{
    struct one one;
    (void)state;

    open_processes();
    start_one(&one, &vine__type_adding_parked, NULL);
    say_to(&one, "1");
    expect(&one, "1,");
    until_parked();
    assert_int_equal(kept_count, 1);
    say_to(&one, "2");
    expect(&one, "3,"); /* the same account */
    until_parked();
    assert_int_equal(kept_count, 1);
    finish_one(&one, 0);
    assert_int_equal(kept_count, 0);

    start_one(&one, &vine__type_adding_parked, NULL);
    say_to(&one, "3");
    expect(&one, "3,");
    until_parked();
    close(one.fd);
    close_cores();
    assert_int_equal(kept_count, 0);
}

static void who_is_ended_by_the_cores_end_keeps_nothing(void **state)
{
    struct one one;
    (void)state;

    open_processes();
    start_one(&one, &vine__type_adding, NULL);
    say_to(&one, "3");
    expect(&one, "3,");
    assert_int_equal(kept_count, 1);
    close(one.fd);
    close_cores();
    assert_int_equal(kept_count, 0);
}

/* ---- what is believed ------------------------------------------------------------------------ */

/* Where bytes are, as a coroutine says; the answer has a bit for each way. */
struct place {
    void *bytes;
    size_t size_bytes;
};

static int64_t look_at(struct vine_outside *outside, const void *asked)
{
    struct place place;

    memcpy(&place, asked, sizeof(place));
    return vine_outside_can_read(outside, place.bytes, place.size_bytes) |
           vine_outside_can_write(outside, place.bytes, place.size_bytes) << 1;
}

static int64_t count_calls(struct vine_outside *outside, const void *asked)
{
    static int64_t calls;

    (void)outside;
    return asked == NULL ? ++calls : -1;
}

static char elsewhere[64];

enum { NOTHING = 0, READ = 1, BOTH = 3 };

/* Says what is wrong with what outside believes: "" if nothing is. */
VINE_COROUTINE(telling)
{
    struct {
        char *seen, *room;
        size_t seen_size, room_size;
        struct place place;
        int64_t answer, calls;
        char own[100];
        int error;
    } *self;

    vine_begin();
    vine_look(self->seen_size, self->seen, 3);
    vine_room(self->room_size, self->room, 100);

#define expect_answer(pointer, size, wanted)                                                       \
    do {                                                                                           \
        self->place.bytes = (pointer);                                                             \
        self->place.size_bytes = (size);                                                           \
        vine_outside(self->answer, look_at, &self->place, sizeof(self->place));                    \
        if (self->answer != (wanted))                                                              \
            vine_writef("line %d: %d", __LINE__, (int)self->answer);                               \
    } while (0)

    expect_answer(self->own, sizeof(self->own), BOTH);
    expect_answer(self->seen, self->seen_size, READ);
    expect_answer(self->seen + 1, self->seen_size, NOTHING);
    expect_answer(self->seen - 1, 2, NOTHING);
    expect_answer(self->room, self->room_size, BOTH);
    expect_answer(self->room, self->room_size + 1, NOTHING);
    expect_answer(elsewhere, 1, NOTHING);
    expect_answer(NULL, 1, NOTHING);
    expect_answer(NULL, 0, BOTH);
    expect_answer(self->own, SIZE_MAX, NOTHING);
    expect_answer(self->own, SIZE_MAX - (uintptr_t)self->own, NOTHING);
    expect_answer((void *)(uintptr_t)that->inside->record, 8, NOTHING);
    vine_outside(self->calls, count_calls, NULL, 0);
    vine_outside(self->answer, count_calls, NULL, 0);
    if (self->calls < 1 || self->answer != self->calls + 1)
        vine_writef("calls: %d", (int)self->calls);
    vine_writef("said");
    vine_outside(self->answer, look_at, elsewhere, sizeof(self->place));
    vine_writef("never");
    vine_catch(self->error)
    {
        vine_writef(" %d", self->error);
    }
    vine_end();
}

static void what_one_says_is_looked_up(void **state)
{
    struct one one;
    char wanted[32];
    (void)state;

    open_processes();
    start_one(&one, &vine__type_telling, NULL);
    say_to(&one, "abc");
    (void)snprintf(wanted, sizeof(wanted), "said %d", -EFAULT);
    expect(&one, wanted);
    expect_end(&one);
    finish_one(&one, 0);
    close_cores();
}

VINE_COROUTINE(asking_too_much)
{
    struct {
        char bytes[VINE_OUTSIDE_BYTES_MAX + 1];
        int64_t answer;
    } *self;

    vine_begin();
    vine_outside(self->answer, count_calls, self->bytes, sizeof(self->bytes));
    vine_end();
}

static void too_much_is_a_misuse(void **state)
{
    struct one one;
    (void)state;

    open_processes();
    start_one(&one, &vine__type_asking_too_much, NULL);
    expect_end(&one);
    finish_one(&one, -EFAULT);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_each_ones_own_and_what_is_shared_is_one),
        cmocka_unit_test(who_faults_leaves_what_is_shared_whole),
        cmocka_unit_test(what_is_kept_stays_while_its_connection_is_parked_and_goes_with_that),
        cmocka_unit_test(who_is_ended_by_the_cores_end_keeps_nothing),
        cmocka_unit_test(what_one_says_is_looked_up),
        cmocka_unit_test(too_much_is_a_misuse),
    };
    return run_by_all_guards(tests);
}
