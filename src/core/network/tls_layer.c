/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layer. Whatever happens, vine__tls_go_on looks what can be done: shake hands, encrypt what is
 * to be sent, decrypt for whoever waits, and then what that needs below is begun.
 */
#include "core/network/tls_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "utils/bits.h"
#include "utils/container_of.h"

#define FAREWELL_NS (2 * VINE_NS_PER_SECOND) /* until a peer that takes none is left */

/* ---- ends ------------------------------------------------------------------------------------ */

static void end_start(struct tls_connection *connection, int error)
{
    struct vine_tls_start *const start = connection->start;

    connection->start = NULL;
    start->error = error;
    start->connection = error == 0 ? &connection->base : NULL;
    start->has_ended = true;
    vine_work_post(&start->work);
    if (error != 0)
        vine__connection_drop(&connection->base);
}

void vine__tls_end_sends(struct tls_connection *connection, int error)
{
    connection->current = NULL;
    vine__send_queue_end(&connection->sends, error);
}

void vine__tls_fail(struct tls_connection *connection, int error)
{
    struct vine_receive *const reader = connection->base.reader;

    struct vine_network_counts *const counts = &connection->base.network->counts;

    if (connection->has_failed)
        return;
    if (connection->start == NULL)
        counts->tls_failures++;
    else if (error != -ECANCELED)
        counts->tls_refusals++;
    connection->has_failed = true;
    connection->failure = error;
    vine__tls_end_sends(connection, error);
    if (reader != NULL && !reader->has_ended)
        vine__receive_end(reader, NULL, error);
    if (connection->start != NULL)
        end_start(connection, error);
}

static void tell_why(struct tls_connection *connection, const char *text)
{
    if (connection->start != NULL && text != NULL)
        (void)snprintf(connection->start->why, sizeof(connection->start->why), "%s", text);
}

/* After a call of OpenSSL that did not succeed. Returns 0: it waits for something; or an error. */
static int error_of(struct tls_connection *connection, int result)
{
    const int kind = SSL_get_error(connection->ssl, result);
    const long verified = SSL_get_verify_result(connection->ssl);
    const unsigned long code = ERR_peek_error();

    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
        return 0;
    if (connection->has_below_ended && connection->in_size == 0)
        return connection->below_end != 0 ? connection->below_end : -ECONNABORTED;
    if (verified != X509_V_OK && !connection->tls->is_unverified) {
        tell_why(connection, X509_verify_cert_error_string(verified));
        return -EKEYREJECTED;
    }
    tell_why(connection, code != 0 ? ERR_reason_error_string(code) : NULL);
    return ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EPROTO;
}

/* ---- below ----------------------------------------------------------------------------------- */

static void on_received(struct vine_receive *receive)
{
    struct tls_connection *const connection =
        VINE_CONTAINER_OF(receive, struct tls_connection, receive);

    connection->is_receiving = false;
    if (receive->size > 0) {
        connection->in = receive->bytes;
        connection->in_size = (size_t)receive->size;
    } else {
        connection->has_below_ended = true;
        connection->below_end = (int)receive->size;
    }
    vine__tls_go_on(connection);
}

/* Those before `current` are on their way to the peer; all, if none is current. */
static void end_sent(struct tls_connection *connection)
{
    while (connection->sends.first != connection->current) {
        VINE_ASSERT(connection->sends.first != NULL); /* the current one is in the list */

        struct vine_send *const send = vine__send_queue_take(&connection->sends);

        send->sent = send->size;
        vine__send_end(send, 0);
    }
    if (connection->current != NULL)
        connection->current->sent = connection->current_done;
}

static void on_sent(struct vine_send *send)
{
    struct tls_connection *const connection = VINE_CONTAINER_OF(send, struct tls_connection, send);

    connection->is_sending = false;
    free(connection->flight);
    connection->flight = NULL;
    if (send->error != 0)
        vine__tls_fail(connection, send->error);
    else if (!connection->has_failed)
        end_sent(connection);
    vine__tls_go_on(connection);
}

static void on_shut(struct vine_send *send)
{
    struct tls_connection *const connection =
        VINE_CONTAINER_OF(send, struct tls_connection, shutdown);

    connection->is_shutting = false;
    if (send->error != 0) {
        vine__tls_fail(connection, send->error);
    } else if (!connection->has_failed) {
        end_sent(connection);
        vine__tls_end_sends(connection, -EPIPE); /* which began after it */
    }
    vine__tls_go_on(connection);
}

static void on_below_closed(struct vine_work *work)
{
    struct tls_connection *const connection =
        VINE_CONTAINER_OF(work, struct tls_connection, closed);

    vine__connection_let_go(&connection->base);
}

static void leave_below(struct tls_connection *connection)
{
    if (connection->is_gone)
        return;
    connection->is_gone = true;
    vine_work_init(&connection->closed, on_below_closed);
    vine_connection_close(connection->below, &connection->closed);
}

static void flush(struct tls_connection *connection)
{
    if (connection->out_size == 0 || connection->is_sending || connection->is_gone)
        return;
    const size_t size = connection->out_size;

    /* More may be written while this is on its way. */
    connection->flight = connection->out;
    connection->out = NULL;
    connection->out_size = 0;
    connection->out_room = 0;
    connection->is_sending = true;
    connection->send.deadline_ns =
        connection->is_leaving ? vine_clock_now(VINE_CLOCK_COARSE) + FAREWELL_NS : 0;
    vine_send(connection->below, &connection->send, connection->flight, size, on_sent);
}

static void receive_below(struct tls_connection *connection)
{
    if (connection->is_receiving || connection->in_size != 0 || connection->has_below_ended ||
        connection->is_gone)
        return;
    connection->is_receiving = true;
    vine_receive(connection->below, &connection->receive, on_received);
}

/* ---- what OpenSSL does ----------------------------------------------------------------------- */

/* What OpenSSL could not do has failed, or wants more from below. */
static void get_more(struct tls_connection *connection, int result)
{
    const int error = error_of(connection, result);

    if (error != 0)
        vine__tls_fail(connection, error);
    else
        receive_below(connection);
}

static void shake_hands(struct tls_connection *connection)
{
    ERR_clear_error();
    const int result = SSL_do_handshake(connection->ssl);

    if (result == 1) {
        connection->base.network->counts.tls_handshakes++;
        connection->base.network->counts.tls_resumed +=
            SSL_session_reused(connection->ssl) == 1 ? 1 : 0;
        end_start(connection, 0);
        return;
    }
    get_more(connection, result);
}

/* A piece of what is being sent, from where it has been encrypted. Returns its size. */
static size_t next_piece(const struct tls_connection *connection, const unsigned char **ret_bytes)
{
    const struct vine_send *const send = connection->current;
    size_t skip = connection->current_done;

    if (send->vector_count == 0) {
        *ret_bytes = send->bytes + skip;
        return send->size - skip;
    }
    for (uint32_t i = 0; i < send->vector_count; i++) {
        if (skip < send->vector[i].iov_len) {
            *ret_bytes = (const unsigned char *)send->vector[i].iov_base + skip;
            return send->vector[i].iov_len - skip;
        }
        skip -= send->vector[i].iov_len;
    }
    return 0;
}

static void take_current(struct tls_connection *connection)
{
    connection->current = connection->current->next;
    connection->current_done = 0;
}

void vine__tls_say_farewell(struct tls_connection *connection)
{
    ERR_clear_error();
    (void)SSL_shutdown(connection->ssl);
    ERR_clear_error();
    connection->has_farewell = true;
}

/* Returns 1: it goes on, 0: it waits, or an error. */
static int encrypt_piece(struct tls_connection *connection)
{
    const unsigned char *bytes;
    const size_t size = next_piece(connection, &bytes);
    size_t done;

    if (size == 0)
        return 1;
    ERR_clear_error();
    const int result =
        SSL_write_ex(connection->ssl, bytes, (size_t)vine__min_u64(size, TLS_OUT_MAX), &done);

    if (result != 1)
        return error_of(connection, result);
    connection->current_done += done;
    return 1;
}

static void encrypt(struct tls_connection *connection)
{
    int goes_on = 1;

    if (connection->is_sending || connection->has_farewell)
        return;
    while (goes_on > 0 && connection->current != NULL && connection->out_size < TLS_OUT_MAX) {
        const struct vine_send *const send = connection->current;

        if (send->kind == VINE__SEND_SHUTDOWN) {
            vine__tls_say_farewell(connection);
            return;
        }
        if (connection->current_done < send->size)
            goes_on = encrypt_piece(connection);
        if (connection->current_done == send->size)
            take_current(connection);
    }
    if (goes_on < 0)
        vine__tls_fail(connection, goes_on);
    else if (connection->out_size == 0 && connection->sends.first != connection->current)
        end_sent(connection); /* empty ones */
}

/* The farewell has gone out: end the stream below, in the queue's name. */
static void shut_below(struct tls_connection *connection)
{
    if (!connection->has_farewell || connection->is_sending || connection->out_size != 0 ||
        connection->current == NULL || connection->is_shutting || connection->is_gone)
        return;
    take_current(connection);
    connection->is_shutting = true;
    vine_shutdown_send(connection->below, &connection->shutdown, on_shut);
}

static void decrypt(struct tls_connection *connection)
{
    struct vine_receive *const reader = connection->base.reader;
    size_t size = 0;

    if (reader == NULL || reader->has_ended)
        return;
    /* What OpenSSL answers by itself, new keys above all, goes out before a peer has more of it:
     * one that reads nothing would have it kept without a bound. */
    if (connection->is_sending && connection->out_size >= TLS_OUT_MAX)
        return;
    if (connection->has_ended) {
        vine__receive_end(reader, NULL, 0);
        return;
    }
    if (reader->into == NULL && connection->plain == NULL)
        connection->plain = vine__view_take(&connection->base, TLS_PLAIN_MAX);
    unsigned char *const room = reader->into != NULL ? reader->into : connection->plain;

    if (room == NULL) {
        vine__receive_end(reader, NULL, -ENOMEM);
        return;
    }
    ERR_clear_error();
    const int result = SSL_read_ex(
        connection->ssl, room, reader->into != NULL ? reader->into_bytes : TLS_PLAIN_MAX, &size);

    if (result == 1) {
        vine__receive_end(reader, room, (int64_t)size);
        return;
    }
    /* Who waits needs none. */
    vine__view_give(&connection->base, connection->plain, TLS_PLAIN_MAX);
    connection->plain = NULL;
    if (SSL_get_error(connection->ssl, result) == SSL_ERROR_ZERO_RETURN) {
        connection->has_ended = true;
        vine__receive_end(reader, NULL, 0);
        return;
    }
    get_more(connection, result);
}

void vine__tls_go_on(struct tls_connection *connection)
{
    if (connection->is_leaving) {
        flush(connection);
        if (!connection->is_sending)
            leave_below(connection);
        return;
    }
    if (connection->start != NULL && !connection->has_failed)
        shake_hands(connection);
    if (connection->start == NULL && !connection->has_failed) {
        encrypt(connection);
        decrypt(connection);
    }
    if (connection->is_leaving) /* since it failed */
        return;
    flush(connection);
    if (!connection->has_failed)
        shut_below(connection);
}
