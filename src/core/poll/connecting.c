/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/poll/connecting.c - a further socket on its way: its name is looked up, and the addresses
 * that this gives are tried one after the other.
 *
 * Whoever asked may be gone before the end: this is its own, and goes when the network has told of
 * that.
 */

#include <vine/lookup.h>

#include "arch/guard/closed.h"
#include "core/poll/poll_internal.h"

struct connecting {
    struct further *further; /* NULL: nobody waits for it any more */
    struct vine_lookup lookup;
    struct vine_connect connect;
    uint32_t at; /* of the addresses */
};

static void end(struct connecting *connecting, int error, struct vine_connection *connection)
{
    struct further *const further = connecting->further;

    vine__closed_free(connecting);
    if (further != NULL)
        vine__further_connected(further, error, connection);
    else if (connection != NULL)
        vine_connection_close(connection, NULL);
}

static void connected(struct vine_connect *connect);

static void try(struct connecting *connecting)
{
    (vine_connect)(&connecting->connect, &connecting->lookup.addresses[connecting->at], connected);
}

static void connected(struct vine_connect *connect)
{
    struct connecting *const connecting = VINE_CONTAINER_OF(connect, struct connecting, connect);

    if (connect->error != 0 && connecting->further != NULL &&
        ++connecting->at < connecting->lookup.count)
        try(connecting);
    else
        end(connecting, connect->error, connect->connection);
}

static void looked_up(struct vine_lookup *lookup)
{
    struct connecting *const connecting = VINE_CONTAINER_OF(lookup, struct connecting, lookup);

    if (lookup->error != 0 || connecting->further == NULL)
        end(connecting, lookup->error, NULL);
    else
        try(connecting);
}

void vine__further_connect(struct further *further, const char *text)
{
    struct connecting *const connecting = vine__closed_alloc(sizeof(*connecting));

    further->connecting = connecting;
    if (connecting == NULL) {
        further->answer = -ENOMEM;
        further->has_answer = true;
        vine_work_post(&further->outlet.polling->work);
        return;
    }
    connecting->further = further;
    vine_lookup(&connecting->lookup, text, looked_up);
}

void vine__connecting_leave(struct connecting *connecting)
{
    connecting->further = NULL;
    vine_lookup_cancel(&connecting->lookup);
    vine_connect_cancel(&connecting->connect);
}
