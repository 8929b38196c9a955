/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime links=libcrypto */
/*
 * Allocations that fail while a server works: on the way of one request, from the arrival of its
 * client to the close, the first one fails, then the second one, and so on until none is left to
 * fail. That client is served or loses its connection, and is not left waiting; who was there
 * before, and who comes after, is served.
 */
#include "network_tests.h"

#include <vine/tls.h>

#include "certificates.h"
#include "harness/failing_malloc.h"

#define FAILURES_MAX           1000
#define HANDSHAKE_FAILURES_MAX 50000
#define TICK_NS                1000000

static void pump(void)
{
    stepped.clock_ns += TICK_NS; /* an accept that rests goes on */
    step_all();
}

/* ---- a server that echoes -------------------------------------------------------------------- */

#define CLIENTS_MAX 16

struct echo {
    struct vine_connection *connection;
    struct vine_receive receive;
    struct vine_send send;
};

static struct {
    struct vine_listener *listener;
    struct vine_address address;
    struct echo echoes[CLIENTS_MAX]; /* the test's own memory does not fail */
    uint32_t count;
} server;

static void on_request(struct vine_receive *receive);

static void on_reply_sent(struct vine_send *send)
{
    struct echo *const echo = VINE_CONTAINER_OF(send, struct echo, send);

    if (send->error != 0)
        vine_connection_close(echo->connection, NULL);
    else
        vine_receive(echo->connection, &echo->receive, on_request);
}

static void on_request(struct vine_receive *receive)
{
    struct echo *const echo = VINE_CONTAINER_OF(receive, struct echo, receive);

    assert_true(receive->size >= 0 || receive->size == -ENOMEM || receive->size == -ENOBUFS ||
                receive->size == -ECONNRESET || receive->size == -ECANCELED);
    if (receive->size <= 0)
        vine_connection_close(echo->connection, NULL);
    else
        vine_send(echo->connection, &echo->send, receive->bytes, (size_t)receive->size,
                  on_reply_sent);
}

static void on_client(struct vine_connection *connection, void *context)
{
    struct echo *const echo = &server.echoes[server.count++];

    (void)context;
    assert_true(server.count <= CLIENTS_MAX);
    *echo = (struct echo){.connection = connection};
    vine_receive(connection, &echo->receive, on_request);
}

static int serve(void)
{
    const struct vine_address address = address_of("127.0.0.1:0");
    const struct vine_listen_options options = {.size_bytes = sizeof(options),
                                                .balance = VINE_BALANCE_DISTRIBUTE};
    const int error = vine_listen(&address, &options, on_client, NULL, &server.listener);

    if (error == 0)
        server.address = *vine_listener_address(server.listener);
    server.count = 0;
    return error;
}

static void end_serving(void)
{
    struct closed closed = {.calls = 0};

    vine_work_init(&closed.work, on_closed);
    vine_listener_close(server.listener, &closed.work);
    until(closed.calls == 1);
}

/* ---- clients: plain sockets ------------------------------------------------------------------ */

static int new_client(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &server.address.any, server.address.size_bytes), 0);
    return fd;
}

/* Returns whether it came back; if not, the connection is over. */
static bool echoes(int fd)
{
    static const char word[] = "hello";
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;
    char bytes[sizeof(word)];
    size_t length = 0;

    if (send(fd, word, sizeof(word), MSG_NOSIGNAL) != (ssize_t)sizeof(word))
        return false;
    while (length < sizeof(word)) {
        const ssize_t got = recv(fd, bytes + length, sizeof(bytes) - length, MSG_DONTWAIT);

        if (got == 0 || (got < 0 && errno != EAGAIN))
            return false;
        length += got > 0 ? (size_t)got : 0;
        pump();
        if (vine__clock_now_ns() > hang_ns)
            fail_msg("a client waits for ever");
    }
    assert_memory_equal(bytes, word, sizeof(word));
    return true;
}

static void pump_often(void)
{
    for (uint32_t i = 0; i < 50; i++)
        pump();
}

/* One client comes while the nth allocation fails. Returns whether there was one to fail. */
static bool serve_one_without(uint64_t nth, uint32_t *ret_lost)
{
    const uint64_t before = vine__arena_injected_failures();

    open_cores(2);
    assert_int_equal(serve(), 0);

    const int old = new_client();

    assert_true(echoes(old));
    vine__arena_fail_nth_of_all(nth);

    const int fd = new_client();

    *ret_lost += !echoes(fd);
    (void)close(fd);
    pump_often();

    const bool has_failed = vine__arena_injected_failures() > before;

    vine__arena_fail_nth_of_all(0);
    assert_true(echoes(old));
    for (uint32_t i = 0; i < 2; i++) { /* one for each core */
        const int next = new_client();

        assert_true(echoes(next));
        (void)close(next);
    }
    (void)close(old);
    pump_often();
    end_serving();
    close_cores();
    return has_failed;
}

static void one_request_fails_alone_whatever_it_lacks(void **state)
{
    uint64_t nth = 1;
    uint32_t lost = 0;

    (void)state;
    while (nth < FAILURES_MAX && serve_one_without(nth, &lost))
        nth++;
    print_message("%llu allocations, of which %u lost a client\n", (unsigned long long)nth - 1,
                  lost);
    assert_in_range(nth, 2, FAILURES_MAX - 1);
    assert_in_range(lost, 1, nth);
}

/* ---- listening and connecting ---------------------------------------------------------------- */

static bool listen_and_connect_without(uint64_t nth)
{
    const uint64_t before = vine__arena_injected_failures();
    struct connected connected = {.calls = 0};

    open_cores(2);
    vine__arena_fail_nth_of_all(nth);

    const int error = serve();

    assert_true(error == 0 || error == -ENOMEM);
    if (error == 0) {
        vine_connect(&connected.connect, &server.address, on_connected);
        until((pump(), connected.calls == 1));
        assert_true(connected.connect.error == 0 || connected.connect.error == -ENOMEM);
    }

    const bool has_failed = vine__arena_injected_failures() > before;

    vine__arena_fail_nth_of_all(0);
    if (connected.calls == 1 && connected.connect.error == 0)
        close_connection(connected.connect.connection);
    if (error != 0)
        assert_int_equal(serve(), 0); /* another time there is */
    for (uint32_t i = 0; i < 2; i++) {
        const int next = new_client();

        assert_true(echoes(next));
        (void)close(next);
    }
    pump_often();
    end_serving();
    close_cores();
    return has_failed;
}

static void listening_and_connecting_without_memory_say_so(void **state)
{
    uint64_t nth = 1;

    (void)state;
    while (nth < FAILURES_MAX && listen_and_connect_without(nth))
        nth++;
    print_message("%llu allocations\n", (unsigned long long)nth - 1);
    assert_in_range(nth, 2, FAILURES_MAX - 1);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static struct authority authority;
static struct leaf leaf;

struct started {
    struct vine_tls_start start;
    uint32_t calls;
};

static void on_started(struct vine_tls_start *start)
{
    VINE_CONTAINER_OF(start, struct started, start)->calls++;
}

/* Some bytes through a session, or an error; the other end closes. */
static void use_session(struct vine_connection *from, struct vine_connection *to)
{
    struct received received = {.calls = 0};
    struct sent sent = {.calls = 0};

    vine_send(from, &sent.send, "hello", 5, on_sent);
    until(sent.calls == 1);
    if (sent.error != 0)
        return;
    vine_receive(to, &received.receive, on_received);
    until(received.calls == 1);
    if (received.size > 0)
        assert_memory_equal(received.bytes, "hello", (size_t)received.size);
}

static void greet_and_part(struct vine_tls *ours, struct vine_tls *theirs, bool has_to)
{
    struct started one = {.calls = 0}, other = {.calls = 0};
    struct pair pair;

    /* The pair itself is not what is looked at. */
    const uint32_t armed = __atomic_exchange_n(&vine__arena_fail_armed, 0, __ATOMIC_RELAXED);

    open_pair(&pair, "127.0.0.1:0");
    __atomic_store_n(&vine__arena_fail_armed, armed, __ATOMIC_RELAXED);
    vine_tls_accept(ours, &one.start, pair.server, on_started);
    vine_tls_connect(theirs, &other.start, pair.client, "server.test", on_started);
    until(one.calls == 1 && other.calls == 1);
    if (has_to)
        assert_int_equal(one.start.error | other.start.error, 0);
    if (one.start.error == 0 && other.start.error == 0)
        use_session(one.start.connection, other.start.connection);
    if (one.start.connection != NULL)
        close_connection(one.start.connection);
    if (other.start.connection != NULL)
        close_connection(other.start.connection);
    close_listener(&pair.arrivals);
}

static bool create_without(uint64_t nth, const struct vine_tls_options *options, uint64_t *ret_told)
{
    const uint64_t before = vine__arena_injected_failures();
    struct vine_tls *tls = NULL;

    vine__arena_fail_nth_of_all(nth);

    const int error = vine_tls_create(options, &tls);
    const bool has_failed = vine__arena_injected_failures() > before;

    vine__arena_fail_nth_of_all(0);
    /* OpenSSL often forgets why it could not read something. */
    if (error != 0 && error != -ENOMEM && error != -EINVAL)
        fail_msg("allocation %llu: %s", (unsigned long long)nth, vine_error_text(error));
    *ret_told += error == -ENOMEM;
    assert_int_equal(tls == NULL, error != 0);
    vine_tls_destroy(tls);
    return has_failed;
}

static void certificates_without_memory_are_refused(void **state)
{
    const struct vine_tls_options options[] = {
        {.size_bytes = sizeof(options[0]),
         .is_server = true,
         .certificate = leaf.certificate,
         .key = leaf.key},
        {.size_bytes = sizeof(options[0]), .authorities = authority.pem},
    };

    (void)state;
    open_cores(1);
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t nth = 1, told = 0;

        while (nth < HANDSHAKE_FAILURES_MAX && create_without(nth, &options[i], &told))
            nth += nth < 200 ? 1 : 13;
        print_message("%llu allocations, of which %llu were told\n", (unsigned long long)nth - 1,
                      (unsigned long long)told);
        assert_in_range(told, 1, nth);
        assert_in_range(nth, 2, HANDSHAKE_FAILURES_MAX - 1);
    }
    close_cores();
}

static bool greet_without(uint64_t nth, const struct vine_tls_options *server_options,
                          const struct vine_tls_options *client_options)
{
    const uint64_t before = vine__arena_injected_failures();
    struct vine_tls *ours = NULL, *theirs = NULL;

    assert_int_equal(vine_tls_create(server_options, &ours), 0);
    assert_int_equal(vine_tls_create(client_options, &theirs), 0);
    vine__arena_fail_nth_of_all(nth);
    greet_and_part(ours, theirs, false);

    const bool has_failed = vine__arena_injected_failures() > before;

    vine__arena_fail_nth_of_all(0);
    greet_and_part(ours, theirs, true);
    vine_tls_destroy(ours);
    vine_tls_destroy(theirs);
    return has_failed;
}

static void a_handshake_without_memory_ends_and_the_next_one_goes_well(void **state)
{
    const struct vine_tls_options server_options = {.size_bytes = sizeof(server_options),
                                                    .is_server = true,
                                                    .certificate = leaf.certificate,
                                                    .key = leaf.key};
    const struct vine_tls_options client_options = {.size_bytes = sizeof(client_options),
                                                    .authorities = authority.pem};
    uint64_t nth = 1;

    (void)state;
    open_cores(1);
    while (nth < HANDSHAKE_FAILURES_MAX && greet_without(nth, &server_options, &client_options))
        nth += nth < 200 ? 1 : 37; /* the rest are almost all of OpenSSL's arithmetic */
    close_cores();
    print_message("%llu allocations\n", (unsigned long long)nth - 1);
    assert_in_range(nth, 2, HANDSHAKE_FAILURES_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_request_fails_alone_whatever_it_lacks),
        cmocka_unit_test(listening_and_connecting_without_memory_say_so),
        cmocka_unit_test(certificates_without_memory_are_refused),
        cmocka_unit_test(a_handshake_without_memory_ends_and_the_next_one_goes_well),
    };

    make_authority(&authority, "authority");
    make_leaf(&authority, "DNS:server.test", &leaf);

    const int failed = run_by_both(tests);

    drop_authority(&authority);
    return failed;
}
