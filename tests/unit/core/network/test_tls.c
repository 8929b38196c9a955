/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime links=libcrypto */
/* TLS above connections, with certificates that the test makes. */
#include "network_tests.h"

#include <vine/tls.h>

#include "certificates.h"
#include "core/network/tls_internal.h"

#define TCP    "127.0.0.1:0"
#define SECOND VINE_NS_PER_SECOND

static struct authority authority, stranger;
static struct leaf leaf, other, strange;

static int make_certificates(void **state)
{
    (void)state;
    make_authority(&authority, "authority");
    make_authority(&stranger, "stranger");
    make_leaf(&authority, "DNS:server.test,IP:127.0.0.1", &leaf);
    make_leaf(&authority, "DNS:other.test", &other);
    make_leaf(&stranger, "DNS:server.test", &strange);
    return 0;
}

static int make_certificates_and_use_epoll(void **state)
{
    return make_certificates(state) + use_epoll(state);
}

static int drop_certificates(void **state)
{
    (void)state;
    drop_authority(&authority);
    drop_authority(&stranger);
    return 0;
}

static struct vine_tls *server_of(const struct leaf *shown)
{
    const struct vine_tls_options options = {.size_bytes = sizeof(options),
                                             .is_server = true,
                                             .certificate = shown->certificate,
                                             .key = shown->key};
    struct vine_tls *tls = NULL;

    assert_int_equal(vine_tls_create(&options, &tls), 0);
    return tls;
}

static struct vine_tls *client_that_trusts(const char *authorities)
{
    const struct vine_tls_options options = {.size_bytes = sizeof(options),
                                             .authorities = authorities};
    struct vine_tls *tls = NULL;

    assert_int_equal(vine_tls_create(&options, &tls), 0);
    return tls;
}

struct started {
    struct vine_tls_start start;
    uint32_t calls;
};

static void on_started(struct vine_tls_start *start)
{
    VINE_CONTAINER_OF(start, struct started, start)->calls++;
}

/* Both ends of a session; NULL where there is none. */
struct session {
    struct pair pair;
    struct started server, client;
};

static void greet(struct session *session, struct vine_tls *server, struct vine_tls *client,
                  const char *name)
{
    open_pair(&session->pair, TCP);
    session->server = (struct started){.calls = 0};
    session->client = (struct started){.calls = 0};
    vine_tls_accept(server, &session->server.start, session->pair.server, on_started);
    vine_tls_connect(client, &session->client.start, session->pair.client, name, on_started);
    assert_int_equal(session->server.calls + session->client.calls, 0);
    until(session->server.calls == 1 && session->client.calls == 1);
}

static void part(struct session *session)
{
    if (session->client.start.connection != NULL)
        close_connection(session->client.start.connection);
    if (session->server.start.connection != NULL)
        close_connection(session->server.start.connection);
    close_listener(&session->pair.arrivals);
}

static void greet_well(struct session *session, struct vine_tls *server, struct vine_tls *client,
                       const char *name)
{
    greet(session, server, client, name);
    assert_int_equal(session->client.start.error, 0);
    assert_int_equal(session->server.start.error, 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void texts_that_are_no_certificates_are_refused(void **state)
{
    struct vine_tls_options options = {.size_bytes = sizeof(options), .is_server = true};
    struct vine_tls *tls = NULL;
    char damaged[2 * PEM_BYTES];

    (void)state;
    assert_int_equal(vine_tls_create(&options, &tls), -EINVAL);
    options.certificate = leaf.certificate;
    assert_int_equal(vine_tls_create(&options, &tls), -EINVAL);
    options.key = "nonsense";
    assert_int_equal(vine_tls_create(&options, &tls), -EINVAL);
    options.key = other.key; /* not of that certificate */
    assert_int_equal(vine_tls_create(&options, &tls), -EINVAL);
    options.key = leaf.key;
    options.certificate = "";
    assert_int_equal(vine_tls_create(&options, &tls), -EINVAL);
    (void)snprintf(damaged, sizeof(damaged), "%s%s", leaf.certificate, authority.pem);
    damaged[strlen(leaf.certificate) + 100] = '!'; /* within the second one */
    options.certificate = damaged;
    assert_int_equal(vine_tls_create(&options, &tls), -EINVAL);
    options.certificate = leaf.certificate;
    options.authorities = damaged; /* nor is half of those whom one trusts enough */
    assert_int_equal(vine_tls_create(&options, &tls), -EINVAL);
    options.authorities = "nobody";
    assert_int_equal(vine_tls_create(&options, &tls), -EINVAL);
    options.authorities = NULL;
    options.protocols = (const char *const[]){"", NULL};
    assert_int_equal(vine_tls_create(&options, &tls), -EINVAL);
    options.protocols = NULL;
    options.size_bytes = 3;
    assert_int_equal(vine_tls_create(&options, &tls), -EINVAL);
    assert_null(tls);
    vine_tls_destroy(NULL);
}

static void a_certificate_of_another_name_is_refused(void **state)
{
    struct vine_tls *const server = server_of(&leaf);
    struct vine_tls *const client = client_that_trusts(authority.pem);
    struct session session;

    (void)state;
    open_cores(1);
    greet(&session, server, client, "wrong.test");
    assert_int_equal(session.client.start.error, -EKEYREJECTED);
    assert_null(session.client.start.connection);
    assert_true(strlen(session.client.start.why) > 0);
    part(&session);
    vine_tls_destroy(server);
    vine_tls_destroy(client);
    close_cores();
}

static void a_certificate_of_somebody_whom_we_do_not_trust_is_refused(void **state)
{
    struct vine_tls *const server = server_of(&strange);
    struct vine_tls *const client = client_that_trusts(authority.pem);
    struct session session;

    (void)state;
    open_cores(1);
    greet(&session, server, client, "server.test");
    assert_int_equal(session.client.start.error, -EKEYREJECTED);
    part(&session);
    vine_tls_destroy(server);
    vine_tls_destroy(client);
    close_cores();
}

static void a_client_without_a_certificate_is_refused_where_one_is_asked_for(void **state)
{
    const struct vine_tls_options strict = {.size_bytes = sizeof(strict),
                                            .is_server = true,
                                            .certificate = leaf.certificate,
                                            .key = leaf.key,
                                            .authorities = authority.pem};
    const struct vine_tls_options known = {.size_bytes = sizeof(known),
                                           .certificate = other.certificate,
                                           .key = other.key,
                                           .authorities = authority.pem};
    struct vine_tls *server, *with, *const without = client_that_trusts(authority.pem);
    struct session session;

    (void)state;
    assert_int_equal(vine_tls_create(&strict, &server), 0);
    assert_int_equal(vine_tls_create(&known, &with), 0);
    open_cores(1);
    greet(&session, server, without, "server.test");
    assert_int_not_equal(session.server.start.error, 0);
    part(&session);
    greet_well(&session, server, with, "server.test");
    part(&session);
    vine_tls_destroy(server);
    vine_tls_destroy(with);
    vine_tls_destroy(without);
    close_cores();
}

/* Whatever comes, the handshake ends with an error, and the connection below with it. */
static void a_peer_that_speaks_something_else_is_refused(void **state)
{
#define NOISE(text)                                                                                \
    {                                                                                              \
        .bytes = (text), .size = sizeof(text) - 1                                                  \
    }
    static const struct {
        const char *bytes;
        size_t size;
    } noises[] = {
        NOISE("GET / HTTP/1.0\r\n\r\n"),
        NOISE("\x16\x03\x01\xff\xff"),
        NOISE("\x16\x03\x01\x00\x05\x01\xff\xff\xff\x03"),
        NOISE("\x80\x2e\x01\x03\x01\x00\x15"),
        NOISE("\x15\x03\x03\x00\x02\x02\x28"),
    };
#undef NOISE
    struct vine_tls *const server = server_of(&leaf);
    struct vine_network_counts counts;
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    for (size_t i = 0; i < sizeof(noises) / sizeof(noises[0]); i++) {
        struct started started = {.calls = 0};
        const int fd = connect_plainly(&arrivals);

        assert_true(send(fd, noises[i].bytes, noises[i].size, MSG_NOSIGNAL) > 0);
        vine_tls_accept(server, &started.start, arrivals.connections[i], on_started);
        step_often();
        close(fd); /* one that waits for more does not get it */
        until(started.calls == 1);
        assert_true(started.start.error < 0);
        assert_null(started.start.connection);
    }
    do {
        step_all();
        vine_network_get_counts(&counts);
    } while (counts.connections != 0);
    close_listener(&arrivals);
    vine_tls_destroy(server);
    close_cores();
}

static void a_handshake_ends_at_its_deadline_and_by_cancelling(void **state)
{
    struct vine_tls *const server = server_of(&leaf);
    struct vine_network_counts counts;
    struct started started = {.calls = 0};
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    const int fd = connect_plainly(&arrivals);

    started.start.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + 5 * SECOND;
    vine_tls_accept(server, &started.start, arrivals.connections[0], on_started);
    stepped.clock_ns += 4 * SECOND;
    step_often();
    assert_int_equal(started.calls, 0);
    stepped.clock_ns += 2 * SECOND;
    until(started.calls == 1);
    assert_int_equal(started.start.error, -ETIMEDOUT);
    const int second = connect_plainly(&arrivals);

    started = (struct started){.calls = 0};
    vine_tls_accept(server, &started.start, arrivals.connections[1], on_started);
    vine_tls_cancel(&started.start);
    assert_int_equal(started.calls, 0);
    until(started.calls == 1);
    assert_int_equal(started.start.error, -ECANCELED);
    vine_network_get_counts(&counts);
    assert_int_equal(counts.deadlines, 1);
    assert_int_equal(counts.tls_refusals, 1); /* who cancels has refused nobody */
    vine_tls_cancel(&started.start);
    close(fd);
    close(second);
    close_listener(&arrivals);
    vine_tls_destroy(server);
    close_cores();
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void bytes_come_as_they_were_sent(void **state)
{
    struct vine_tls *const server = server_of(&leaf);
    struct vine_tls *const client = client_that_trusts(authority.pem);
    struct received received;
    struct session session;
    char protocol[VINE_TLS_WHY_BYTES];
    unsigned char bytes[3];

    (void)state;
    open_cores(1);
    for (int by_address = 0; by_address < 2; by_address++) {
        greet_well(&session, server, client, by_address ? "127.0.0.1" : "server.test");
        struct vine_connection *const here = session.client.start.connection;
        struct vine_connection *const there = session.server.start.connection;

        assert_int_equal(send_all(here, "hello", 5), 0);
        assert_int_equal(receive_one(there, &received), 5);
        assert_memory_equal(received.bytes, "hello", 5);
        assert_int_equal(send_all(there, "answer", 6), 0);
        received = (struct received){.calls = 0};
        vine_receive_into(here, &received.receive, bytes, sizeof(bytes), on_received);
        until(received.calls == 1);
        assert_int_equal(received.size, 3);
        assert_memory_equal(bytes, "ans", 3);
        assert_int_equal(receive_one(here, &received), 3);
        assert_memory_equal(received.bytes, "wer", 3);
        vine_tls_get_protocol(here, protocol);
        assert_string_equal(protocol, "");
        part(&session);
    }
    vine_tls_destroy(server);
    vine_tls_destroy(client);
    close_cores();
}

static void much_comes_whole_and_in_order(void **state)
{
    enum { PIECES = 37 };
    const size_t size = 3 << 20;
    unsigned char *const bytes = malloc(size);
    struct vine_tls *const server = server_of(&leaf);
    struct vine_tls *const client = client_that_trusts(authority.pem);
    struct sent sent = {.calls = 0}, behind = {.calls = 0}, end = {.calls = 0};
    struct iovec vector[PIECES];
    struct received received;
    struct session session;
    size_t got = 0;
    int64_t more;

    (void)state;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 7 + (i >> 11));
    for (size_t i = 0; i < PIECES; i++)
        vector[i] =
            (struct iovec){.iov_base = bytes + i * (size / PIECES),
                           .iov_len = i + 1 < PIECES ? size / PIECES : size - i * (size / PIECES)};
    open_cores(1);
    greet_well(&session, server, client, "server.test");
    vine_send_vector(session.client.start.connection, &sent.send, vector, PIECES, on_sent);
    vine_send(session.client.start.connection, &behind.send, bytes, 1000, on_sent);
    vine_shutdown_send(session.client.start.connection, &end.send, on_sent);
    while ((more = receive_one(session.server.start.connection, &received)) > 0) {
        for (int64_t i = 0; i < more; i++, got++)
            if (received.receive.bytes[i] != bytes[got < size ? got : got - size])
                fail_msg("byte %zu is another one", got);
    }
    assert_int_equal(more, 0); /* a farewell, and no cut */
    assert_int_equal(got, size + 1000);
    until(sent.calls == 1 && behind.calls == 1 && end.calls == 1);
    assert_int_equal(sent.error, 0);
    assert_int_equal(sent.send.sent, size);
    assert_int_equal(end.error, 0);
    assert_int_equal(send_all(session.client.start.connection, "x", 1), -EPIPE);
    assert_int_equal(receive_one(session.server.start.connection, &received), 0);
    /* The other direction is open still. */
    assert_int_equal(send_all(session.server.start.connection, "still", 5), 0);
    assert_int_equal(receive_one(session.client.start.connection, &received), 5);
    part(&session);
    vine_tls_destroy(server);
    vine_tls_destroy(client);
    close_cores();
    free(bytes);
}

static void a_stream_that_is_cut_is_told_from_one_that_ends(void **state)
{
    struct vine_tls *const server = server_of(&leaf);
    struct vine_tls *const client = client_that_trusts(authority.pem);
    struct received received;
    struct session session;
    struct sent end = {.calls = 0};
    struct vine_network_counts counts;

    (void)state;
    open_cores(1);
    greet_well(&session, server, client, "server.test");
    /* By somebody in between: the end of the stream below, and no farewell. */
    vine_shutdown_send(session.pair.client, &end.send, on_sent);
    until(end.calls == 1);
    assert_int_equal(receive_one(session.server.start.connection, &received), -ECONNABORTED);
    assert_int_equal(receive_one(session.server.start.connection, &received), -ECONNABORTED);
    vine_network_get_counts(&counts);
    assert_int_equal(counts.tls_failures, 1);
    assert_int_equal(send_all(session.server.start.connection, "x", 1), -EPIPE);
    part(&session);
    /* Closing says farewell. */
    greet_well(&session, server, client, "server.test");
    close_connection(session.client.start.connection);
    session.client.start.connection = NULL;
    assert_int_equal(receive_one(session.server.start.connection, &received), 0);
    part(&session);
    vine_tls_destroy(server);
    vine_tls_destroy(client);
    close_cores();
}

static void operations_end_when_the_connection_is_closed_or_their_time_is_over(void **state)
{
    const size_t size = 32 << 20;
    unsigned char *const bytes = calloc(1, size);
    struct vine_tls *const server = server_of(&leaf);
    struct vine_tls *const client = client_that_trusts(authority.pem);
    struct received received = {.calls = 0};
    struct sent sent = {.calls = 0}, timed = {.calls = 0};
    struct session session;

    (void)state;
    open_cores(1);
    greet_well(&session, server, client, "server.test");
    received.receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + SECOND;
    vine_receive(session.client.start.connection, &received.receive, on_received);
    vine_send(session.client.start.connection, &sent.send, bytes, size, on_sent);
    timed.send.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + SECOND;
    vine_send(session.client.start.connection, &timed.send, bytes, size, on_sent);
    stepped.clock_ns += 2 * SECOND;
    until(received.calls == 1 && timed.calls == 1);
    assert_int_equal(received.size, -ETIMEDOUT);
    assert_int_equal(timed.error, -ETIMEDOUT);
    assert_int_equal(sent.calls, 0);
    received = (struct received){.calls = 0};
    vine_receive(session.client.start.connection, &received.receive, on_received);
    close_connection(session.client.start.connection);
    session.client.start.connection = NULL;
    assert_int_equal(received.size, -ECANCELED);
    assert_int_equal(sent.error, -ECANCELED);
    part(&session);
    vine_tls_destroy(server);
    vine_tls_destroy(client);
    close_cores();
    free(bytes);
}

static void the_reactors_stop_with_sessions_and_handshakes_open(void **state)
{
    struct vine_tls *const server = server_of(&leaf);
    struct vine_tls *const client = client_that_trusts(authority.pem);
    struct received received = {.calls = 0};
    struct started waiting = {.calls = 0};
    struct session session;

    (void)state;
    open_cores(1);
    greet_well(&session, server, client, "server.test");
    vine_receive(session.server.start.connection, &received.receive, on_received);
    const int fd = connect_plainly(&session.pair.arrivals);

    vine_tls_accept(server, &waiting.start, session.pair.arrivals.connections[1], on_started);
    step_often();
    vine_stop(0);
    until(vine__reactor_has_stopped(stepped.reactors[0]));
    assert_false(vine__mesh_was_cut_short(stepped.mesh));
    assert_int_equal(waiting.calls, 1);
    assert_int_equal(waiting.start.error, -ECANCELED);
    assert_int_equal(received.calls, 1);
    vine_connection_close(session.server.start.connection, NULL);
    vine_connection_close(session.client.start.connection, NULL);
    vine_listener_close(session.pair.arrivals.listener, NULL);
    vine_tls_destroy(server);
    vine_tls_destroy(client);
    stepped_close(&stepped);
    close(fd);
}

/* ---- what is negotiated ---------------------------------------------------------------------- */

static int choose_other(void *context, const char *name, struct vine_tls **ret_tls)
{
    if (strcmp(name, "other.test") != 0)
        return -ENOENT;
    *ret_tls = context;
    return 0;
}

static void the_name_chooses_the_certificate(void **state)
{
    struct vine_tls *const for_other = server_of(&other);
    struct vine_tls_options options = {.size_bytes = sizeof(options),
                                       .is_server = true,
                                       .certificate = leaf.certificate,
                                       .key = leaf.key,
                                       .choose = choose_other,
                                       .choose_context = for_other};
    struct vine_tls *const client = client_that_trusts(authority.pem);
    struct vine_tls *server;
    struct session session;

    (void)state;
    open_cores(1);
    assert_int_equal(vine_tls_create(&options, &server), 0);
    greet_well(&session, server, client, "other.test");
    part(&session);
    greet_well(&session, server, client, "server.test");
    part(&session);
    vine_tls_destroy(server);
    options.refuses_other_names = true;
    assert_int_equal(vine_tls_create(&options, &server), 0);
    greet_well(&session, server, client, "other.test");
    part(&session);
    greet(&session, server, client, "server.test");
    assert_int_equal(session.client.start.error, -EPROTO);
    assert_int_equal(session.server.start.error, -EPROTO);
    part(&session);
    vine_tls_destroy(server);
    vine_tls_destroy(for_other);
    vine_tls_destroy(client);
    close_cores();
}

/* A server that asks nobody, where `strict`'s name is to be had. */
static struct vine_tls *host_of(struct vine_tls *strict)
{
    const struct vine_tls_options options = {.size_bytes = sizeof(options),
                                             .is_server = true,
                                             .certificate = leaf.certificate,
                                             .key = leaf.key,
                                             .choose = choose_other,
                                             .choose_context = strict};
    struct vine_tls *tls = NULL;

    assert_int_equal(vine_tls_create(&options, &tls), 0);
    return tls;
}

static struct vine_tls *strict_server(const struct leaf *shown)
{
    const struct vine_tls_options options = {.size_bytes = sizeof(options),
                                             .is_server = true,
                                             .certificate = shown->certificate,
                                             .key = shown->key,
                                             .authorities = authority.pem};
    struct vine_tls *tls = NULL;

    assert_int_equal(vine_tls_create(&options, &tls), 0);
    return tls;
}

/* Greet, and let the tickets come. */
static void take_tickets(struct vine_tls *server, struct vine_tls *client, const char *name)
{
    struct received received;
    struct session session;

    greet_well(&session, server, client, name);
    assert_int_equal(send_all(session.server.start.connection, "x", 1), 0);
    assert_int_equal(receive_one(session.client.start.connection, &received), 1);
    part(&session);
}

/* What a client does that offers the session of one name to another. */
static void take_session_along(struct vine_tls *client, const char *from, const char *to)
{
    SSL_SESSION *const session = vine__tls_session(client, from);

    assert_non_null(session);
    assert_int_equal(SSL_SESSION_up_ref(session), 1);
    vine__tls_remember(client, to, session);
}

static void a_name_that_asks_for_certificates_does_so_behind_one_that_does_not(void **state)
{
    const struct vine_tls_options known = {.size_bytes = sizeof(known),
                                           .certificate = leaf.certificate,
                                           .key = leaf.key,
                                           .authorities = authority.pem};
    struct vine_tls *const strict = strict_server(&other);
    struct vine_tls *const server = host_of(strict);
    struct vine_tls *const without = client_that_trusts(authority.pem);
    struct vine_tls *with;
    struct session session;

    (void)state;
    assert_int_equal(vine_tls_create(&known, &with), 0);
    open_cores(1);
    greet(&session, server, without, "other.test");
    assert_int_not_equal(session.server.start.error, 0);
    part(&session);
    take_tickets(server, without, "server.test");
    take_session_along(without, "server.test", "other.test");
    greet(&session, server, without, "other.test");
    assert_int_not_equal(session.server.start.error, 0);
    part(&session);
    take_tickets(server, with, "other.test");
    greet_well(&session, server, with, "other.test");
    part(&session);
    vine_tls_destroy(server);
    vine_tls_destroy(strict);
    vine_tls_destroy(with);
    vine_tls_destroy(without);
    close_cores();
}

static void a_session_of_a_server_that_does_not_ask_is_no_proof_to_one_that_does(void **state)
{
    struct vine_tls *const open = server_of(&leaf);
    struct vine_tls *const strict = strict_server(&leaf);
    struct vine_tls *const client = client_that_trusts(authority.pem);
    struct session session;

    (void)state;
    open_cores(1);
    take_tickets(open, client, "server.test");
    greet(&session, strict, client, "server.test");
    assert_int_not_equal(session.server.start.error, 0);
    part(&session);
    vine_tls_destroy(open);
    vine_tls_destroy(strict);
    vine_tls_destroy(client);
    close_cores();
}

static void a_certificate_is_reloaded_under_connections(void **state)
{
    struct vine_tls *const server = server_of(&leaf);
    struct vine_tls *const client = client_that_trusts(authority.pem);
    struct received received;
    struct session before, after;

    (void)state;
    open_cores(1);
    greet_well(&before, server, client, "server.test");
    assert_int_equal(vine_tls_reload(server, "nonsense", leaf.key), -EINVAL);
    assert_int_equal(vine_tls_reload(server, other.certificate, leaf.key), -EINVAL);
    greet_well(&after, server, client, "server.test"); /* the old one stays */
    part(&after);
    assert_int_equal(vine_tls_reload(server, other.certificate, other.key), 0);
    greet_well(&after, server, client, "other.test");
    part(&after);
    assert_int_equal(send_all(before.client.start.connection, "alive", 5), 0);
    assert_int_equal(receive_one(before.server.start.connection, &received), 5);
    part(&before);
    vine_tls_destroy(server);
    vine_tls_destroy(client);
    close_cores();
}

static void a_session_is_resumed(void **state)
{
    struct vine_tls *const server = server_of(&leaf);
    struct vine_tls *const elsewhere = server_of(&leaf); /* as on another core */
    struct vine_tls *const client = client_that_trusts(authority.pem);
    struct vine_network_counts counts;
    struct received received;
    struct session session;

    (void)state;
    open_cores(1);
    for (int i = 0; i < 3; i++) {
        greet_well(&session, i < 2 ? server : elsewhere, client, "server.test");
        assert_true(vine_tls_was_resumed(session.client.start.connection) == (i > 0));
        assert_true(vine_tls_was_resumed(session.server.start.connection) == (i > 0));
        /* The ticket comes behind the handshake, with the first bytes. */
        assert_int_equal(send_all(session.server.start.connection, "x", 1), 0);
        assert_int_equal(receive_one(session.client.start.connection, &received), 1);
        part(&session);
    }
    vine_network_get_counts(&counts);
    assert_int_equal(counts.tls_handshakes, 6); /* both sides are here */
    assert_int_equal(counts.tls_resumed, 4);
    assert_int_equal(counts.tls_refusals, 0);
    assert_int_equal(counts.tls_failures, 0);
    vine_tls_destroy(server);
    vine_tls_destroy(elsewhere);
    vine_tls_destroy(client);
    close_cores();
}

static void protocols_are_agreed_upon_or_refused(void **state)
{
    const struct vine_tls_options offers = {.size_bytes = sizeof(offers),
                                            .is_server = true,
                                            .certificate = leaf.certificate,
                                            .key = leaf.key,
                                            .protocols =
                                                (const char *const[]){"h2", "http/1.1", NULL}};
    struct vine_tls_options wants = {.size_bytes = sizeof(wants),
                                     .authorities = authority.pem,
                                     .protocols = (const char *const[]){"http/1.1", "h2", NULL}};
    struct vine_tls *server, *client, *stubborn;
    char protocol[VINE_TLS_WHY_BYTES];
    struct session session;

    (void)state;
    open_cores(1);
    assert_int_equal(vine_tls_create(&offers, &server), 0);
    assert_int_equal(vine_tls_create(&wants, &client), 0);
    wants.protocols = (const char *const[]){"gopher", NULL};
    assert_int_equal(vine_tls_create(&wants, &stubborn), 0);
    greet_well(&session, server, client, "server.test");
    vine_tls_get_protocol(session.client.start.connection, protocol);
    assert_string_equal(protocol, "h2"); /* as the server prefers */
    vine_tls_get_protocol(session.server.start.connection, protocol);
    assert_string_equal(protocol, "h2");
    part(&session);
    greet(&session, server, stubborn, "server.test");
    assert_int_equal(session.client.start.error, -EPROTO);
    part(&session);
    vine_tls_destroy(server);
    vine_tls_destroy(client);
    vine_tls_destroy(stubborn);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_no_certificates_are_refused),
        cmocka_unit_test(a_certificate_of_another_name_is_refused),
        cmocka_unit_test(a_certificate_of_somebody_whom_we_do_not_trust_is_refused),
        cmocka_unit_test(a_client_without_a_certificate_is_refused_where_one_is_asked_for),
        cmocka_unit_test(a_peer_that_speaks_something_else_is_refused),
        cmocka_unit_test(a_handshake_ends_at_its_deadline_and_by_cancelling),
        cmocka_unit_test(bytes_come_as_they_were_sent),
        cmocka_unit_test(much_comes_whole_and_in_order),
        cmocka_unit_test(a_stream_that_is_cut_is_told_from_one_that_ends),
        cmocka_unit_test(operations_end_when_the_connection_is_closed_or_their_time_is_over),
        cmocka_unit_test(the_reactors_stop_with_sessions_and_handshakes_open),
        cmocka_unit_test(the_name_chooses_the_certificate),
        cmocka_unit_test(a_name_that_asks_for_certificates_does_so_behind_one_that_does_not),
        cmocka_unit_test(a_session_of_a_server_that_does_not_ask_is_no_proof_to_one_that_does),
        cmocka_unit_test(a_certificate_is_reloaded_under_connections),
        cmocka_unit_test(a_session_is_resumed),
        cmocka_unit_test(protocols_are_agreed_upon_or_refused),
    };

    return cmocka_run_group_tests_name("as it is", tests, make_certificates, drop_certificates) +
           cmocka_run_group_tests_name("by epoll", tests, make_certificates_and_use_epoll,
                                       drop_certificates);
}
