/* SPDX-License-Identifier: Apache-2.0 */
/* How a session over a connection begins: the handshake as who waits for it sees it. */
#include "core/network/tls_internal.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "utils/container_of.h"

static void call_start(struct vine_work *work)
{
    struct vine_tls_start *const start = VINE_CONTAINER_OF(work, struct vine_tls_start, work);

    (void)vine_timer_cancel(&start->timer);
    start->begun = NULL;
    start->fn(start);
}

static void end_soon(struct vine_tls_start *start, int error)
{
    if (start->begun != NULL && !start->has_ended)
        vine__tls_fail(vine__tls_of(start->begun), error);
}

static void time_out(struct vine_timer *timer)
{
    struct vine_tls_start *const start = VINE_CONTAINER_OF(timer, struct vine_tls_start, timer);

    if (!start->has_ended)
        start->begun->network->counts.deadlines++;
    end_soon(start, -ETIMEDOUT);
}

void vine_tls_cancel(struct vine_tls_start *start)
{
    end_soon(start, -ECANCELED);
}

/* Of a name, or of an address as text. */
static int expect_name(struct tls_connection *connection, const char *name)
{
    X509_VERIFY_PARAM *const parameters = SSL_get0_param(connection->ssl);
    SSL_SESSION *const session = vine__tls_session(connection->tls, name);

    if (name[0] == '\0' || strlen(name) > TLSEXT_MAXLEN_host_name)
        return -EINVAL;
    connection->name = strdup(name);
    if (connection->name == NULL)
        return -ENOMEM;
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name) != 1) {
        if (X509_VERIFY_PARAM_set1_host(parameters, name, 0) != 1 ||
            SSL_set_tlsext_host_name(connection->ssl, name) != 1)
            return -ENOMEM; /* its length does */
    }
    if (session != NULL && !connection->tls->has_no_tickets)
        (void)SSL_set_session(connection->ssl, session);
    return 0;
}

static void start_session(struct vine_tls *tls, struct vine_tls_start *start,
                          struct vine_connection *below, const char *name, vine_tls_start_fn fn)
{
    struct tls_connection *const connection = vine__tls_create(tls, below);
    int error = connection == NULL ? -ENOMEM : 0;

    start->error = 0;
    start->connection = NULL;
    start->why[0] = '\0';
    start->fn = fn;
    start->begun = NULL;
    start->has_ended = false;
    vine_work_init(&start->work, call_start);
    vine_timer_init(&start->timer, VINE_CLOCK_COARSE, time_out);
    if (connection == NULL) {
        start->error = error;
        start->has_ended = true;
        vine_connection_close(below, NULL);
        vine_work_post(&start->work);
        return;
    }
    start->begun = &connection->base;
    connection->start = start;
    if (name == NULL) {
        SSL_set_accept_state(connection->ssl);
    } else {
        SSL_set_connect_state(connection->ssl);
        error = expect_name(connection, name);
    }
    if (error != 0) {
        vine__tls_fail(connection, error);
        return;
    }
    if (start->deadline_ns != 0)
        vine_timer_arm_at(&start->timer, start->deadline_ns);
    vine__tls_go_on(connection);
}

void vine_tls_accept(struct vine_tls *tls, struct vine_tls_start *start,
                     struct vine_connection *below, vine_tls_start_fn fn)
{
    VINE_ASSERT(tls->is_server);
    start_session(tls, start, below, NULL, fn);
}

void vine_tls_connect(struct vine_tls *tls, struct vine_tls_start *start,
                      struct vine_connection *below, const char *name, vine_tls_start_fn fn)
{
    VINE_ASSERT(!tls->is_server && name != NULL);
    start_session(tls, start, below, name, fn);
}
