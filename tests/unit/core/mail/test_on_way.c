/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * How much may be on its way to a core that does not get to it, from micro-processes whose inside
 * the test plays: of one that asks and gives up for ever, of one with many coroutines, of many.
 * Whoever is honest waits in turn, and none is forgotten.
 */
#include "harness/stepped.h"

#include <stdlib.h>
#include <string.h>

#include "core/mail/mail_internal.h"

#define HEAP_BYTES    (1U << 20)
#define SENDERS       10U
#define COROUTINES    200U /* of each */
#define MESSAGE_BYTES 1000U

struct slot {
    struct vine_coroutine coroutine;
    _Alignas(16) unsigned char paper[sizeof(struct paper) + MESSAGE_BYTES];
};

/* A micro-process, and its heap as it is laid out here. */
struct player {
    struct vine__heap heap;
    struct vine__mail *mail;
    struct slot *slots;
    uint32_t ended, failed;
};

static struct stepped stepped;
static struct player senders[SENDERS], receiver;
static struct vine_mail_address address;
static struct vine__record record;
static uint32_t ask_number, taken, stopped;

static void enter(uint32_t core)
{
    (void)vine__reactor_enter(stepped.reactors[core]);
}

static uint32_t place(const struct player *player, const void *object)
{
    return (uint32_t)((const unsigned char *)object - player->heap.region.start);
}

static void wake(void *nothing)
{
    (void)nothing;
}

static void begin(struct player *player)
{
    *player = (struct player){.slots = aligned_alloc(64, HEAP_BYTES)};
    assert_non_null(player->slots);
    memset(player->slots, 0, HEAP_BYTES);
    player->heap =
        (struct vine__heap){.region = {.start = (void *)player->slots, .size_bytes = HEAP_BYTES},
                            .limit_bytes = HEAP_BYTES};
    player->mail = vine__mail_create(&player->heap, wake, player);
    assert_non_null(player->mail);
}

static void end(struct player *player)
{
    vine__mail_destroy(player->mail);
    free(player->slots);
}

static void ask(struct player *player, struct slot *slot, uint16_t kind, uint64_t a)
{
    slot->coroutine.ask = (struct vine__ask){.kind = kind, .number = ++ask_number, .a = a};
    assert_int_equal(
        vine__mail_ask(player->mail, &slot->coroutine.ask, place(player, &slot->coroutine)), 0);
}

static void send_one(struct player *player, uint32_t index)
{
    struct slot *const slot = &player->slots[index];
    struct paper *const paper = (void *)slot->paper;

    *paper = (struct paper){.address = address, .type_id = 1, .size_bytes = MESSAGE_BYTES};
    ask(player, slot, VINE__ASK_MAIL_SEND, place(player, paper));
}

/* What has come is taken; more is wanted of messages. */
static void bring(struct player *player)
{
    bool is_all;

    do {
        record.item_count = 0;
        is_all = vine__mail_bring(player->mail, &record);
        for (uint32_t i = 0; i < record.item_count; i++) {
            const struct vine__item *const item = &record.items[i];
            struct slot *const slot = (void *)(player->heap.region.start + item->place);

            if (item->kind == VINE__ITEM_MAIL) {
                taken++;
                ask(player, &player->slots[0], VINE__ASK_MAIL_TAKE, 0);
                continue;
            }
            slot->coroutine.ask.kind = VINE__ASK_NOTHING;
            player->ended++;
            player->failed += item->result != 0;
        }
    } while (!is_all);
}

static void open_both(void)
{
    struct vine_mailbox *mailbox;

    taken = stopped = 0;
    stepped_open(&stepped, 2, 1, NULL);
    for (uint32_t core = 0; core < 2; core++) {
        enter(core);
        assert_int_equal(vine__mail_core_start(), 0);
    }
    begin(&receiver);
    mailbox = (void *)(receiver.slots + 1);
    *mailbox = (struct vine_mailbox){.type_id = 1, .size_bytes = MESSAGE_BYTES};
    ask(&receiver, &receiver.slots[0], VINE__ASK_MAIL_OPEN, place(&receiver, mailbox));
    bring(&receiver);
    ask(&receiver, &receiver.slots[0], VINE__ASK_MAIL_TAKE, 0);
    address = mailbox->address;
    enter(0);
}

static void count_one(void *nothing)
{
    (void)nothing;
    stopped++;
}

static void close_both(void)
{
    enter(1);
    end(&receiver);
    for (uint32_t core = 0; core < 2; core++) {
        enter(core);
        vine__mail_core_stop(count_one, NULL);
    }
    stepped_settle(&stepped);
    assert_int_equal(stopped, 2);
    stepped_close(&stepped);
}

/* Both cores do what they have to, until nothing is left of it. */
static void go_on(uint32_t sender_count)
{
    uint32_t before;

    do {
        before = taken;
        stepped_settle(&stepped);
        enter(1);
        bring(&receiver);
        enter(0);
        for (uint32_t i = 0; i < sender_count; i++)
            bring(&senders[i]);
    } while (taken != before);
}

static uint32_t on_way(void)
{
    return vine__office_here()->routes[1].on_way;
}

static void who_asks_and_gives_up_for_ever_has_few_on_their_way(void **state)
{
    (void)state;
    open_both();
    begin(&senders[0]);
    for (uint32_t i = 0; i < 20000; i++) {
        send_one(&senders[0], i % 7);
        senders[0].slots[i % 7].coroutine.ask.kind = VINE__ASK_NOTHING;
        vine__mail_look(senders[0].mail);
        /* Each letter may be followed by its being taken back. */
        assert_true(on_way() <= 2 * ON_WAY_MAX);
        assert_true(vine__office_here()->under_way <= 2 * ON_WAY_MAX);
    }
    assert_true(on_way() >= ON_WAY_MAX);
    go_on(1);
    assert_int_equal(on_way(), 0);
    assert_int_equal(senders[0].ended, 0);
    /* It is served again as anybody is. */
    send_one(&senders[0], 0);
    go_on(1);
    assert_int_equal(senders[0].ended, 1);
    assert_int_equal(senders[0].failed, 0);
    end(&senders[0]);
    close_both();
}

static void so_has_who_looks_for_names(void **state)
{
    struct paper *paper;

    (void)state;
    open_both();
    enter(1);
    for (uint32_t i = 0; i < 20000; i++) {
        struct slot *const slot = &receiver.slots[8 + i % 7]; /* behind its mailbox */

        paper = (void *)slot->paper;
        *paper = (struct paper){.name = "nobody"};
        ask(&receiver, slot, VINE__ASK_MAIL_FIND, place(&receiver, paper));
        slot->coroutine.ask.kind = VINE__ASK_NOTHING;
        vine__mail_look(receiver.mail);
        assert_true(vine__office_here()->routes[0].on_way <= ON_WAY_MAX);
        assert_true(vine__office_here()->under_way <= ON_WAY_MAX + 2); /* a mailbox, a taking */
    }
    go_on(0);
    close_both();
}

static void many_coroutines_wait_in_turn_and_all_are_served(void **state)
{
    (void)state;
    open_both();
    begin(&senders[0]);
    for (uint32_t i = 0; i < COROUTINES; i++)
        send_one(&senders[0], i);
    vine__mail_look(senders[0].mail);
    assert_int_equal(on_way(), ON_WAY_MAX);
    go_on(1);
    assert_int_equal(senders[0].ended, COROUTINES);
    assert_int_equal(senders[0].failed, 0);
    assert_int_equal(taken, COROUTINES);
    end(&senders[0]);
    close_both();
}

static void many_micro_processes_have_no_more_on_their_way_than_a_core_may(void **state)
{
    (void)state;
    open_both();
    for (uint32_t i = 0; i < SENDERS; i++) {
        begin(&senders[i]);
        for (uint32_t n = 0; n < COROUTINES; n++)
            send_one(&senders[i], n);
        vine__mail_look(senders[i].mail);
        assert_true(on_way() <= ROUTE_ON_WAY_MAX);
    }
    assert_int_equal(on_way(), ROUTE_ON_WAY_MAX);
    go_on(SENDERS);
    for (uint32_t i = 0; i < SENDERS; i++) {
        assert_int_equal(senders[i].ended, COROUTINES);
        assert_int_equal(senders[i].failed, 0);
        end(&senders[i]);
    }
    assert_int_equal(taken, SENDERS * COROUTINES);
    close_both();
}

static void who_ends_while_some_wait_sends_none_of_these(void **state)
{
    uint32_t under_way;

    (void)state;
    open_both();
    for (uint32_t i = 0; i < SENDERS; i++) {
        begin(&senders[i]);
        for (uint32_t n = 0; n < COROUTINES; n++)
            send_one(&senders[i], n);
    }
    /* Each has some that wait for their micro-process, or for the core, or are on their way. */
    for (uint32_t i = 0; i < SENDERS; i++)
        end(&senders[i]);
    under_way = vine__office_here()->under_way;
    assert_int_equal(under_way, ROUTE_ON_WAY_MAX);
    go_on(0);
    assert_true(taken <= ROUTE_ON_WAY_MAX);
    close_both();
}

static void a_mailbox_that_closes_before_its_name_has_left_is_not_known(void **state)
{
    struct vine_mailbox *here;
    struct paper *paper;

    (void)state;
    open_both();
    enter(1);
    begin(&senders[0]);
    here = (void *)(senders[0].slots + COROUTINES);
    *here = (struct vine_mailbox){.type_id = 1, .size_bytes = 4};
    ask(&senders[0], &senders[0].slots[0], VINE__ASK_MAIL_OPEN, place(&senders[0], here));
    bring(&senders[0]);
    for (uint32_t i = 1; i <= ON_WAY_MAX; i++) {
        paper = (void *)senders[0].slots[i].paper;
        *paper = (struct paper){.name = "nobody"};
        ask(&senders[0], &senders[0].slots[i], VINE__ASK_MAIL_FIND, place(&senders[0], paper));
    }
    paper = (void *)senders[0].slots[0].paper;
    *paper = (struct paper){.name = "late", .box = here->number};
    ask(&senders[0], &senders[0].slots[0], VINE__ASK_MAIL_PUBLISH, place(&senders[0], paper));
    here->alive.key = 0; /* as who lies would: its coroutine still waits */
    vine__mail_look(senders[0].mail);
    senders[0].ended = senders[0].failed = 0;
    stepped_settle(&stepped);
    enter(1);
    bring(&senders[0]);
    assert_int_equal(senders[0].ended, ON_WAY_MAX + 1);
    assert_int_equal(senders[0].failed, ON_WAY_MAX + 1);
    enter(0);
    assert_int_equal(vine__office_here()->name_count, 0);
    enter(1);
    end(&senders[0]);
    close_both();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_and_gives_up_for_ever_has_few_on_their_way),
        cmocka_unit_test(so_has_who_looks_for_names),
        cmocka_unit_test(many_coroutines_wait_in_turn_and_all_are_served),
        cmocka_unit_test(many_micro_processes_have_no_more_on_their_way_than_a_core_may),
        cmocka_unit_test(who_ends_while_some_wait_sends_none_of_these),
        cmocka_unit_test(a_mailbox_that_closes_before_its_name_has_left_is_not_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
