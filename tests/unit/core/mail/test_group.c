/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Several micro-processes that are told the same: who has no room misses it and is told how much,
 * and who is gone is told no more. */
#include "mail_tests.h"

#define MEMBERS 3U
#define EXTRA   4U

struct news {
    uint32_t number, missed;
};

/* Open statics: who the members are, what they have heard, and what they may. */
static struct vine_mail_address members[MEMBERS];
static struct news heard[MEMBERS][VINE_MAIL_WAITING_MAX + EXTRA];
static uint32_t heard_count[MEMBERS], may_hear[MEMBERS];
static bool may_leave[MEMBERS];
static uint32_t added, group_count, tells, may_tell;

VINE_COROUTINE(hears)
{
    struct {
        struct vine_mailbox *box;
        uintptr_t who;
    } *self;

    vine_begin();
    self->who = (uintptr_t)vine_argument();
    vine_mail_open(self->box, struct news);
    members[self->who] = vine_mail_address(self->box);
    while (!may_leave[self->who]) {
        if (heard_count[self->who] == may_hear[self->who]) {
            vine_sleep(1000 * 1000);
            continue;
        }
        vine_mail_recv(self->box, struct news, heard[self->who][heard_count[self->who]]);
        heard_count[self->who]++;
    }
    vine_end();
}

/* The second one says it all, and so does not hear it. */
VINE_COROUTINE(tells_all)
{
    struct {
        VINE_MAIL_GROUP(MEMBERS) group;
        struct news news;
    } *self;

    vine_begin();
    for (uint32_t i = 0; i < MEMBERS; i++)
        added += vine_mail_group_add(&self->group, members[i]);
    added += vine_mail_group_add(&self->group, members[0]); /* for whom there is no room */
    for (;; self->news.number++) {
        while (tells == may_tell)
            vine_sleep(1000 * 1000);
        vine_mail_offer_all(&self->group, members[1], struct news, self->news, missed);
        group_count = self->group.count;
        tells++;
    }
    vine_end();
}

static void tell(uint32_t count)
{
    may_tell += count;
    while (tells < may_tell)
        advance(VINE_NS_PER_SECOND / 100);
}

static void hear(uint32_t who, uint32_t count)
{
    may_hear[who] += count;
    while (heard_count[who] < may_hear[who])
        advance(VINE_NS_PER_SECOND / 100);
}

static void open_group(struct one ones[MEMBERS + 1])
{
    open_mail();
    memset(members, 0, sizeof(members));
    memset(heard_count, 0, sizeof(heard_count));
    memset(may_hear, 0, sizeof(may_hear));
    memset(may_leave, 0, sizeof(may_leave));
    added = group_count = tells = may_tell = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        start_alone(&ones[i], &vine__type_hears, (void *)(uintptr_t)i);
        until(members[i].key != 0);
    }
    start_alone(&ones[MEMBERS], &vine__type_tells_all, NULL);
}

static void who_has_no_room_is_told_how_much_it_has_missed(void **state)
{
    struct one ones[MEMBERS + 1];

    (void)state;
    open_group(ones);
    tell(1);
    assert_int_equal(added, MEMBERS);
    hear(2, 1);
    tell(VINE_MAIL_WAITING_MAX + EXTRA - 2); /* the first one has room for all but 3 of them */
    hear(0, 1);
    tell(1);
    hear(0, VINE_MAIL_WAITING_MAX);
    for (uint32_t i = 0; i < VINE_MAIL_WAITING_MAX; i++) {
        assert_int_equal(heard[0][i].number, i);
        assert_int_equal(heard[0][i].missed, 0);
    }
    assert_int_equal(heard[0][VINE_MAIL_WAITING_MAX].number, VINE_MAIL_WAITING_MAX + EXTRA - 1);
    assert_int_equal(heard[0][VINE_MAIL_WAITING_MAX].missed, EXTRA - 1);
    tell(1);
    hear(0, 1);
    assert_int_equal(heard[0][VINE_MAIL_WAITING_MAX + 1].missed, 0);
    /* Who had more room has missed less; and who says it hears nothing. */
    hear(2, VINE_MAIL_WAITING_MAX);
    assert_int_equal(heard[2][VINE_MAIL_WAITING_MAX].number, VINE_MAIL_WAITING_MAX);
    tell(1);
    hear(2, 1);
    assert_int_equal(heard[2][VINE_MAIL_WAITING_MAX + 1].missed, EXTRA);
    may_hear[1] = 1;
    tell(1);
    assert_int_equal(heard_count[1], 0);
    assert_int_equal(group_count, MEMBERS);
    close_mail();
}

static void who_is_gone_is_told_no_more(void **state)
{
    struct one ones[MEMBERS + 1];

    (void)state;
    open_group(ones);
    tell(1);
    assert_int_equal(group_count, MEMBERS);
    may_leave[0] = true;
    while (ones[0].goings == 0)
        advance(VINE_NS_PER_SECOND / 100);
    tell(1);
    assert_int_equal(group_count, MEMBERS - 1);
    hear(2, 2);
    assert_int_equal(heard[2][1].number, 1);
    close_mail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_gone_is_told_no_more),
        cmocka_unit_test(who_has_no_room_is_told_how_much_it_has_missed),
    };

    return run_by_all_guards(tests);
}
