/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime links=libcrypto */
/* Sockets by TLS that a coroutine connects: who is asked and who is not, what ends a handshake that
 * does not, and files that go out by them, up to their end and not that far. */
#include "../process/process_tests.h"

#include <stdlib.h>
#include <unistd.h>

#include <vine/tls.h>

#include "../network/certificates.h"
#include "harness/folder.h"

#define LARGE_BYTES (300 * 1000)

static struct authority authority, stranger;
static struct leaf leaf, other_name, strange;
static struct vine_root root;
static char folder[] = "/tmp/vine-tls-XXXXXX";

/* ---- the other side -------------------------------------------------------------------------- */

/* Counts what comes, says `answer` to the first of it, and closes at its end. */
struct peer {
    struct vine_tls *tls;
    struct vine_tls_start start;
    struct vine_connection *connection;
    struct vine_receive receive;
    struct vine_send send;
    size_t come;
    bool is_over;
};

static void on_said(struct vine_send *send)
{
    (void)send;
}

static void on_come(struct vine_receive *receive)
{
    struct peer *const peer = VINE_CONTAINER_OF(receive, struct peer, receive);

    if (receive->size <= 0) {
        peer->is_over = true;
        vine_connection_close(peer->connection, NULL);
        return;
    }
    if (peer->come == 0)
        (vine_send)(peer->connection, &peer->send, "me\n", 3, on_said);
    peer->come += (size_t)receive->size;
    vine_receive(peer->connection, receive, on_come);
}

static void on_greeted(struct vine_tls_start *start)
{
    struct peer *const peer = VINE_CONTAINER_OF(start, struct peer, start);

    peer->connection = start->connection;
    if (start->error != 0)
        peer->is_over = true;
    else
        vine_receive(peer->connection, &peer->receive, on_come);
}

static void greet_next(struct peer *peer, const struct server *server, const struct leaf *shown)
{
    const struct vine_tls_options options = {.size_bytes = sizeof(options),
                                             .is_server = true,
                                             .certificate = shown->certificate,
                                             .key = shown->key};
    struct vine_connection *below = NULL;
    int fd = -1;

    *peer = (struct peer){.come = 0};
    until((fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    (void)vine__reactor_enter(stepped.reactors[0]);
    assert_int_equal(vine_tls_create(&options, &peer->tls), 0);
    assert_int_equal(vine_connection_adopt(fd, fd, &below), 0);
    vine_tls_accept(peer->tls, &peer->start, below, on_greeted);
    vine_tls_destroy(peer->tls);
}

static void no_connections_are_left(void)
{
    struct vine_network_counts counts;

    vine_network_get_counts(&counts);
    assert_int_equal(counts.connections, 0);
}

/* ---- asking ---------------------------------------------------------------------------------- */

VINE_COROUTINE(asks_by_tls)
{
    struct {
        struct vine_socket *other;
        char text[64];
        ssize_t length;
        int error;
    } *self;

    vine_begin();
    vine_deadline(5 * VINE_NS_PER_SECOND);
    vine_connect_tls(self->other, vine_argument());
    vine_write_on(self->other, "who?\n", 5);
    vine_readline_on(self->other, self->length, self->text, sizeof self->text);
    vine_writef("it says %s", self->text);
    vine_catch(self->error)
    {
        vine_writef("error %d\n", self->error);
    }
    vine_end();
}

static void who_is_meant_is_asked(void **state)
{
    struct server server;
    struct peer peer;
    struct one one;

    (void)state;
    open_processes();
    serve_at(&server, 8);
    for (int i = 0; i < 3; i++) {
        start_one(&one, &vine__type_asks_by_tls, server.address);
        greet_next(&peer, &server, &leaf);
        expect(&one, "it says me\n");
        finish_one(&one, 0);
        until(peer.is_over);
        assert_int_equal(peer.come, 5);
    }
    close(server.fd);
    until((no_connections_are_left(), true));
    close_cores();
}

static void expect_error(struct server *server, const struct leaf *shown, const char *address,
                         int error)
{
    struct peer peer = {.is_over = true};
    struct one one;
    char text[32];

    (void)snprintf(text, sizeof text, "error %d\n", error);
    start_one(&one, &vine__type_asks_by_tls, (void *)(uintptr_t)address);
    if (shown != NULL)
        greet_next(&peer, server, shown);
    expect(&one, text);
    finish_one(&one, 0);
    until(peer.is_over);
    assert_int_equal(peer.come, 0);
}

static void nobody_else_is(void **state)
{
    struct server server;
    char name[64];

    (void)state;
    open_processes();
    serve_at(&server, 8);
    (void)snprintf(name, sizeof name, "localhost:%s", strchr(server.address, ':') + 1);
    expect_error(&server, &strange, server.address, -EKEYREJECTED);
    expect_error(&server, &other_name, server.address, -EKEYREJECTED);
    expect_error(&server, &leaf, name, -EKEYREJECTED);
    close(server.fd);
    expect_error(&server, NULL, server.address, -ECONNREFUSED);
    expect_error(&server, NULL, "unix:@somebody", -EINVAL);
    expect_error(&server, NULL, "127.0.0.1", -EINVAL);
    expect_error(&server, NULL, ":80", -EINVAL);
    expect_error(&server, NULL, "", -EINVAL);
    close_cores();
}

static void who_does_not_speak_so_is_an_error(void **state)
{
    struct server server;
    struct one one, other;

    (void)state;
    open_processes();
    serve_at(&server, 8);
    start_one(&one, &vine__type_asks_by_tls, server.address);
    other = accepted_by(&server);
    say_to(&other, "220 good day, and who are you, pray?\r\n");
    expect(&one, "error -71\n");
    close(other.fd);
    finish_one(&one, 0);
    /* One that says nothing at all. */
    start_one(&one, &vine__type_asks_by_tls, server.address);
    other = accepted_by(&server);
    step_often();
    advance(6 * VINE_NS_PER_SECOND);
    expect(&one, "error -110\n");
    close(other.fd);
    finish_one(&one, 0);
    close(server.fd);
    close_cores();
}

VINE_COROUTINE(gives_up)
{
    struct {
        struct vine_coroutine *child;
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_child(asks_by_tls, vine_argument(), self->child);
    vine_read(self->length, &self->byte, 1);
    vine_cancel(self->child);
    vine_join(self->child);
    vine_end();
}

static void a_handshake_goes_with_who_has_begun_it(void **state)
{
    struct server server;
    struct one one, other;

    (void)state;
    open_processes();
    serve_at(&server, 8);
    start_one(&one, &vine__type_gives_up, server.address);
    other = accepted_by(&server);
    step_often();
    say_to(&one, "x");
    expect(&one, "error -125\n");
    finish_one(&one, 0);
    close(other.fd);
    start_one(&one, &vine__type_gives_up, server.address);
    other = accepted_by(&server);
    step_often();
    vine_stop(0); /* it is ended in the middle of it */
    advance(6 * VINE_NS_PER_SECOND);
    finish_one(&one, -ECANCELED);
    no_connections_are_left();
    close(other.fd);
    close(server.fd);
    close_cores();
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool may_send_all; /* else the socket is closed when something is said */

VINE_COROUTINE(sends_file)
{
    struct {
        struct vine_below *file;
        size_t at, sent;
        int error;
    } *self;

    vine_begin();
    vine_open_below(self->error, self->file, root, "large");
    for (; self->at < LARGE_BYTES; self->at += self->sent)
        vine_send_file_on(vine_argument(), self->sent, self->file, self->at,
                          LARGE_BYTES - self->at);
    vine_flush_on(vine_argument());
    vine_catch(self->error)
    {
    }
    vine_end();
}

VINE_COROUTINE(sends_by_tls)
{
    struct {
        struct vine_socket *other;
        struct vine_coroutine *child;
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_connect_tls(self->other, vine_argument());
    vine_child(sends_file, self->other, self->child);
    if (may_send_all)
        vine_join(self->child);
    else
        vine_read(self->length, &self->byte, 1);
    vine_close(self->other);
    vine_end();
}

static void a_file_goes_out_by_tls(void **state)
{
    struct server server;
    struct peer peer;
    struct one one;

    (void)state;
    may_send_all = true;
    open_processes();
    serve_at(&server, 8);
    start_one(&one, &vine__type_sends_by_tls, server.address);
    greet_next(&peer, &server, &leaf);
    until(peer.is_over);
    assert_int_equal(peer.come, LARGE_BYTES);
    finish_one(&one, 0);
    close(server.fd);
    close_cores();
}

/* Whether it is being read, or encrypted, or sent: what is left of that is waited for. */
static void a_socket_may_be_closed_in_the_middle_of_a_file(void **state)
{
    struct server server;
    struct peer peer;
    struct one one;

    (void)state;
    open_processes();
    serve_at(&server, 8);
    may_send_all = false;
    for (int i = 0; i < 60; i++) {
        start_one(&one, &vine__type_sends_by_tls, server.address);
        greet_next(&peer, &server, &leaf);
        for (int step = 0; step < 2 * i; step++)
            step_all();
        say_to(&one, "x");
        finish_one(&one, 0);
        until(peer.is_over);
        assert_true(peer.come <= LARGE_BYTES);
    }
    close(server.fd);
    close_cores();
}

/* ---------------------------------------------------------------------------------------------- */

static void make_all(void)
{
    char path[sizeof(folder) + 16];
    FILE *file;

    make_authority(&authority, "authority");
    make_authority(&stranger, "stranger");
    make_leaf(&authority, "IP:127.0.0.1", &leaf);
    make_leaf(&authority, "DNS:elsewhere.test", &other_name);
    make_leaf(&stranger, "IP:127.0.0.1", &strange);
    assert_int_equal(folder_make(folder), 0);
    (void)snprintf(path, sizeof path, "%s/trusted", folder);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(authority.pem, file) >= 0 && fclose(file) == 0);
    assert_int_equal(setenv("SSL_CERT_FILE", path, 1), 0);
    (void)snprintf(path, sizeof path, "%s/large", folder);
    file = fopen(path, "we");
    assert_non_null(file);
    for (int i = 0; i < LARGE_BYTES; i++)
        assert_true(fputc(i * 7 & 0xff, file) != EOF);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(vine_root_open(folder, &root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_meant_is_asked),
        cmocka_unit_test(nobody_else_is),
        cmocka_unit_test(who_does_not_speak_so_is_an_error),
        cmocka_unit_test(a_handshake_goes_with_who_has_begun_it),
        cmocka_unit_test(a_file_goes_out_by_tls),
        cmocka_unit_test(a_socket_may_be_closed_in_the_middle_of_a_file),
    };
    int failed;

    make_all();
    failed = run_by_all_guards(tests);
    drop_authority(&authority);
    drop_authority(&stranger);
    return failed;
}
