/* SPDX-License-Identifier: Apache-2.0 */
/* core/poll/poll.c - the outside of a micro-process: how it begins, waits for a time, and ends. */

#include <string.h>

#include <vine/tls.h>

#include "arch/guard/closed.h"
#include "core/network/network.h"
#include "core/poll/poll_internal.h"

/* ---- a core ---------------------------------------------------------------------------------- */

void vine__polling_core_init(struct vine__polling_core *core,
                             const struct vine__polling_calls *calls, uint32_t places_max)
{
    *core = (struct vine__polling_core){.calls = calls, .places_max = places_max};
    for (uint32_t i = 0; i < VINE__GUARD_COLOURS_MAX; i++)
        core->blocks[i].colour = i;
}

void vine__polling_core_fini(struct vine__polling_core *core)
{
    for (uint32_t i = 0; i < VINE__GUARD_COLOURS_MAX; i++)
        vine__blocks_fini(&core->blocks[i]);
    vine__senders_fini(core);
    while (core->alarms != NULL) {
        struct vine__alarm *const alarm = core->alarms;

        core->alarms = alarm->next;
        vine__closed_free(alarm);
    }
    vine_tls_destroy(core->tls);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void run(struct vine_work *work)
{
    vine__polling_run(VINE_CONTAINER_OF(work, struct vine__polling, work));
}

static void time_has_come(struct vine_timer *timer)
{
    struct vine__polling *const polling =
        VINE_CONTAINER_OF(timer, struct vine__alarm, timer)->polling;

    polling->armed_ns = 0;
    if (polling->has_ended) {
        vine__outlet_hurry(&polling->io);
    } else if (polling->due_ns > vine_clock_now(VINE_CLOCK_COARSE)) {
        polling->armed_ns = polling->due_ns;
        vine_timer_arm_at(timer, polling->due_ns);
    } else if (polling->due_ns != 0) {
        vine__polling_run(polling);
    }
}

struct vine_timer *vine__polling_timer(struct vine__polling *polling)
{
    struct vine__polling_core *const core = polling->core;
    struct vine__alarm *alarm = polling->alarm;

    if (VINE__LIKELY(alarm != NULL))
        return &alarm->timer;
    alarm = core->alarms;
    if (alarm != NULL)
        core->alarms = alarm->next;
    else
        alarm = vine__closed_alloc(sizeof(*alarm));
    polling->alarm = alarm;
    if (alarm == NULL)
        return NULL;
    alarm->polling = polling;
    vine_timer_init(&alarm->timer, VINE_CLOCK_COARSE, time_has_come);
    return &alarm->timer;
}

/* It comes no more. */
static void give_alarm(struct vine__polling *polling)
{
    struct vine__alarm *const alarm = polling->alarm;

    if (alarm == NULL)
        return;
    (void)vine_timer_cancel(&alarm->timer);
    polling->alarm = NULL;
    alarm->next = polling->core->alarms;
    polling->core->alarms = alarm;
}

void vine__polling_paint(const struct vine__polling *polling, struct vine_connection *connection)
{
    if (vine__guard_colour_count() > 1)
        vine__connection_paint(connection, polling->colour);
}

static int init_inside(struct vine__polling *polling, const struct vine__polling_options *options)
{
    struct vine__polling_inside *const inside = (struct vine__polling_inside *)vine__inside_init(
        options->heap, sizeof(*inside), options->type, (void *)(uintptr_t)options->argument);

    if (inside == NULL)
        return -ENOMEM;
    vine__socket_init(&inside->io, 0);
    if (options->connection != NULL)
        inside->base.first->socket = &inside->io;
    polling->inside = &inside->base;
    polling->io.place = (uint32_t)((unsigned char *)&inside->io - options->heap->region.start);
    return 0;
}

int vine__polling_begin(struct vine__polling *polling, const struct vine__polling_options *options)
{
    const int error = init_inside(polling, options);

    if (error != 0)
        return error;
    polling->heap = options->heap;
    polling->core = options->core;
    polling->colour = (uint8_t)options->heap->region.colour;
    polling->io.connection = options->connection;
    if (options->receive != NULL)
        vine__outlet_came(&polling->io, options->receive->bytes, options->receive->size);
    else if (options->connection != NULL)
        vine__polling_paint(polling, options->connection);
    vine_work_init(&polling->work, run);
    vine__guard_close(&polling->heap->region);
    return 0;
}

/* ---- without it ------------------------------------------------------------------------------ */

bool vine__polling_is_still_idle(struct vine__polling *polling)
{
    struct vine__outlet *const outlet = &polling->io;
    const bool was_idle = outlet->was_idle;

    outlet->was_idle = outlet->is_receiving && outlet->kept == 0 && !outlet->has_news &&
                       !outlet->is_sending && outlet->written == NULL;
    return was_idle && outlet->was_idle;
}

bool vine__polling_detach(struct vine__polling *polling, struct vine_receive *receive,
                          vine_receive_fn received)
{
    struct vine__outlet *const outlet = &polling->io;

    if (outlet->is_sending || outlet->written != NULL || outlet->error != 0 ||
        !outlet->is_receiving || outlet->is_spliced || outlet->kept != 0 || outlet->has_received ||
        outlet->has_end || polling->cancel != 0 || polling->raise != 0 ||
        !vine__furthers_are_none(polling))
        return false;
    receive->deadline_ns = polling->park_until_ns;
    if (!vine__receive_move(&outlet->receive, receive, received))
        return false; /* the first byte is on its way in here */
    if (polling->furthers != NULL)
        vine__connection_watch_end(outlet->connection, NULL); /* its work goes with `polling` */
    outlet->connection = NULL;
    return true;
}

/* ---- from one thing to the next -------------------------------------------------------------- */

bool vine__polling_is_fresh(struct vine__polling *polling)
{
    struct vine__outlet *const outlet = &polling->io;

    if (outlet->connection == NULL || outlet->is_receiving || outlet->is_sending ||
        outlet->written != NULL || outlet->is_spliced || outlet->is_shutting || outlet->has_file ||
        outlet->error != 0 || outlet->room.place != 0 || outlet->sent.place != 0 ||
        polling->raise != 0 || polling->cancel != 0 || polling->has_overrun)
        return false;
    vine__outlet_let_view_go(outlet);
    outlet->has_received = false;
    outlet->has_end = false;
    return true;
}

void vine__polling_give(struct vine__polling *polling, const unsigned char *bytes, uint32_t size,
                        bool is_end)
{
    VINE_ASSERT_SLOW(polling->is_done && !polling->has_answer);
    polling->has_answer = true;
    polling->has_next = true;
    polling->io.view = bytes;
    polling->io.view_size = size;
    polling->io.has_end = is_end;
}

void vine__polling_dismiss(struct vine__polling *polling)
{
    polling->has_answer = true;
    polling->has_next = false;
}

/* ---- the end --------------------------------------------------------------------------------- */

bool vine__polling_farewell(struct vine__polling *polling, const char *text)
{
    struct vine__outlet *const outlet = &polling->io;
    struct vine__sender *sender;

    /* What was begun to be written may be half of an answer. */
    if (outlet->connection == NULL || !outlet->has_news || outlet->is_sending ||
        outlet->written != NULL || outlet->error != 0)
        return false;
    sender = vine__outlet_sender(outlet);
    if (sender != NULL)
        vine_send(outlet->connection, &sender->send, text, strlen(text), vine__outlet_send_ended);
    return sender != NULL;
}

/* The kernel has nothing of its connection any more. */
static void closed(struct vine_work *work)
{
    struct vine__polling *const polling = VINE_CONTAINER_OF(work, struct vine__polling, closed);

    if (polling->work.is_posted ||
        (polling->furthers != NULL && polling->furthers->hung_up.is_posted)) {
        vine_work_post(work); /* behind that one */
        return;
    }
    polling->is_closed = true;
    if (!vine__furthers_are_closed(polling))
        return; /* the last of them comes here again */
    give_alarm(polling);
    vine__outlet_fini(&polling->io);
    if (polling->furthers != NULL)
        vine__furthers_forget_makings(polling);
    vine__closed_free(polling->furthers);
    polling->core->calls->closed(polling);
}

void vine__polling_end(struct vine__polling *polling, bool at_once)
{
    VINE_ASSERT(!polling->has_ended);
    polling->has_ended = true;
    polling->heap = NULL;
    vine_work_init(&polling->closed, closed);
    give_alarm(polling);
    vine__mail_destroy(polling->mail);
    polling->mail = NULL;
    vine__furthers_close(polling, at_once);
    vine__outlet_close(&polling->io, at_once);
}

void vine__polling_hurry(struct vine__polling *polling)
{
    vine__furthers_hurry(polling);
    vine__outlet_hurry(&polling->io);
}
