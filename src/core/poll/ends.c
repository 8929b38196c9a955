/* SPDX-License-Identifier: Apache-2.0 */
/* core/poll/ends.c - how what coroutines asked for has ended, for the next run. */

#include "core/poll/poll_internal.h"

static bool put_ask(struct vine__record *record, struct vine__asker *asker, int64_t result)
{
    if (!vine__record_put(record, (struct vine__item){.kind = VINE__ITEM_ASK,
                                                      .place = asker->place,
                                                      .number = asker->number,
                                                      .result = result}))
        return false;
    *asker = (struct vine__asker){0};
    return true;
}

/* Who has no room for want of a block, and finds none either now, is told so. */
static int lack(const struct vine__record *record)
{
    return record->lent[0] == NULL ? -ENOMEM : 0;
}

static bool bring_outlet(struct vine__outlet *outlet, struct vine__record *record)
{
    struct vine_socket *const socket = vine__outlet_inside(outlet);

    if (outlet->is_gone) {
        socket->out = (struct vine__outgoing){
            .error =
                VINE__UNLIKELY(outlet->has_file) && outlet->error == 0 ? -EPIPE : outlet->error};
        outlet->is_gone = false;
    }
    if (outlet->has_received) {
        if (!vine__record_put(
                record, (struct vine__item){.kind = VINE__ITEM_RECEIVED,
                                            .place = outlet->place,
                                            .result = outlet->received,
                                            .bytes = outlet->received > 0 ? outlet->view : NULL,
                                            .is_more = outlet->kept > 0,
                                            .is_end = outlet->has_end}))
            return false;
        outlet->has_received = false;
    }
    if (outlet->room.place != 0 && (outlet->written == NULL || outlet->error != 0) &&
        !put_ask(record, &outlet->room, outlet->error != 0 ? outlet->error : lack(record)))
        return false;
    if (outlet->sent.place != 0 &&
        (outlet->error != 0 || (!outlet->is_sending && outlet->written == NULL)) &&
        !put_ask(record, &outlet->sent, outlet->error != 0 ? outlet->error : outlet->told))
        return false;
    return true;
}

static bool put_hung_up(struct vine__record *record, const struct vine__outlet *outlet, bool *has)
{
    if (!*has)
        return true;
    if (!vine__record_put(record,
                          (struct vine__item){.kind = VINE__ITEM_HUNG_UP, .place = outlet->place}))
        return false;
    *has = false;
    return true;
}

/* Before what comes on sockets, which is for who asks next. */
static bool bring_answers(struct vine__polling *polling, struct vine__record *record)
{
    if (!put_hung_up(record, &polling->io, &polling->furthers->has_hung_up))
        return false;
    for (uint32_t place = 1; place < VINE__PLACES_MAX; place++) {
        struct further *const further = polling->furthers->at[place];

        if (further == NULL || !further->has_answer)
            continue;
        if (further->file != NULL && further->answer == 0)
            vine__opened_tell(further->file);
        if (further->awaiting != NULL && further->answer > 0)
            vine__awaiting_tell(further->awaiting);
        if (!put_ask(record, &further->asker, further->answer))
            return false;
        further->has_answer = false;
    }
    return true;
}

/* By turns: where there is no room for all, the next run begins with those that are left. */
static bool bring_furthers(struct vine__polling *polling, struct vine__record *record)
{
    struct furthers *const furthers = polling->furthers;

    for (uint32_t i = 0; i < VINE__PLACES_MAX; i++) {
        const uint32_t place = (furthers->first + i) % VINE__PLACES_MAX;
        struct further *const further = furthers->at[place];

        if (further == NULL || further->outlet.connection == NULL)
            continue;
        if (!put_hung_up(record, &further->outlet, &further->has_hung_up) ||
            !bring_outlet(&further->outlet, record)) {
            furthers->first = place;
            return false;
        }
    }
    return true;
}

static bool bring_sockets(struct vine__polling *polling, struct vine__record *record)
{
    if (VINE__LIKELY(polling->furthers == NULL))
        return bring_outlet(&polling->io, record);
    return bring_answers(polling, record) && bring_outlet(&polling->io, record) &&
           bring_furthers(polling, record);
}

static bool bring_mail(struct vine__polling *polling, struct vine__record *record)
{
    return VINE__LIKELY(polling->mail == NULL) || vine__mail_bring(polling->mail, record);
}

/* What is lent stays so until somebody takes it, or one of another colour runs. */
static void lend(struct vine__polling_core *core, uint8_t colour, struct vine__record *record)
{
    struct vine__blocks *const blocks = &core->blocks[colour];

    if (VINE__LIKELY(core->lent_of == blocks))
        return;
    core->lent_of = blocks;
    for (uint32_t i = 0; i < VINE__LENT_MAX; i++) {
        if (blocks->lent[i] == NULL)
            blocks->lent[i] = vine__block_take(blocks);
        if (blocks->lent[i] == NULL)
            core->lent_of = NULL;
        record->lent[i] = blocks->lent[i];
    }
}

static void bring_next(struct vine__polling *polling, struct vine__record *record)
{
    const struct vine__outlet *const outlet = &polling->io;

    (void)vine__record_put(
        record,
        (struct vine__item){.kind = VINE__ITEM_NEXT,
                            .place = polling->asker.place,
                            .number = polling->asker.number,
                            .result = polling->has_next ? 1 + (int64_t)outlet->view_size : 0,
                            .bytes = outlet->view,
                            .is_end = outlet->has_end});
    polling->has_answer = false;
    polling->is_resting = false;
    polling->is_done = false;
}

void vine__polling_bring(struct vine__polling *polling, struct vine__record *record)
{
    record->now_ns = vine_clock_now(VINE_CLOCK_COARSE);
    record->item_count = 0;
    lend(polling->core, polling->colour, record);
    polling->is_quick = false;
    if (polling->has_answer)
        bring_next(polling, record);
    if (polling->raise != 0) {
        (void)vine__record_put(
            record, (struct vine__item){.kind = VINE__ITEM_RAISE, .result = polling->raise});
        polling->raise = 0;
    }
    if (polling->cancel != 0) {
        (void)vine__record_put(
            record, (struct vine__item){.kind = VINE__ITEM_CANCEL, .result = polling->cancel});
        polling->cancel = 0;
    }
    /* Either may be more than there is room for, for ever. */
    if (VINE__UNLIKELY(polling->is_behind))
        polling->is_behind = !(bring_sockets(polling, record) && bring_mail(polling, record));
    else
        polling->is_behind = !(bring_mail(polling, record) && bring_sockets(polling, record));
}

void vine__polling_bring_next(struct vine__polling_core *core, struct vine__polling *polling,
                              struct vine__record *record, const unsigned char *bytes,
                              uint32_t size, bool is_end)
{
    VINE_ASSERT_SLOW(polling->is_quick && polling->is_resting && !polling->has_answer);
    record->now_ns = vine_clock_now(VINE_CLOCK_COARSE);
    lend(core, polling->colour, record);
    record->items[0] = (struct vine__item){.kind = VINE__ITEM_NEXT,
                                           .place = polling->asker.place,
                                           .number = polling->asker.number,
                                           .result = 1 + (int64_t)size,
                                           .bytes = bytes,
                                           .is_end = is_end};
    record->item_count = 1;
    if (size > 0) { /* what it may read */
        polling->io.view = bytes;
        polling->io.view_size = size;
        polling->io.has_end = is_end;
    }
}

void vine__polling_stir(struct vine__polling *polling)
{
    polling->is_quick = false;
    polling->is_resting = false;
    polling->is_done = false;
}
