/* SPDX-License-Identifier: Apache-2.0 */
/* core/poll/listening.c - sockets that listen for one micro-process. */

#include "arch/guard/closed.h"
#include "core/poll/poll_internal.h"

#define WAITING_MAX 16U /* who have connected, and nobody has accepted them */

/* It stays until the network is done with its listener. */
struct listening {
    struct further *further; /* NULL: nobody inside has it any more */
    struct vine_listener *listener;
    struct vine_work closed;
    uint32_t count;
    struct vine_connection *waiting[WAITING_MAX];
};

static void closed(struct vine_work *work)
{
    vine__closed_free(VINE_CONTAINER_OF(work, struct listening, closed));
}

/* The one that has waited longest for who connects there, or NULL. */
static struct further *first_accepting(const struct further *listener)
{
    VINE_LIST_FOR_EACH(node, &listener->polling->furthers->all)
    {
        struct further *const further = VINE_LIST_OBJECT(node, struct further, link);

        if (further->accepts == listener)
            return further;
    }
    return NULL;
}

static void accepted(struct vine_connection *connection, void *context)
{
    struct listening *const listening = context;
    struct further *const further =
        listening->further != NULL ? first_accepting(listening->further) : NULL;

    if (further != NULL)
        vine__further_connected(further, 0, connection);
    else if (listening->further != NULL && listening->count < WAITING_MAX)
        listening->waiting[listening->count++] = connection;
    else
        vine_connection_close(connection, NULL);
}

static void answer(struct further *further, int64_t result)
{
    further->answer = result;
    further->has_answer = true;
    vine_work_post(&further->polling->work);
}

void vine__further_listen(struct further *further, const char *text)
{
    const struct vine_listen_options options = {.size_bytes = sizeof(options),
                                                .balance = VINE_BALANCE_HERE};
    struct listening *const listening = vine__closed_alloc(sizeof(*listening));
    struct vine_address address;
    int error = listening != NULL ? vine_address_parse(text, &address) : -ENOMEM;

    if (error == 0)
        error = (vine_listen)(&address, &options, accepted, listening, &listening->listener);
    if (error != 0) {
        vine__closed_free(listening);
        answer(further, error);
        return;
    }
    vine_work_init(&listening->closed, closed);
    listening->further = further;
    further->listening = listening;
    answer(further, vine_address_port(vine_listener_address(listening->listener)));
}

void vine__further_accept(struct further *further, struct further *listener)
{
    struct listening *const listening = listener->listening;

    if (listening->count == 0) {
        further->accepts = listener;
        return;
    }
    further->outlet.connection = listening->waiting[0];
    vine__polling_paint(further->polling, further->outlet.connection);
    listening->count--;
    for (uint32_t i = 0; i < listening->count; i++)
        listening->waiting[i] = listening->waiting[i + 1];
    answer(further, 0);
}

void vine__listening_leave(struct listening *listening)
{
    struct further *further;

    while ((further = first_accepting(listening->further)) != NULL) {
        further->accepts = NULL;
        answer(further, -ECANCELED);
    }
    listening->further = NULL;
    while (listening->count > 0)
        vine_connection_close(listening->waiting[--listening->count], NULL);
    vine_listener_close(listening->listener, &listening->closed);
}
