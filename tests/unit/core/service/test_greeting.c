/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime links=libcrypto */
/* A service that speaks TLS ends while clients are in the middle of their handshake: they know
 * nothing of it, are plain sockets, and move only when the test has them move. */
#include "../network/network_tests.h"

#include <openssl/ssl.h>

#include <vine/coroutine.h>
#include <vine/tls.h>

#include "../network/certificates.h"

VINE_COROUTINE(answering)
{
    struct {
        char text[64];
        ssize_t length;
    } *self;

    vine_begin();
    vine_readline(self->length, self->text, sizeof self->text);
    vine_writef("heard %s", self->text);
    vine_end();
}

VINE_SERVICE(answering, .summary = "answer a line");

static struct authority authority;
static struct leaf leaf;

static int make_certificate(void **state)
{
    (void)state;
    make_authority(&authority, "authority");
    make_leaf(&authority, "DNS:server.test", &leaf);
    return 0;
}

static int drop_certificate(void **state)
{
    (void)state;
    drop_authority(&authority);
    return 0;
}

/* ---- the service and a client of it ---------------------------------------------------------- */

struct greeted {
    struct vine_tls *tls;
    struct vine_running *running;
    SSL_CTX *context;
    SSL *session;
    int fd;
};

/* A client has said that it wants TLS, and the service has answered that: it is its turn. */
static void begin_greeting(struct greeted *greeted)
{
    const struct vine_tls_options wishes = {.size_bytes = sizeof(wishes),
                                            .is_server = true,
                                            .certificate = leaf.certificate,
                                            .key = leaf.key};
    struct vine_service_options options = {.size_bytes = sizeof(options),
                                           .isolation = VINE_ISOLATE_NONE};
    const struct vine_address address = address_of("127.0.0.1:0");
    const struct vine_address *there;
    char byte;

    assert_int_equal(vine_tls_create(&wishes, &greeted->tls), 0);
    options.tls = greeted->tls;
    assert_int_equal(
        vine_service_start(&vine_service_answering, &address, &options, &greeted->running), 0);
    there = vine_service_address(greeted->running);
    greeted->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(greeted->fd, &there->any, there->size_bytes), 0);
    assert_int_equal(fcntl(greeted->fd, F_SETFL, O_NONBLOCK), 0);
    greeted->context = SSL_CTX_new(TLS_client_method());
    greeted->session = SSL_new(greeted->context);
    assert_int_equal(SSL_set_fd(greeted->session, greeted->fd), 1);
    assert_int_equal(SSL_connect(greeted->session), -1);
    until(recv(greeted->fd, &byte, 1, MSG_PEEK) == 1);
}

static void end_greeting(struct greeted *greeted)
{
    SSL_free(greeted->session);
    SSL_CTX_free(greeted->context);
    close(greeted->fd);
    for (uint32_t i = 0; i < 500 && !vine__reactor_has_stopped(stepped.reactors[0]); i++) {
        stepped.clock_ns += VINE_NS_PER_SECOND / 100;
        step_all();
    }
    close_cores();
    vine_tls_destroy(greeted->tls);
}

/* Whether nobody listens there any more. */
static bool is_refused(const struct vine_address *address)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_refused = connect(fd, &address->any, address->size_bytes) != 0;

    close(fd);
    return is_refused;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void who_is_in_a_handshake_when_the_service_ends_is_answered(void **state)
{
    struct greeted greeted;
    struct vine_address address;
    char bytes[64] = "";

    (void)state;
    open_cores(1);
    begin_greeting(&greeted);
    address = *vine_service_address(greeted.running);
    vine_stop(0);
    until(is_refused(&address));
    step_often();
    assert_false(vine__reactor_has_stopped(stepped.reactors[0]));
    until(SSL_connect(greeted.session) == 1);
    assert_int_equal(SSL_write(greeted.session, "me\n", 3), 3);
    until(SSL_read(greeted.session, bytes, sizeof(bytes) - 1) > 0);
    assert_string_equal(bytes, "heard me\n");
    end_greeting(&greeted);
}

static void who_does_not_go_on_with_its_handshake_is_left_after_a_second(void **state)
{
    struct greeted greeted;
    struct vine_address address;
    char bytes[8192];

    (void)state;
    open_cores(1);
    begin_greeting(&greeted);
    address = *vine_service_address(greeted.running);
    vine_stop(0);
    until(is_refused(&address));
    stepped.clock_ns += VINE_NS_PER_SECOND / 2;
    step_often();
    assert_false(vine__reactor_has_stopped(stepped.reactors[0]));
    for (uint32_t i = 0; i < 100; i++) {
        stepped.clock_ns += VINE_NS_PER_SECOND / 100;
        step_all();
    }
    until(vine__reactor_has_stopped(stepped.reactors[0]));
    while (recv(greeted.fd, bytes, sizeof(bytes), 0) > 0)
        continue;
    assert_true(recv(greeted.fd, bytes, sizeof(bytes), 0) == 0 || errno == ECONNRESET);
    end_greeting(&greeted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_in_a_handshake_when_the_service_ends_is_answered),
        cmocka_unit_test(who_does_not_go_on_with_its_handshake_is_left_after_a_second),
    };

    return make_certificate(NULL) + run_by_both(tests) + drop_certificate(NULL);
}
