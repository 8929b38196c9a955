/* SPDX-License-Identifier: Apache-2.0 */
/* core/poll/asks.c - what a run has written and what its coroutines ask for, begun. */

#include <string.h>

#include "core/poll/poll_internal.h"

#define ASKS_MAX 4096U /* of one run: a longer list has a circle */

static void has_mail(void *context)
{
    struct vine__polling *const polling = context;

    vine_work_post(&polling->work);
}

/* The first ask of this kind gives it what goes with mail. */
static int begin_mail(struct vine__polling *polling, const struct vine__ask *ask, uint32_t place)
{
    if (polling->mail == NULL)
        polling->mail = vine__mail_create(polling->heap, has_mail, polling);
    if (polling->mail == NULL)
        return -ENOMEM;
    return vine__mail_ask(polling->mail, ask, place);
}

/* It waits for the first byte of what comes next. */
static void begin_to_park(struct vine__polling *polling, uint64_t until_ns)
{
    struct vine__outlet *const outlet = &polling->io;

    polling->is_parking = true;
    polling->park_until_ns = until_ns;
    if (outlet->is_spliced)
        outlet->is_wanted = true; /* behind what is on its way */
    else if (!outlet->is_receiving)
        vine__outlet_receive(outlet, 0);
}

/* Of what a splice moves nothing is there that could be kept. */
static int receive(struct vine__outlet *outlet, uint64_t kept)
{
    if (kept > VINE_LOOK_MAX || (kept > 0 && outlet->is_spliced))
        return -VINE_ECORRUPT;
    if (outlet->is_spliced) {
        outlet->is_wanted = true; /* behind what is on its way */
        return 0;
    }
    if (outlet->is_receiving || outlet->has_received)
        return -VINE_ECORRUPT;
    vine__outlet_receive(outlet, (uint32_t)kept);
    return 0;
}

/* One that parks waits for more of what it has: it is not done. */
static int be_done(struct vine__polling *polling, struct vine__asker asker)
{
    if (polling->is_done || polling->is_parking)
        return -VINE_ECORRUPT;
    polling->is_done = true;
    polling->asker = asker;
    return 0;
}

/* One ask, which is a copy. Returns 0, -VINE_ECORRUPT or -ENOMEM. */
static int begin(struct vine__polling *polling, const struct vine__ask *ask,
                 struct vine__asker asker)
{
    struct vine__outlet *const outlet = vine__outlet_at(polling, ask->socket);

    if (ask->kind == VINE__ASK_NEXT)
        return be_done(polling, asker);
    if (VINE__UNLIKELY(ask->kind >= VINE__ASK_MAIL_OPEN))
        return ask->kind < VINE__ASK_BEYOND ? begin_mail(polling, ask, asker.place)
                                            : vine__further_begin(polling, ask, asker);
    if (outlet == NULL || outlet->connection == NULL)
        return -VINE_ECORRUPT;
    switch (ask->kind) {
    case VINE__ASK_RECEIVE:
        return receive(outlet, ask->a);
    case VINE__ASK_ROOM:
        outlet->room = asker;
        return 0;
    case VINE__ASK_NO_MORE:
        outlet->is_shutting = true;
        outlet->sent = asker;
        outlet->told = 0;
        return 0;
    case VINE__ASK_SENT:
        outlet->sent = asker;
        outlet->told = 0;
        return 0;
    case VINE__ASK_PARK:
        if (ask->socket != 0 || outlet->has_received || polling->is_done)
            return -VINE_ECORRUPT;
        begin_to_park(polling, ask->a);
        return 0;
    case VINE__ASK_SEND_FILE:
        return vine__opened_ask(polling, outlet, ask->a, asker);
    default:
        return -VINE_ECORRUPT;
    }
}

/* When the next run has to be, as the inside says. Mostly that is later than the last time, since
 * each request begins a deadline anew: then the timer, which no other part of a request touches,
 * stays as it is, and is armed for later once it comes. Returns 0 or -ENOMEM. */
static int set_timer(struct vine__polling *polling)
{
    const uint64_t due_ns = polling->inside->due_ns;
    struct vine_timer *timer;

    polling->due_ns = due_ns;
    if (due_ns == 0 || (polling->armed_ns != 0 && polling->armed_ns <= due_ns))
        return 0;
    timer = vine__polling_timer(polling);
    if (timer == NULL)
        return -ENOMEM;
    polling->armed_ns = due_ns;
    vine_timer_arm_at(timer, due_ns);
    return 0;
}

static void send_and_look(struct vine__outlet *outlet)
{
    vine__outlet_send(outlet);
    /* What could be answered at once is, in a run of its own. */
    if ((outlet->room.place != 0 && outlet->written == NULL) ||
        (outlet->sent.place != 0 && !outlet->is_sending && outlet->written == NULL))
        vine_work_post(&vine__polling_of(outlet)->work);
}

/* Returns 0, -VINE_ECORRUPT or -ENOMEM. */
static int take_asks(struct vine__polling *polling)
{
    const struct vine__ask *at = polling->inside->asks;
    int error;

    polling->inside->asks = NULL;
    for (uint32_t i = 0; at != NULL; i++) {
        const uintptr_t that = (uintptr_t)at - offsetof(struct vine_coroutine, ask);
        struct vine__ask ask;

        if (i == ASKS_MAX || !vine__heap_has(polling->heap, that, sizeof(struct vine_coroutine),
                                             _Alignof(struct vine_coroutine)))
            return -VINE_ECORRUPT;
        memcpy(&ask, at, sizeof(ask));

        const struct vine__asker asker = {.place = vine__heap_place(polling->heap, that),
                                          .number = ask.number};
        error = begin(polling, &ask, asker);
        if (error != 0)
            return error;
        at = ask.next;
    }
    if (VINE__UNLIKELY(polling->mail != NULL))
        vine__mail_look(polling->mail);
    error = set_timer(polling);
    if (VINE__UNLIKELY(error != 0))
        return error;
    send_and_look(&polling->io);
    if (VINE__LIKELY(polling->furthers == NULL))
        return 0;
    for (uint32_t place = 1; place < VINE__PLACES_MAX; place++)
        if (polling->furthers->at[place] != NULL)
            send_and_look(&polling->furthers->at[place]->outlet);
    return 0;
}

/* What the inside wrote to a socket. */
static int take_from(struct vine__outlet *outlet, struct vine_socket *socket)
{
    const uint32_t wants = socket->wants;

    if (VINE__UNLIKELY(wants != 0)) {
        socket->wants = 0;
        vine__outlet_want(outlet, wants);
    }
    if (!socket->is_dirty)
        return 0;

    const uint32_t block = socket->block;
    const uint32_t size = socket->out.size;

    socket->is_dirty = false;
    socket->block = 0;
    return vine__outlet_written(outlet, block, size);
}

static int take_written(struct vine__polling *polling)
{
    struct vine__polling_inside *const inside = (struct vine__polling_inside *)polling->inside;
    int error = take_from(&polling->io, &inside->io);

    if (VINE__LIKELY(polling->furthers == NULL))
        return error;
    for (uint32_t place = 1; place < VINE__PLACES_MAX && error == 0; place++) {
        struct further *const further = polling->furthers->at[place];

        if (further != NULL && further->outlet.connection != NULL)
            error = take_from(&further->outlet, vine__outlet_inside(&further->outlet));
    }
    return error;
}

int vine__polling_take(struct vine__polling *polling)
{
    int error = take_written(polling);

    if (error == 0)
        error = take_asks(polling);
    if (error == 0 && VINE__UNLIKELY(polling->inside->leaving != NULL))
        error = vine__furthers_let_go(polling);
    return error;
}

/* ---- from one thing to the next -------------------------------------------------------------- */

void vine__polling_see_quick(struct vine__polling *polling)
{
    polling->is_quick = polling->is_resting && polling->due_ns == 0 && polling->furthers == NULL &&
                        polling->mail == NULL && !polling->is_behind && !polling->inside->is_spent;
}

bool vine__polling_has_rested(struct vine__polling *polling, bool has_bytes)
{
    struct vine__polling_inside *const inside = (struct vine__polling_inside *)polling->inside;
    /* Where the one that asks lies was checked when it asked for the first time. */
    const struct vine_coroutine *const that =
        (const void *)((const unsigned char *)inside + polling->asker.place);
    const uint32_t number = that->ask.number;

    if (inside->base.asks != &that->ask || that->ask.kind != VINE__ASK_NEXT ||
        that->ask.next != NULL || that->ask.socket != 0 || inside->io.is_dirty ||
        inside->io.wants != 0 || inside->base.due_ns != 0 || inside->base.leaving != NULL ||
        inside->base.has_ended || inside->base.is_spent || polling->cancel != 0)
        return false;
    inside->base.asks = NULL;
    polling->asker.number = number;
    if (has_bytes) {
        vine__outlet_let_view_go(&polling->io);
        polling->io.has_end = false;
    }
    return true;
}
