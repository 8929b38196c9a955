/* SPDX-License-Identifier: Apache-2.0 */
/* A session as a connection like any other. */
#include "core/network/tls_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/guard/closed.h"

static void tls_receive(struct vine_connection *base, struct vine_receive *receive)
{
    struct tls_connection *const connection = vine__tls_of(base);

    if (receive->descriptors != NULL)
        vine__receive_end(receive, NULL, -EOPNOTSUPP);
    else if (connection->has_failed)
        vine__receive_end(receive, NULL, connection->failure);
    else
        vine__tls_go_on(connection);
}

static void tls_receive_cancel(struct vine_connection *base, struct vine_receive *receive)
{
    (void)base; /* what is begun below goes on, for the next one */
    vine__receive_end(receive, NULL, receive->wish);
}

static void tls_send(struct vine_connection *base, struct vine_send *send)
{
    struct tls_connection *const connection = vine__tls_of(base);

    if (send->kind == VINE__SEND_DESCRIPTORS) {
        vine__send_end(send, -EOPNOTSUPP);
        return;
    }
    if (connection->has_failed || connection->has_farewell) {
        vine__send_end(send, -EPIPE);
        return;
    }
    vine__send_queue_add(&connection->sends, send);
    if (connection->current == NULL) {
        connection->current = send;
        connection->current_done = 0;
    }
    vine__tls_go_on(connection);
}

/* Whether nothing of it has been encrypted. */
static bool is_untouched(const struct tls_connection *connection, const struct vine_send *send)
{
    if (connection->current == send)
        return connection->current_done == 0;
    for (const struct vine_send *at = connection->current; at != NULL; at = at->next)
        if (at == send)
            return true;
    return false;
}

static void tls_send_cancel(struct vine_connection *base, struct vine_send *send)
{
    struct tls_connection *const connection = vine__tls_of(base);

    if (is_untouched(connection, send)) {
        if (connection->current == send)
            connection->current = send->next;
        vine__send_queue_remove(&connection->sends, send);
        vine__send_end(send, send->wish);
    } else {
        /* Part of it is encrypted, and records have no gaps: nothing can follow. */
        vine__tls_fail(connection, -EPIPE);
        if (connection->is_sending)
            vine_send_cancel(&connection->send);
    }
}

static void tls_end_all(struct vine_connection *base)
{
    struct tls_connection *const connection = vine__tls_of(base);
    struct vine_receive *const reader = base->reader;
    const bool is_quiet = !connection->has_failed && connection->start == NULL &&
                          connection->sends.first == NULL && !connection->is_sending;

    if (reader != NULL && !reader->has_ended)
        vine__receive_end(reader, NULL, -ECANCELED);
    vine__tls_end_sends(connection, -ECANCELED);
    if (connection->start != NULL) {
        struct vine_tls_start *const start = connection->start;

        connection->start = NULL;
        start->error = -ECANCELED;
        start->has_ended = true;
        vine_work_post(&start->work);
        base->is_closed = true;
    }
    connection->is_leaving = true;
    if (is_quiet && !connection->has_farewell)
        vine__tls_say_farewell(connection);
    else if (connection->is_sending)
        vine_send_cancel(&connection->send);
    vine__tls_go_on(connection); /* what is written goes out: the farewell, or what is wrong */
}

static int tls_get_address(struct vine_connection *base, bool is_peer,
                           struct vine_address *ret_address)
{
    const struct tls_connection *const connection = vine__tls_of(base);

    if (connection->is_gone)
        return -ENOTCONN;
    return is_peer ? vine_connection_get_peer(connection->below, ret_address)
                   : vine_connection_get_address(connection->below, ret_address);
}

static void tls_free(struct vine_connection *base)
{
    struct tls_connection *const connection = vine__tls_of(base);

    SSL_free(connection->ssl);
    vine__tls_unref(connection->tls);
    if (connection->chosen != NULL)
        vine__tls_unref(connection->chosen);
    free(connection->name);
    free(connection->out);
    free(connection->flight);
    vine__view_give(&connection->base, connection->plain, TLS_PLAIN_MAX);
    vine__closed_free(connection);
}

static const struct vine__connection_ops tls_ops = {
    .receive = tls_receive,
    .receive_cancel = tls_receive_cancel,
    .send = tls_send,
    .send_cancel = tls_send_cancel,
    .end_all = tls_end_all,
    .get_address = tls_get_address,
    .free = tls_free,
};

struct tls_connection *vine__tls_create(struct vine_tls *tls, struct vine_connection *below)
{
    struct tls_connection *const connection = vine__closed_alloc(sizeof(*connection));
    SSL_CTX *context;

    if (connection == NULL)
        return NULL;
    connection->below = below;
    connection->tls = tls;
    context = vine__tls_context(tls);
    connection->ssl = SSL_new(context);
    SSL_CTX_free(context);
    if (connection->ssl == NULL || SSL_set_app_data(connection->ssl, connection) != 1 ||
        vine__tls_attach(connection) != 0) {
        SSL_free(connection->ssl);
        vine__closed_free(connection);
        return NULL;
    }
    vine__tls_ref(tls);
    connection->base.is_layer = true;
    vine__connection_init(&connection->base, below->network, &tls_ops, false);
    return connection;
}

void vine_tls_get_protocol(struct vine_connection *connection,
                           char ret_protocol[VINE_TLS_WHY_BYTES])
{
    const unsigned char *protocol;
    unsigned int size;

    VINE_ASSERT(connection->ops == &tls_ops);
    SSL_get0_alpn_selected(vine__tls_of(connection)->ssl, &protocol, &size);
    size = size < VINE_TLS_WHY_BYTES ? size : VINE_TLS_WHY_BYTES - 1;
    if (size != 0)
        memcpy(ret_protocol, protocol, size);
    ret_protocol[size] = '\0';
}

bool vine_tls_was_resumed(struct vine_connection *connection)
{
    VINE_ASSERT(connection->ops == &tls_ops);
    return SSL_session_reused(vine__tls_of(connection)->ssl) == 1;
}
