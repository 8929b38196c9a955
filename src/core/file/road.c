/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a core without an I/O queue go to the neighbour that has one, and back at their end.
 * Each direction is one call at a time with all that there is; what comes up meanwhile goes with
 * the next. So they need no memory, and take no more than one of the calls that may be in flight
 * between two cores, however long the device keeps them.
 *
 * A request belongs to the neighbour from its sending until it is back. A cancel is on its way with
 * an address of ours in it, so the end waits for the cancel's return.
 */
#include "core/file/file_internal.h"

#include <errno.h>

static void add(struct vine__io_batch *batch, struct vine_io_request *request)
{
    request->next = NULL;
    *batch->last = request;
    batch->last = &request->next;
}

static struct vine_io_request *take_all(struct vine__io_batch *batch)
{
    struct vine_io_request *const first = batch->first;

    batch->first = NULL;
    batch->last = &batch->first;
    return first;
}

/* ---- there ----------------------------------------------------------------------------------- */

static int64_t receive(void *requests)
{
    struct vine__file_core *const core = vine__file_here();
    struct vine_io_request *next;

    VINE_ASSERT(core->has_queue);
    for (struct vine_io_request *request = requests; request != NULL; request = next) {
        next = request->next;
        vine__io_take(core, request);
    }
    return 0;
}

static void send_out(struct vine__file_core *core);

static void see_sent(struct vine_core_call *call)
{
    struct vine__io_batch *const batch = VINE_CONTAINER_OF(call, struct vine__io_batch, call);

    batch->is_away = false;
    send_out(VINE_CONTAINER_OF(batch, struct vine__file_core, out));
}

static void send_out(struct vine__file_core *core)
{
    struct vine__io_batch *const batch = &core->out;

    if (batch->is_away || batch->first == NULL)
        return;
    batch->is_away = true;
    vine_core_call(&batch->call, core->neighbour, receive, take_all(batch), see_sent);
}

void vine__io_send(struct vine__file_core *core, struct vine_io_request *request)
{
    VINE_ASSERT(core->neighbour != core->core); /* vine__io_queue_assign was not called here */
    request->is_away = true;
    request->is_cancel_away = false;
    request->has_returned = false;
    add(&core->out, request);
    send_out(core);
}

/* ---- cancels --------------------------------------------------------------------------------- */

static int64_t receive_cancels(void *requests)
{
    struct vine__file_core *const core = vine__file_here();

    for (struct vine_io_request *request = requests; request != NULL;
         request = request->next_cancel)
        vine__io_cancel(core, request);
    return 0;
}

static void send_cancels(struct vine__file_core *core);

static void see_cancelled(struct vine_core_call *call)
{
    struct vine__io_batch *const batch = VINE_CONTAINER_OF(call, struct vine__io_batch, call);
    struct vine_io_request *next;

    batch->is_away = false;
    for (struct vine_io_request *request = batch->sent; request != NULL; request = next) {
        next = request->next_cancel;
        request->is_cancel_away = false;
        if (request->has_returned)
            vine__io_arrive(request);
    }
    send_cancels(VINE_CONTAINER_OF(batch, struct vine__file_core, cancels));
}

/* Calls to the neighbour begin in order: with no requests held back, those that are to be cancelled
 * are there before. */
static void send_cancels(struct vine__file_core *core)
{
    struct vine__io_batch *const batch = &core->cancels;

    if (batch->is_away || batch->first == NULL)
        return;
    batch->is_away = true;
    batch->sent = batch->first;
    batch->first = NULL;
    vine_core_call(&batch->call, core->neighbour, receive_cancels, batch->sent, see_cancelled);
}

/* Whether it has not been sent yet: then it is taken back. */
static bool take_back(struct vine__io_batch *batch, struct vine_io_request *request)
{
    struct vine_io_request **link = &batch->first;

    while (*link != NULL && *link != request)
        link = &(*link)->next;
    if (*link == NULL)
        return false;
    *link = request->next;
    if (request->next == NULL)
        batch->last = link;
    return true;
}

void vine__io_send_cancel(struct vine__file_core *core, struct vine_io_request *request)
{
    if (take_back(&core->out, request)) {
        request->result = -ECANCELED;
        vine__io_arrive(request);
        return;
    }
    request->is_cancel_away = true;
    request->next_cancel = core->cancels.first;
    core->cancels.first = request;
    send_cancels(core);
}

/* ---- and back -------------------------------------------------------------------------------- */

static int64_t receive_ended(void *requests)
{
    struct vine_io_request *next;

    for (struct vine_io_request *request = requests; request != NULL; request = next) {
        next = request->next;
        if (request->is_cancel_away)
            request->has_returned = true;
        else
            vine__io_arrive(request);
    }
    return 0;
}

static void see_sent_back(struct vine_core_call *call);

static void send_returns(struct vine__io_batch *batch, uint32_t origin)
{
    if (batch->is_away || batch->first == NULL)
        return;
    batch->is_away = true;
    vine_core_call(&batch->call, origin, receive_ended, take_all(batch), see_sent_back);
}

static void see_sent_back(struct vine_core_call *call)
{
    struct vine__io_batch *const batch = VINE_CONTAINER_OF(call, struct vine__io_batch, call);

    batch->is_away = false;
    send_returns(batch, (uint32_t)(batch - vine__file_here()->returns));
}

void vine__io_send_back(struct vine__file_core *core, struct vine_io_request *request)
{
    struct vine__io_batch *const batch = &core->returns[request->origin];
    const uint32_t origin = request->origin;

    add(batch, request);
    send_returns(batch, origin);
}
