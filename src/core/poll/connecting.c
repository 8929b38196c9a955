/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/poll/connecting.c - a further socket on its way: its name is looked up, and the addresses
 * that this gives are tried one after the other; and then, where it is to be by TLS, who answers
 * there is greeted by that name.
 *
 * Or it is a procedure of an appliance, to which core/remote makes a stream.
 *
 * Whoever asked may be gone before the end: this is its own, and goes when the network has told of
 * that.
 */

#include <errno.h>
#include <string.h>

#include <vine/lookup.h>
#include <vine/remote.h>
#include <vine/tls.h>

#include "arch/guard/closed.h"
#include "core/poll/poll_internal.h"

struct connecting {
    struct further *further; /* NULL: nobody waits for it any more */
    struct vine_lookup lookup;
    struct vine_connect connect;
    uint32_t at; /* of the addresses */
    struct vine_tls_start start;
    struct vine_remote_connect reach;  /* of a procedure, instead of all that */
    char host[VINE__FURTHER_TEXT_MAX]; /* whom to find there by TLS, or the procedure; "": none */
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

static void greeted(struct vine_tls_start *start)
{
    end(VINE_CONTAINER_OF(start, struct connecting, start), start->error, start->connection);
}

/* The core's first one says whom all of them trust. */
static void greet(struct connecting *connecting, struct vine_connection *connection)
{
    const struct vine_tls_options options = {.size_bytes = sizeof(options)};
    struct vine__polling_core *const core = connecting->further->polling->core;
    const int error = core->tls == NULL ? vine_tls_create(&options, &core->tls) : 0;

    if (error == 0) {
        vine_tls_connect(core->tls, &connecting->start, connection, connecting->host, greeted);
    } else {
        vine_connection_close(connection, NULL);
        end(connecting, error, NULL);
    }
}

static void connected(struct vine_connect *connect)
{
    struct connecting *const connecting = VINE_CONTAINER_OF(connect, struct connecting, connect);

    if (connect->error == 0 && connecting->further != NULL && connecting->host[0] != '\0')
        greet(connecting, connect->connection);
    else if (connect->error != 0 && connecting->further != NULL &&
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

/* Before its port, without brackets. Returns 0 or -EINVAL: there is none. */
static int find_host(const char *text, char ret_host[VINE__FURTHER_TEXT_MAX])
{
    const char *const colon = strrchr(text, ':');
    size_t size = colon != NULL ? (size_t)(colon - text) : 0;

    if (size > 2 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    if (size == 0 || strncmp(text, "unix:", 5) == 0)
        return -EINVAL;
    memcpy(ret_host, text, size);
    ret_host[size] = '\0';
    return 0;
}

static void cannot(struct further *further, int error)
{
    further->answer = error;
    further->has_answer = true;
    vine_work_post(&further->polling->work);
}

static void reached(struct vine_remote_connect *reach)
{
    end(VINE_CONTAINER_OF(reach, struct connecting, reach), reach->error, reach->connection);
}

void vine__further_connect_remote(struct further *further, struct vine_remote remote,
                                  const char *procedure)
{
    struct connecting *const connecting = vine__closed_alloc(sizeof(*connecting));

    if (connecting == NULL) {
        cannot(further, -ENOMEM);
        return;
    }
    further->connecting = connecting;
    connecting->further = further;
    memcpy(connecting->host, procedure, strlen(procedure) + 1);
    vine_remote_connect(&connecting->reach, remote, connecting->host, reached);
}

void vine__further_connect(struct further *further, const char *text, bool is_tls)
{
    struct connecting *const connecting = vine__closed_alloc(sizeof(*connecting));
    int error = connecting != NULL ? 0 : -ENOMEM;

    if (error == 0 && is_tls)
        error = find_host(text, connecting->host);
    if (error != 0) {
        vine__closed_free(connecting);
        cannot(further, error);
        return;
    }
    further->connecting = connecting;
    connecting->further = further;
    vine_lookup(&connecting->lookup, text, looked_up);
}

void vine__connecting_leave(struct connecting *connecting)
{
    connecting->further = NULL;
    vine_lookup_cancel(&connecting->lookup);
    vine_connect_cancel(&connecting->connect);
    vine_tls_cancel(&connecting->start);
    vine_remote_connect_cancel(&connecting->reach);
}
