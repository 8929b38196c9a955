/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime links=libcrypto */
/* Hellos that no client of OpenSSL's would send. */
#include "network_tests.h"

#include <vine/tls.h>

#include "certificates.h"

#define TCP "127.0.0.1:0"

static struct authority authority;
static struct leaf leaf, other;

struct started {
    struct vine_tls_start start;
    uint32_t calls;
};

static void on_started(struct vine_tls_start *start)
{
    VINE_CONTAINER_OF(start, struct started, start)->calls++;
}

#define HELLO_MAX 512

/* A hello of TLS 1.3 for `name`, in one record, with a share of a key or with none: then the server
 * asks for another hello. Returns its size. */
static size_t make_hello(const char *name, bool has_share, unsigned char *hello)
{
    static const unsigned char fixed[] = {
        0x00, 0x2b, 0, 3, 2, 0x03, 0x04,                               /* version 1.3 */
        0x00, 0x0a, 0, 4, 0, 2,    0x00, 0x1d,                         /* x25519 */
        0x00, 0x0d, 0, 8, 0, 6,    0x04, 0x03, 0x08, 0x04, 0x08, 0x07, /* signatures */
    };
    static const unsigned char head[] = {0x16, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3};
    static const unsigned char suites[] = {0, 0, 2, 0x13, 0x01, 1, 0};
    const size_t name_size = strlen(name), share_size = has_share ? 36 : 0;
    unsigned char *at = hello;

#define PUT(bytes, size) at = (unsigned char *)memcpy(at, (bytes), (size)) + (size)
#define PUT_U16(number)  *at++ = (unsigned char)((number) >> 8), *at++ = (unsigned char)(number)
    PUT(head, sizeof(head));
    memset(at, 7, 32);
    at += 32;
    PUT(suites, sizeof(suites));
    PUT_U16(9 + name_size + sizeof(fixed) + 6 + share_size);
    PUT_U16(0);
    PUT_U16(name_size + 5);
    PUT_U16(name_size + 3);
    *at++ = 0;
    PUT_U16(name_size);
    PUT(name, name_size);
    PUT(fixed, sizeof(fixed));
    PUT_U16(0x33);
    PUT_U16(share_size + 2);
    PUT_U16(share_size);
    if (has_share) {
        PUT_U16(0x1d);
        PUT_U16(32);
        memset(at, 0, 32);
        *at = 9;
        at += 32;
    }
#undef PUT
#undef PUT_U16
    const size_t size = (size_t)(at - hello);

    hello[3] = (unsigned char)((size - 5) >> 8);
    hello[4] = (unsigned char)(size - 5);
    hello[7] = (unsigned char)((size - 9) >> 8);
    hello[8] = (unsigned char)(size - 9);
    return size;
}

/* Send one, and wait for what comes. Returns the kind of its first record. */
static int answer_to_hello(int fd, const char *name, bool has_share)
{
    unsigned char hello[HELLO_MAX], answer[8192] = {0};
    const size_t size = make_hello(name, has_share, hello);
    ssize_t got = -1;

    assert_int_equal(send(fd, hello, size, MSG_NOSIGNAL), size);
    until((got = recv(fd, answer, sizeof(answer), MSG_DONTWAIT)) >= 0);
    step_often();
    return got > 0 ? answer[0] : 0;
}

#define RECORD_ALERT     0x15
#define RECORD_HANDSHAKE 0x16

/* Returns what a server answers to a second hello for another name than the first one's. */
static int answer_to_names(struct vine_tls *server, const char *one, const char *another)
{
    struct started started = {.calls = 0};
    struct arrivals arrivals;
    int fd, answer;

    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    fd = connect_plainly(&arrivals);
    vine_tls_accept(server, &started.start, arrivals.connections[0], on_started);
    assert_int_equal(answer_to_hello(fd, one, false), RECORD_HANDSHAKE);
    answer = answer_to_hello(fd, another, true);
    close(fd);
    until(started.calls == 1);
    assert_true(started.start.error < 0);
    close_listener(&arrivals);
    return answer;
}

static int choose_other(void *context, const char *name, struct vine_tls **ret_tls)
{
    if (strcmp(name, "other.test") != 0)
        return -ENOENT;
    *ret_tls = context;
    return 0;
}

/* The server asks for certificates, but not behind one name: who has asked for that first is not
 * let in behind the others without one. */
static void a_client_cannot_change_its_name_half_way(void **state)
{
    const struct vine_tls_options lax_options = {.size_bytes = sizeof(lax_options),
                                                 .is_server = true,
                                                 .certificate = other.certificate,
                                                 .key = other.key};
    struct vine_tls_options options = {.size_bytes = sizeof(options),
                                       .is_server = true,
                                       .certificate = leaf.certificate,
                                       .key = leaf.key,
                                       .authorities = authority.pem,
                                       .choose = choose_other};
    struct vine_tls *lax, *server;

    (void)state;
    open_cores(1);
    assert_int_equal(vine_tls_create(&lax_options, &lax), 0);
    options.choose_context = lax;
    assert_int_equal(vine_tls_create(&options, &server), 0);
    assert_int_equal(answer_to_names(server, "other.test", "server.test"), RECORD_ALERT);
    assert_int_equal(answer_to_names(server, "server.test", "other.test"), RECORD_ALERT);
    assert_int_equal(answer_to_names(server, "other.test", "other.test"), RECORD_HANDSHAKE);
    assert_int_equal(answer_to_names(server, "server.test", "server.test"), RECORD_HANDSHAKE);
    vine_tls_destroy(server);
    vine_tls_destroy(lax);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_cannot_change_its_name_half_way),
    };

    make_authority(&authority, "authority");
    make_leaf(&authority, "DNS:server.test", &leaf);
    make_leaf(&authority, "DNS:other.test", &other);

    const int failed = run_by_both(tests);

    drop_authority(&authority);
    return failed;
}
