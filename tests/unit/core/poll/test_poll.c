/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Several sockets at once, peers that hang up, and micro-processes that listen. */
#include "../process/process_tests.h"

#include "core/state/state.h"

/* ---- which comes first ----------------------------------------------------------------------- */

/* Tells on its connection which of its sockets has what, until the connection itself has. */
VINE_COROUTINE(looks_at_all)
{
    struct {
        struct vine_poll polls[4];
        size_t index;
        char text[16];
        ssize_t length;
        int error;
    } *self;

    vine_begin();
    self->polls[0] = (struct vine_poll){that->socket, VINE_POLL_READABLE | VINE_POLL_HUNG_UP, 0};
    for (self->index = 1; self->index < 4; self->index++) {
        vine_connect(self->polls[self->index].socket, vine_argument());
        self->polls[self->index].wanted = VINE_POLL_READABLE | VINE_POLL_HUNG_UP;
    }
    vine_write("ready", 5);
    for (;;) {
        vine_deadline(VINE_NS_PER_SECOND);
        vine_poll(self->index, self->polls, 4);
        if (self->index == 0)
            break;
        vine_read_on(self->polls[self->index].socket, self->length, self->text, sizeof self->text);
        vine_writef("%zu: %d, %.*s\n", self->index, self->polls[self->index].told,
                    (int)self->length, self->text);
        if (self->length == 0)
            self->polls[self->index].socket = self->polls[1].socket;
    }
    vine_catch(self->error)
    {
        vine_deadline(VINE_FOREVER);
        vine_writef("error %d\n", self->error);
        vine_poll(self->index, self->polls, 1);
    }
    vine_end();
}

static void the_one_that_has_something_is_told(void **state)
{
    struct one one, others[4];
    struct server server;

    (void)state;
    open_processes();
    serve_at(&server, 8);
    start_one(&one, &vine__type_looks_at_all, server.address);
    for (int i = 1; i < 4; i++)
        others[i] = accepted_by(&server);
    expect(&one, "ready");
    say_to(&others[2], "b");
    expect(&one, "2: 1, b\n");
    say_to(&others[1], "a");
    expect(&one, "1: 1, a\n");
    say_to(&others[3], "c");
    expect(&one, "3: 1, c\n");
    close(others[2].fd);
    expect(&one, "2: 3, \n");
    advance(2 * VINE_NS_PER_SECOND);
    expect(&one, "error -110\n");
    say_to(&one, "x");
    expect_end(&one);
    close(others[1].fd);
    close(others[3].fd);
    finish_one(&one, 0);
    close(server.fd);
    close_cores();
}

/* ---- hanging up ------------------------------------------------------------------------------ */

VINE_COROUTINE(waits_for_the_end_of_another)
{
    struct {
        struct vine_socket *other;
        char text[16];
        ssize_t length;
    } *self;

    vine_begin();
    vine_connect(self->other, vine_argument());
    vine_read_on(self->other, self->length, self->text, 1);
    vine_hang_up(self->other);
    vine_write("gone", 4);
    vine_hang_up(self->other); /* still */
    vine_read_on(self->other, self->length, self->text, sizeof self->text);
    vine_write(self->text, (size_t)self->length);
    vine_read_on(self->other, self->length, self->text, sizeof self->text);
    vine_writef("%zd", self->length);
    vine_hang_up(that->socket);
    vine_end();
}

static void who_hangs_up_is_noticed_before_all_is_read(void **state)
{
    struct one one, other;
    struct server server;

    (void)state;
    open_processes();
    serve_at(&server, 8);
    for (int way = 0; way < 3; way++) {
        start_one(&one, &vine__type_waits_for_the_end_of_another, server.address);
        other = accepted_by(&server);
        say_to(&other, way == 0 ? "a" : "abcd");
        step_often();
        if (way == 2) {
            say_to(&other, "ef");
            step_often();
        }
        assert_int_equal(read(one.fd, &(char){0}, 1), -1);
        close(other.fd);
        expect(&one, way == 0 ? "gone0" : way == 1 ? "gonebcd0" : "gonebcd");
        if (way == 2)
            expect(&one, "2"); /* it reads the rest, and tells how much */
        finish_one(&one, 0);
    }
    close(server.fd);
    close_cores();
}

/* Waits for another service on behalf of its client, and stops when the client has gone. */
VINE_COROUTINE(asks_in_vain)
{
    struct {
        struct vine_socket *other;
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_connect(self->other, vine_argument());
    vine_write_on(self->other, "please", 6);
    vine_read_on(self->other, self->length, &self->byte, 1);
    vine_end();
}

VINE_COROUTINE(asks_for_its_client)
{
    struct {
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_child(asks_in_vain, vine_argument(), self->child);
    vine_hang_up(that->socket);
    vine_cancel(self->child);
    vine_join(self->child);
    vine_end();
}

static void nobody_is_asked_for_a_client_that_has_gone(void **state)
{
    struct one one, other;
    struct server server;

    (void)state;
    start_between(&server, &one, &other, &vine__type_asks_for_its_client);
    expect(&other, "please");
    step_often();
    (void)shutdown(one.fd, SHUT_WR);
    finish_between(&server, &one, &other);
}

/* Parks though it has waited for the end of its client in vain. */
VINE_COROUTINE(waits_in_vain_and_parks)
{
    struct {
        const char *there;
        size_t size;
        int error;
    } *self;

    vine_begin();
    vine_look(self->size, self->there, 1);
    vine_deadline(VINE_NS_PER_SECOND);
    vine_hang_up(that->socket);
    vine_write("gone", 4);
    vine_catch(self->error)
    {
        vine_deadline(VINE_FOREVER);
        vine_look(self->size, self->there, 1);
        vine_skip(self->size);
        vine_write("parks", 5);
        vine_park();
    }
    vine_end();
}

static void who_has_parked_is_not_told_of_the_end(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_waits_in_vain_and_parks, NULL);
    say_to(&one, "abc");
    step_often();
    advance(2 * VINE_NS_PER_SECOND);
    expect(&one, "parks");
    while (vine__process_count() > 0)
        advance(VINE_NS_PER_SECOND / 100);
    assert_int_equal(one.ends, 0);
    finish_one(&one, 0);
    close_cores();
}

/* ---- pipes ----------------------------------------------------------------------------------- */

VINE_COROUTINE(writes_and_ends)
{
    struct {
        int i;
    } *self;

    vine_begin();
    vine_yield();
    vine_write("xy", 2);
    for (self->i = 0; self->i < 3; self->i++)
        vine_yield();
    vine_end();
}

VINE_COROUTINE(polls_a_pipe)
{
    struct {
        struct vine_poll polls[2];
        struct vine_coroutine *child;
        size_t index;
        char text[8];
        ssize_t length;
    } *self;

    vine_begin();
    vine_pipe(self->polls[1].socket);
    self->polls[0] = (struct vine_poll){that->socket, VINE_POLL_READABLE, 0};
    self->polls[1].wanted = VINE_POLL_READABLE;
    vine_child_on(writes_and_ends, NULL, that->socket, self->polls[1].socket, self->child);
    vine_poll(self->index, self->polls, 2);
    vine_read_on(self->polls[1].socket, self->length, self->text, sizeof self->text);
    vine_writef("%zu %zd ", self->index, self->length);
    vine_poll(self->index, self->polls, 2);
    vine_read_on(self->polls[1].socket, self->length, self->text, sizeof self->text);
    vine_writef("%zu %zd ", self->index, self->length);
    vine_hang_up(self->polls[1].socket);
    vine_join(self->child);
    vine_poll(self->index, self->polls, 1);
    vine_writef("%zu", self->index);
    vine_end();
}

static void a_pipe_is_polled_as_a_connection_is(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_polls_a_pipe, NULL);
    expect(&one, "1 2 1 0 ");
    say_to(&one, "x");
    expect(&one, "0");
    finish_one(&one, 0);
    close_cores();
}

/* ---- listening ------------------------------------------------------------------------------- */

VINE_COROUTINE(serves_one)
{
    struct {
        struct vine_socket *client;
        char text[16];
        ssize_t length;
    } *self;

    vine_begin();
    vine_accept(self->client, vine_argument());
    vine_read_on(self->client, self->length, self->text, sizeof self->text);
    vine_writef_on(self->client, "you say %.*s", (int)self->length, self->text);
    vine_end();
}

VINE_COROUTINE(listens)
{
    struct {
        struct vine_socket *listener;
        struct vine_coroutine *children[3];
        char text[4];
        ssize_t length;
        int i, error;
    } *self;

    vine_begin();
    vine_listen_at(self->listener, vine_argument());
    vine_writef("%u\n", vine_port(self->listener));
    vine_read(self->length, self->text, 1);
    for (self->i = 0; self->i < 3; self->i++)
        vine_child(serves_one, self->listener, self->children[self->i]);
    vine_read(self->length, self->text, 1);
    vine_close(self->listener);
    for (self->i = 0; self->i < 3; self->i++)
        vine_join(self->children[self->i]);
    vine_catch(self->error)
    {
        vine_writef("error %d\n", self->error);
    }
    vine_end();
}

static struct one connect_at(uint16_t port)
{
    const struct sockaddr_in ip = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct one one = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    assert_int_equal(connect(one.fd, (const struct sockaddr *)&ip, sizeof ip), 0);
    assert_int_equal(fcntl(one.fd, F_SETFL, O_NONBLOCK), 0);
    return one;
}

static uint16_t told_port(struct one *one)
{
    char text[8] = "";

    for (size_t size = 0; strchr(text, '\n') == NULL; size++)
        expect_bytes(one, text + size, 1);
    return (uint16_t)strtoul(text, NULL, 10);
}

static void who_connects_is_accepted_in_turn(void **state)
{
    struct one one, first, second;
    uint16_t port;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_listens, (void *)(uintptr_t) "127.0.0.1:0");
    port = told_port(&one);
    first = connect_at(port);
    say_to(&first, "a");
    step_often(); /* before it is asked for */
    say_to(&one, "x");
    expect(&first, "you say a");
    expect_end(&first);
    close(first.fd);
    second = connect_at(port);
    say_to(&second, "b");
    expect(&second, "you say b");
    expect_end(&second);
    close(second.fd);
    say_to(&one, "x");
    expect(&one, "error -125\n"); /* the third, whose listener was closed */
    finish_one(&one, 0);
    close_cores();
}

static uint32_t count_closed(const struct one *clients, uint32_t count)
{
    uint32_t closed = 0;

    for (uint32_t i = 0; i < count; i++)
        closed += read(clients[i].fd, &(char){0}, 1) == 0;
    return closed;
}

static void more_than_a_few_that_nobody_accepts_are_closed(void **state)
{
    struct one one, clients[20];
    uint16_t port;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_listens, (void *)(uintptr_t) "127.0.0.1:0");
    port = told_port(&one);
    for (int i = 0; i < 20; i++) {
        clients[i] = connect_at(port);
        step_often();
    }
    until(count_closed(clients, 20) >= 4);
    step_often();
    assert_int_equal(count_closed(clients, 20), 4);
    for (int i = 0; i < 20; i++)
        close(clients[i].fd);
    vine_stop(0);
    advance(6 * VINE_NS_PER_SECOND);
    expect(&one, "error -125\n");
    finish_one(&one, 0);
    close_cores();
}

static void what_cannot_be_listened_at_says_why(void **state)
{
    static const struct {
        const char *address, *says;
    } ways[] = {
        {"localhost:0", "error -22\n"},
        {"", "error -22\n"},
        {"127.0.0.1:99999", "error -22\n"},
        {"unix:/no/such/folder/socket", "error -2\n"},
        {NULL, "error -98\n"},
    };
    struct server server;
    struct one one;

    (void)state;
    open_processes();
    serve_at(&server, 8);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const char *const address = ways[i].address != NULL ? ways[i].address : server.address;

        start_one(&one, &vine__type_listens, (void *)(uintptr_t)address);
        expect(&one, ways[i].says);
        finish_one(&one, 0);
    }
    close(server.fd);
    close_cores();
}

/* ---- an answer for one that has gone --------------------------------------------------------- */

#define BLOCKS 40

static uintptr_t child_begin; /* where it was */
static int blocks_there;

VINE_COROUTINE(writes_in_vain)
{
    struct {
        char much[4000];
    } *self;

    vine_begin();
    vine_deadline(VINE_NS_PER_SECOND);
    for (;;)
        vine_write(self->much, sizeof self->much);
    vine_end();
}

VINE_COROUTINE(forgives)
{
    struct {
        struct vine_coroutine *child;
        int error;
    } *self;

    vine_begin();
    vine_child(writes_in_vain, NULL, self->child);
    child_begin = (uintptr_t)self->child;
    vine_join(self->child);
    vine_catch(self->error)
    {
        assert_int_equal(self->error, -ETIMEDOUT);
    }
    vine_end();
}

/* Takes memory while the child's answer is still to come: that there is room to write. */
VINE_COROUTINE(remembers)
{
    struct {
        ssize_t length;
        char byte;
    } *self;

    vine_begin();
    vine_call(forgives, NULL);
    for (int i = 0; i < BLOCKS; i++) {
        const uintptr_t block =
            (uintptr_t)vine__heap_alloc(&that->inside->heap, sizeof(struct vine_coroutine));

        blocks_there += block < child_begin + sizeof(struct vine_coroutine) &&
                        child_begin < block + sizeof(struct vine_coroutine);
    }
    vine_read(self->length, &self->byte, 1);
    vine_end();
}

/* The answer has its place and a number, and what is read there has to be a coroutine's. */
static void no_memory_comes_where_one_was_that_an_answer_is_for(void **state)
{
    static char bytes[65536];
    struct one one;

    (void)state;
    child_begin = 0;
    blocks_there = 0;
    open_processes();
    start_one(&one, &vine__type_remembers, NULL);
    step_often();
    advance(2 * VINE_NS_PER_SECOND);
    step_often();
    for (int i = 0; i < 100; i++) { /* all that was on its way: the answer comes */
        (void)!read(one.fd, bytes, sizeof bytes);
        step_often();
    }
    say_to(&one, "x");
    finish_one(&one, 0);
    assert_int_not_equal(child_begin, 0);
    assert_int_equal(blocks_there, 0);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_that_has_something_is_told),
        cmocka_unit_test(who_hangs_up_is_noticed_before_all_is_read),
        cmocka_unit_test(nobody_is_asked_for_a_client_that_has_gone),
        cmocka_unit_test(who_has_parked_is_not_told_of_the_end),
        cmocka_unit_test(a_pipe_is_polled_as_a_connection_is),
        cmocka_unit_test(who_connects_is_accepted_in_turn),
        cmocka_unit_test(more_than_a_few_that_nobody_accepts_are_closed),
        cmocka_unit_test(what_cannot_be_listened_at_says_why),
        cmocka_unit_test(no_memory_comes_where_one_was_that_an_answer_is_for),
    };

    return run_by_all_guards(tests);
}
