/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime links=libcrypto */
/* A TLS peer that has us answer by itself, again and again, and reads none of it: what is kept for
 * it has a bound, and once it reads all goes on. */
#include "network_tests.h"

#include <openssl/ssl.h>
#include <vine/tls.h>

#include "certificates.h"
#include "core/network/tls_internal.h"

#define UPDATES 30000 /* many times what the sockets hold: each answer is a small one of its own */

struct started {
    struct vine_tls_start start;
    uint32_t calls;
};

static void on_started(struct vine_tls_start *start)
{
    VINE_CONTAINER_OF(start, struct started, start)->calls++;
}

static struct vine_tls *end_of(const struct vine_tls_options *options)
{
    struct vine_tls *tls = NULL;

    assert_int_equal(vine_tls_create(options, &tls), 0);
    return tls;
}

/* RFC 8446 4.6.3: each asks for a new key, and for an answer. */
static void ask_for_new_keys(struct vine_connection *base)
{
    struct tls_connection *const connection = VINE_CONTAINER_OF(base, struct tls_connection, base);

    for (uint32_t i = 0; i < UPDATES; i++) {
        assert_int_equal(SSL_key_update(connection->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(connection->ssl), 1);
    }
}

static void a_peer_that_reads_no_answers_is_answered_no_more(void **state)
{
    struct authority authority;
    struct leaf leaf;
    struct started server = {.calls = 0}, client = {.calls = 0};
    struct received received = {.calls = 0};
    struct sent sent = {.calls = 0};
    struct pair pair;

    (void)state;
    make_authority(&authority, "authority");
    make_leaf(&authority, "DNS:server.test", &leaf);

    struct vine_tls *const tls_server =
        end_of(&(struct vine_tls_options){.size_bytes = sizeof(struct vine_tls_options),
                                          .is_server = true,
                                          .certificate = leaf.certificate,
                                          .key = leaf.key});
    struct vine_tls *const tls_client = end_of(&(struct vine_tls_options){
        .size_bytes = sizeof(struct vine_tls_options), .authorities = authority.pem});

    open_cores(1);
    open_pair(&pair, local_address());
    vine_tls_accept(tls_server, &server.start, pair.server, on_started);
    vine_tls_connect(tls_client, &client.start, pair.client, "server.test", on_started);
    until(server.calls == 1 && client.calls == 1);
    assert_int_equal(server.start.error, 0);
    assert_int_equal(client.start.error, 0);

    struct vine_connection *const here = client.start.connection;
    struct vine_connection *const there = server.start.connection;
    const struct tls_connection *const ours = VINE_CONTAINER_OF(there, struct tls_connection, base);

    ask_for_new_keys(here);
    vine_send(here, &sent.send, "x", 1, on_sent);
    vine_receive(there, &received.receive, on_received);
    for (uint32_t i = 0; i < 20; i++) {
        step_often();
        assert_in_range(ours->out_size, 0, 4 * TLS_OUT_MAX);
    }
    assert_int_equal(received.calls, 0);

    struct received answer = {.calls = 0};

    vine_receive(here, &answer.receive, on_received);
    until(received.calls == 1);
    assert_int_equal(received.size, 1);
    until(sent.calls == 1);
    assert_int_equal(send_all(there, "hello", 5), 0);
    until(answer.calls == 1);
    assert_int_equal(answer.size, 5);

    close_connection(here);
    close_connection(there);
    close_listener(&pair.arrivals);
    vine_tls_destroy(tls_server);
    vine_tls_destroy(tls_client);
    close_cores();
    drop_authority(&authority);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_reads_no_answers_is_answered_no_more),
    };

    return run_by_both(tests);
}
