/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/asks.c - what coroutines ask for, begun outside; and its ends, brought in.
 */

#include <string.h>

#include "core/process/process_internal.h"
#include "utils/assert.h"
#include "utils/atomic.h"

#define ASKS_MAX 4096U /* of one run: a longer list has a circle */

/* ---- time ------------------------------------------------------------------------------------ */

/* When the next run has to be, as the inside says. */
static void set_timer(struct vine__process *process)
{
    const uint64_t due_ns = process->inside->due_ns;

    if (due_ns == process->due_ns)
        return;
    process->due_ns = due_ns;
    if (due_ns == 0)
        (void)vine_timer_stop(&process->timer);
    else
        vine_timer_arm_at(&process->timer, due_ns);
}

/* ---- in -------------------------------------------------------------------------------------- */

static bool put(struct vine__record *record, struct vine__item item)
{
    if (record->item_count == VINE__ITEMS_MAX)
        return false;
    record->items[record->item_count++] = item;
    return true;
}

static bool put_ask(struct vine__record *record, struct asker *asker, int64_t result)
{
    if (!put(record, (struct vine__item){.kind = VINE__ITEM_ASK,
                                         .place = asker->place,
                                         .number = asker->number,
                                         .result = result}))
        return false;
    asker->is_set = false;
    return true;
}

/* Who has no room for want of a block, and finds none either now, is told so. */
static int lack(const struct vine__record *record)
{
    return record->lent[0] == NULL ? -ENOMEM : 0;
}

static bool bring_outlet(struct outlet *outlet, struct vine__record *record)
{
    struct vine_socket *const socket = vine__outlet_inside(outlet);

    if (outlet->is_gone) {
        socket->out = (struct vine__outgoing){
            .error =
                VINE__UNLIKELY(outlet->has_file) && outlet->error == 0 ? -EPIPE : outlet->error};
        outlet->is_gone = false;
    }
    if (outlet->has_received) {
        if (!put(record, (struct vine__item){.kind = VINE__ITEM_RECEIVED,
                                             .place = outlet->place,
                                             .result = outlet->received,
                                             .bytes = outlet->bytes,
                                             .is_more = outlet->kept > 0,
                                             .is_end = outlet->has_end}))
            return false;
        outlet->has_received = false;
    }
    if (outlet->room.is_set && (outlet->written == NULL || outlet->error != 0) &&
        !put_ask(record, &outlet->room, outlet->error != 0 ? outlet->error : lack(record)))
        return false;
    if (outlet->sent.is_set &&
        (outlet->error != 0 || (!outlet->is_sending && outlet->written == NULL)) &&
        !put_ask(record, &outlet->sent, outlet->error != 0 ? outlet->error : outlet->told))
        return false;
    return true;
}

static bool put_hung_up(struct vine__record *record, const struct outlet *outlet, bool *has)
{
    if (!*has)
        return true;
    if (!put(record, (struct vine__item){.kind = VINE__ITEM_HUNG_UP, .place = outlet->place}))
        return false;
    *has = false;
    return true;
}

/* Before what comes on sockets, which is for who asks next. */
static bool bring_answers(struct vine__process *process, struct vine__record *record)
{
    if (!put_hung_up(record, &process->io, &process->furthers->has_hung_up))
        return false;
    for (uint32_t place = 1; place < VINE__PLACES_MAX; place++) {
        struct further *const further = process->furthers->at[place];

        if (further == NULL || !further->has_answer)
            continue;
        if (further->file != NULL && further->answer == 0)
            vine__opened_tell(further->file);
        if (!put_ask(record, &further->asker, further->answer))
            return false;
        further->has_answer = false;
    }
    return true;
}

static bool bring_furthers(struct vine__process *process, struct vine__record *record)
{
    for (uint32_t place = 1; place < VINE__PLACES_MAX; place++) {
        struct further *const further = process->furthers->at[place];

        if (further != NULL && further->outlet.connection != NULL &&
            (!put_hung_up(record, &further->outlet, &further->has_hung_up) ||
             !bring_outlet(&further->outlet, record)))
            return false;
    }
    return true;
}

bool vine__process_bring(struct vine__process *process, struct vine__record *record)
{
    struct blocks *const blocks = &process->core->blocks[process->heap->region.colour];

    record->now_ns = vine_clock_now(VINE_CLOCK_COARSE);
    record->item_count = 0;
    for (uint32_t i = 0; i < VINE__LENT_MAX; i++) {
        if (blocks->lent[i] == NULL)
            blocks->lent[i] = vine__block_take(blocks);
        record->lent[i] = blocks->lent[i];
    }
    if (process->raise != 0) {
        (void)put(record, (struct vine__item){.kind = VINE__ITEM_RAISE, .result = process->raise});
        process->raise = 0;
    }
    if (process->cancel != 0) {
        (void)put(record,
                  (struct vine__item){.kind = VINE__ITEM_CANCEL, .result = process->cancel});
        process->cancel = 0;
    }
    if (VINE__UNLIKELY(process->mail != NULL) && !vine__mail_bring(process->mail, record))
        return false;
    if (VINE__LIKELY(process->furthers == NULL))
        return bring_outlet(&process->io, record);
    return bring_answers(process, record) && bring_outlet(&process->io, record) &&
           bring_furthers(process, record);
}

/* ---- out ------------------------------------------------------------------------------------- */

struct outlet *vine__outlet_at(struct vine__process *process, uint32_t place)
{
    struct further *further;

    if (VINE__LIKELY(place == 0))
        return &process->io;
    further = vine__further_at(process, place);
    return further != NULL ? &further->outlet : NULL;
}

static void has_mail(void *context)
{
    struct vine__process *const process = context;

    vine_work_post(&process->work);
}

/* The first ask of this kind gives it what goes with mail. */
static int begin_mail(struct vine__process *process, const struct vine__ask *ask, uint32_t place)
{
    if (process->mail == NULL)
        process->mail = vine__mail_create(process->heap, has_mail, process);
    if (process->mail == NULL)
        return -ENOMEM;
    return vine__mail_ask(process->mail, ask, place);
}

/* One ask, which is a copy. Returns 0, -VINE_ECORRUPT or -ENOMEM. */
static int begin(struct vine__process *process, const struct vine__ask *ask, struct asker asker)
{
    struct outlet *const outlet = vine__outlet_at(process, ask->socket);

    if (VINE__UNLIKELY(ask->kind >= VINE__ASK_MAIL_OPEN))
        return ask->kind < VINE__ASK_BEYOND ? begin_mail(process, ask, asker.place)
                                            : vine__further_begin(process, ask, asker);
    if (outlet == NULL || outlet->connection == NULL)
        return -VINE_ECORRUPT;
    switch (ask->kind) {
    case VINE__ASK_RECEIVE:
        if (outlet->is_spliced && ask->a == 0) {
            outlet->is_wanted = true; /* behind what is on its way */
            return 0;
        }
        if (outlet->is_receiving || outlet->has_received || ask->a > VINE_LOOK_MAX)
            return -VINE_ECORRUPT;
        vine__outlet_receive(outlet, (uint32_t)ask->a);
        return 0;
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
        if (ask->socket != 0 || outlet->has_received)
            return -VINE_ECORRUPT;
        vine__parker_begin(process, ask->a);
        return 0;
    case VINE__ASK_SEND_FILE:
        return vine__opened_ask(process, outlet, ask->a, asker);
    default:
        return -VINE_ECORRUPT;
    }
}

static void send_and_look(struct outlet *outlet)
{
    vine__outlet_send(outlet);
    /* What could be answered at once is, in a run of its own. */
    if ((outlet->room.is_set && outlet->written == NULL) ||
        (outlet->sent.is_set && !outlet->is_sending && outlet->written == NULL))
        vine_work_post(&outlet->process->work);
}

int vine__process_take_asks(struct vine__process *process)
{
    const unsigned char *const start = process->heap->region.start;
    const size_t size = process->heap->region.size_bytes;
    const struct vine__ask *at = process->inside->asks;

    process->inside->asks = NULL;
    for (uint32_t i = 0; at != NULL; i++) {
        /* Of the coroutine that it is a part of; it wraps where it lies before the heap. */
        const uintptr_t place =
            (uintptr_t)at - offsetof(struct vine_coroutine, ask) - (uintptr_t)start;
        struct vine__ask ask;

        if (i == ASKS_MAX || place > size - sizeof(struct vine_coroutine) ||
            place % _Alignof(struct vine_coroutine) != 0)
            return -VINE_ECORRUPT;
        memcpy(&ask, at, sizeof(ask));

        const struct asker asker = {.place = (uint32_t)place, .number = ask.number, .is_set = true};

        const int error = begin(process, &ask, asker);

        if (error != 0)
            return error;
        at = ask.next;
    }
    if (VINE__UNLIKELY(process->mail != NULL))
        vine__mail_look(process->mail);
    set_timer(process);
    send_and_look(&process->io);
    if (VINE__LIKELY(process->furthers == NULL))
        return 0;
    for (uint32_t place = 1; place < VINE__PLACES_MAX; place++)
        if (process->furthers->at[place] != NULL)
            send_and_look(&process->furthers->at[place]->outlet);
    return 0;
}
