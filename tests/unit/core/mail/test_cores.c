/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Mail between cores that are stepped in one thread, from a seed. The test plays the inside of all
 * micro-processes: it asks, gives up, closes mailboxes and dies at any moment. Whatever the order:
 *
 *     a message that was sent is taken once, in its sender's order, unless its mailbox has closed
 *     one that was refused is never taken
 *     whoever waits is told when the mailbox closes; an answer is the answer to that question
 *     at the end nothing is under way
 */
#include "harness/stepped.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mail/mail_internal.h"

#define CORES        3U
#define ACTORS       4U /* on each core; every other one has a mailbox for requests */
#define SLOTS        4U /* coroutines of an actor; the first has the mailbox */
#define HEAP_BYTES   16384U
#define MESSAGES_MAX 20000U
#define ROUNDS       6000U

struct slot {
    struct vine_coroutine coroutine;
    _Alignas(16) unsigned char paper[sizeof(struct paper) + 16];
};

/* A heap as it is laid out here. */
struct layout {
    struct slot slots[SLOTS];
    _Alignas(16) unsigned char mailbox[sizeof(struct vine_mailbox) + 16];
};

static struct paper *paper_of(struct slot *slot)
{
    return (void *)slot->paper;
}

enum fate { UNDER_WAY, SENT, REFUSED, GIVEN_UP };

struct message {
    uint64_t target; /* the key of its mailbox */
    uint32_t sender; /* actor and slot */
    enum fate fate;
    bool is_taken;
};

struct actor {
    uint32_t core;
    struct vine__heap heap;
    struct vine__mail *mail;
    struct layout *inside;
    bool is_for_requests;
    bool is_woken, is_open, is_asked, is_answering;
    uint32_t answering;
    uint32_t message[SLOTS]; /* that a slot waits for, from 1; 0: none */
    uint32_t last[CORES * ACTORS * SLOTS];
};

static struct vine_mailbox *mailbox_of(struct actor *actor)
{
    return (void *)actor->inside->mailbox;
}

static struct stepped stepped;
static struct actor actors[CORES * ACTORS];
static struct message messages[MESSAGES_MAX];
static uint32_t message_count, ask_number, told_of_end, taken_count, answered_count;
static struct vine_mail_address known[CORES * ACTORS];
static struct vine__record record;

static uint32_t roll(uint32_t below)
{
    return (uint32_t)(stepped_random(&stepped) % below);
}

static void wake(void *context)
{
    ((struct actor *)context)->is_woken = true;
}

/* What is called next runs on the core of that actor. */
static void enter(const struct actor *actor)
{
    (void)vine__reactor_enter(stepped.reactors[actor->core]);
}

static uint32_t place(const struct actor *actor, const void *object)
{
    return (uint32_t)((const unsigned char *)object - actor->heap.region.start);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void ask(struct actor *actor, uint32_t slot, uint16_t kind, uint64_t a)
{
    struct vine_coroutine *const coroutine = &actor->inside->slots[slot].coroutine;

    coroutine->ask = (struct vine__ask){.kind = kind, .number = ++ask_number, .a = a};
    assert_int_equal(vine__mail_ask(actor->mail, &coroutine->ask, place(actor, coroutine)), 0);
}

static void open_box(struct actor *actor)
{
    struct vine_mailbox *const mailbox = mailbox_of(actor);

    *mailbox = (struct vine_mailbox){.type_id = 1, .size_bytes = 4};
    if (actor->is_for_requests) {
        mailbox->reply_type = (const void *)actor;
        mailbox->reply_type_id = 2;
        mailbox->reply_bytes = 8;
    }
    ask(actor, 0, VINE__ASK_MAIL_OPEN, place(actor, mailbox));
    actor->is_open = true;
    actor->is_asked = actor->is_answering = false;
    memset(actor->last, 0, sizeof(actor->last));
    known[actor - actors] = mailbox->address;
}

static void close_box(struct actor *actor)
{
    mailbox_of(actor)->alive.halves[0]--;
    actor->is_open = false;
}

static void send_one(struct actor *actor, uint32_t slot)
{
    struct paper *const paper = paper_of(&actor->inside->slots[slot]);
    const uint32_t target = roll(CORES * ACTORS);
    const bool is_request = actors[target].is_for_requests;
    const uint16_t kind = is_request     ? VINE__ASK_MAIL_REQUEST
                          : roll(4) == 0 ? VINE__ASK_MAIL_OFFER
                                         : VINE__ASK_MAIL_SEND;
    const uint32_t number = message_count;

    if (message_count == MESSAGES_MAX || &actors[target] == actor || known[target].key == 0)
        return;
    message_count++;
    messages[number] = (struct message){.target = known[target].key,
                                        .sender = (uint32_t)(actor - actors) * SLOTS + slot};
    *paper = (struct paper){.address = known[target],
                            .type_id = 1,
                            .size_bytes = 4,
                            .reply_type_id = is_request ? 2 : 0,
                            .reply_bytes = is_request ? 8 : 0};
    memcpy(paper->bytes, &number, sizeof(number));
    actor->message[slot] = number + 1;
    ask(actor, slot, kind, place(actor, paper));
}

static void give_up(struct actor *actor, uint32_t slot)
{
    actor->inside->slots[slot].coroutine.ask.kind = VINE__ASK_NOTHING;
    messages[actor->message[slot] - 1].fate = GIVEN_UP;
    actor->message[slot] = 0;
}

static void answer(struct actor *actor)
{
    struct paper *const paper = paper_of(&actor->inside->slots[0]);
    const uint64_t reply = 2ULL * actor->answering + 1;

    *paper = (struct paper){.box = mailbox_of(actor)->number, .size_bytes = 8};
    memcpy(paper->bytes, &reply, sizeof(reply));
    if (roll(5) == 0)
        paper->error = -ERANGE;
    actor->is_answering = false;
    answered_count++;
    ask(actor, 0, VINE__ASK_MAIL_RESPOND, place(actor, paper));
}

/* ---- what is brought ------------------------------------------------------------------------- */

static void take_message(struct actor *actor)
{
    uint32_t number;

    memcpy(&number, mailbox_of(actor)->bytes, sizeof(number));
    assert_true(number < message_count && actor->is_open && actor->is_asked);

    struct message *const message = &messages[number];

    assert_int_equal(message->target, mailbox_of(actor)->address.key);
    assert_false(message->is_taken);
    assert_true(message->fate != REFUSED);
    assert_true(actor->last[message->sender] < number + 1);
    actor->last[message->sender] = number + 1;
    message->is_taken = true;
    taken_count++;
    actor->is_asked = false;
    actor->is_answering = actor->is_for_requests;
    actor->answering = number;
}

static void take_end(struct actor *actor, const struct vine__item *item)
{
    struct slot *const slot = (void *)(actor->heap.region.start + item->place);
    const struct paper *const paper = paper_of(slot);
    const uint32_t index = (uint32_t)(slot - actor->inside->slots);
    uint64_t reply;
    int64_t result = item->result;

    assert_true(index < SLOTS && item->number == slot->coroutine.ask.number);
    actor->inside->slots[index].coroutine.ask.kind = VINE__ASK_NOTHING;
    if (actor->message[index] == 0)
        return; /* of its mailbox */

    const uint32_t number = actor->message[index] - 1;

    actor->message[index] = 0;
    if (paper->error != 0)
        result = paper->error; /* of an offer */
    if (paper->reply_bytes != 0) {
        assert_true(result == 0 || result == -ERANGE || result == -EPIPE);
        memcpy(&reply, paper->bytes, sizeof(reply));
        assert_true(result != 0 || reply == 2ULL * number + 1);
        assert_true(result == -EPIPE || messages[number].is_taken);
        messages[number].fate = SENT;
    } else {
        assert_true(result == 0 || result == -EPIPE || result == -EAGAIN);
        messages[number].fate = result == 0 ? SENT : REFUSED;
        assert_true(result == 0 || !messages[number].is_taken);
    }
    told_of_end += result == -EPIPE;
}

/* A run: what has come, then what this one does. */
static void run(struct actor *actor, bool is_ending)
{
    bool is_all;

    enter(actor);
    actor->is_woken = false;
    do {
        record.item_count = 0;
        is_all = vine__mail_bring(actor->mail, &record);
        for (uint32_t i = 0; i < record.item_count; i++) {
            if (record.items[i].kind == VINE__ITEM_MAIL)
                take_message(actor);
            else
                take_end(actor, &record.items[i]);
        }
    } while (!is_all);
    for (uint32_t slot = 1; slot < SLOTS && !is_ending; slot++) {
        if (actor->message[slot] != 0 && roll(10) == 0)
            give_up(actor, slot);
        if (actor->message[slot] == 0 && roll(2) == 0)
            send_one(actor, slot);
    }
    if (actor->is_open && actor->is_answering && roll(2) == 0)
        answer(actor);
    if (actor->is_open && !actor->is_asked && !actor->is_answering && (is_ending || roll(3) == 0)) {
        ask(actor, 0, VINE__ASK_MAIL_TAKE, mailbox_of(actor)->number);
        actor->is_asked = true;
    }
    if (actor->is_open && !is_ending && roll(60) == 0)
        close_box(actor);
    vine__mail_look(actor->mail);
    if (!actor->is_open && !is_ending && roll(4) == 0)
        open_box(actor);
}

/* ---- a life ---------------------------------------------------------------------------------- */

static void begin(struct actor *actor)
{
    enter(actor);
    memset(actor->inside, 0, HEAP_BYTES);
    memset(actor->message, 0, sizeof(actor->message));
    actor->is_open = actor->is_asked = actor->is_answering = false;
    actor->mail = vine__mail_create(&actor->heap, wake, actor);
    assert_non_null(actor->mail);
}

/* Without a word: as a fault is. */
static void die(struct actor *actor)
{
    enter(actor);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (actor->message[slot] != 0)
            messages[actor->message[slot] - 1].fate = GIVEN_UP;
    vine__mail_destroy(actor->mail);
    actor->mail = NULL;
    actor->is_open = false;
}

static void step_some(void)
{
    for (uint32_t i = roll(4); i > 0; i--)
        (void)stepped_step(&stepped, roll(CORES));
}

static void settle(void)
{
    bool again = true;

    for (uint32_t turns = 0; again; turns++) {
        assert_true(turns < 100000);
        stepped_settle(&stepped);
        again = false;
        for (uint32_t i = 0; i < CORES * ACTORS; i++) {
            again |= actors[i].is_woken || (actors[i].is_open && actors[i].is_answering);
            run(&actors[i], true);
        }
    }
}

static bool is_open(uint64_t key)
{
    for (uint32_t i = 0; i < CORES * ACTORS; i++)
        if (actors[i].is_open && mailbox_of(&actors[i])->address.key == key)
            return true;
    return false;
}

static void count(void *context)
{
    ++*(uint32_t *)context;
}

static void live(uint64_t seed)
{
    uint32_t stopped = 0;

    message_count = told_of_end = taken_count = answered_count = 0;
    memset(known, 0, sizeof(known));
    stepped_open(&stepped, CORES, seed, NULL);
    for (uint32_t i = 0; i < CORES * ACTORS; i++) {
        actors[i] = (struct actor){.core = i / ACTORS, .is_for_requests = i % 2 == 1};
        actors[i].inside = aligned_alloc(64, HEAP_BYTES);
        actors[i].heap = (struct vine__heap){
            .region = {.start = (void *)actors[i].inside, .size_bytes = HEAP_BYTES},
            .limit_bytes = HEAP_BYTES};
        enter(&actors[i]);
        assert_int_equal(vine__mail_core_start(), 0);
        begin(&actors[i]);
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct actor *const actor = &actors[roll(CORES * ACTORS)];

        run(actor, false);
        if (roll(400) == 0) {
            die(actor);
            begin(actor);
        }
        step_some();
    }
    settle();
    for (uint32_t i = 0; i < message_count; i++) {
        assert_true(messages[i].fate != UNDER_WAY || !is_open(messages[i].target));
        if (messages[i].fate == SENT && is_open(messages[i].target) && !messages[i].is_taken)
            fail_msg("seed %llu: message %u is lost", (unsigned long long)seed, i);
    }
    for (uint32_t i = 0; i < CORES * ACTORS; i++)
        if (actors[i].is_open)
            close_box(&actors[i]);
    settle();
    for (uint32_t i = 0; i < message_count; i++)
        if (messages[i].fate == UNDER_WAY)
            fail_msg("seed %llu: who sent %u waits for ever", (unsigned long long)seed, i);
    for (uint32_t i = 0; i < CORES * ACTORS; i++)
        die(&actors[i]);
    for (uint32_t core = 0; core < CORES; core++) {
        (void)vine__reactor_enter(stepped.reactors[core]);
        vine__mail_core_stop(count, &stopped);
    }
    stepped_settle(&stepped);
    assert_int_equal(stopped, CORES);
    assert_true(taken_count > 100 && told_of_end > 10 && answered_count > 50);
    for (uint32_t i = 0; i < CORES * ACTORS; i++)
        free(actors[i].inside);
    stepped_close(&stepped);
}

static void whatever_the_order_nothing_is_lost_and_nobody_hangs(void **state)
{
    const char *const seed = getenv("VINE_SEED");

    (void)state;
    if (seed != NULL) {
        live(strtoull(seed, NULL, 10));
        return;
    }
    for (uint64_t i = 1; i <= 40; i++)
        live(i * UINT64_C(0x9E3779B97F4A7C15));
}

/* Many more than a pair's ring holds, in both directions, while nobody takes any. */
static void two_cores_that_flood_each_other_do_not_stand_in_each_others_way(void **state)
{
    uint32_t stopped = 0;

    (void)state;
    stepped_open(&stepped, 2, 3, NULL);
    for (uint32_t core = 0; core < 2; core++) {
        (void)vine__reactor_enter(stepped.reactors[core]);
        assert_int_equal(vine__mail_core_start(), 0);
    }
    message_count = 0;
    memset(known, 0, sizeof(known));
    for (uint32_t i = 0; i < 2; i++) {
        actors[i] = (struct actor){.core = i};
        actors[i].inside = aligned_alloc(64, 1 << 20);
        actors[i].heap = (struct vine__heap){
            .region = {.start = (void *)actors[i].inside, .size_bytes = 1 << 20},
            .limit_bytes = 1 << 20};
        begin(&actors[i]);
        open_box(&actors[i]);
        vine__mail_look(actors[i].mail);
    }
    for (uint32_t round = 0; round < 2 * 1000; round++) {
        struct actor *const actor = &actors[round % 2];
        struct slot *const slots = (void *)(actor->inside + 1);
        struct slot *const slot = &slots[round / 2];
        struct paper *const paper = paper_of(slot);

        memset(slot, 0, sizeof(*slot));
        *paper = (struct paper){.address = known[1 - round % 2], .type_id = 1, .size_bytes = 4};
        slot->coroutine.ask = (struct vine__ask){
            .kind = VINE__ASK_MAIL_SEND, .number = ++ask_number, .a = place(actor, paper)};
        enter(actor);
        assert_int_equal(
            vine__mail_ask(actor->mail, &slot->coroutine.ask, place(actor, &slot->coroutine)), 0);
    }
    stepped_settle(&stepped);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t ends = 0, came = 0;

        for (uint32_t turn = 0; turn < 4000; turn++) {
            for (uint32_t each = 0; each < 2; each++) {
                struct actor *const actor = &actors[each];

                enter(actor);
                record.item_count = 0;
                (void)vine__mail_bring(actor->mail, &record);
                for (uint32_t item = 0; item < record.item_count; item++) {
                    const bool is_mail = record.items[item].kind == VINE__ITEM_MAIL;

                    came += is_mail;
                    ends += !is_mail;
                    actor->is_asked &= !is_mail;
                }
                if (!actor->is_asked)
                    ask(actor, 0, VINE__ASK_MAIL_TAKE, mailbox_of(actor)->number);
                actor->is_asked = true;
            }
            stepped_settle(&stepped);
        }
        assert_int_equal(came, i == 0 ? 2000 : 0);
        assert_int_equal(ends, i == 0 ? 2000 + 2 : 0); /* two opened */
    }
    for (uint32_t i = 0; i < 2; i++) {
        die(&actors[i]);
        vine__mail_core_stop(count, &stopped);
        stepped_settle(&stepped);
        free(actors[i].inside);
    }
    assert_int_equal(stopped, 2);
    stepped_close(&stepped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_the_order_nothing_is_lost_and_nobody_hangs),
        cmocka_unit_test(two_cores_that_flood_each_other_do_not_stand_in_each_others_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
