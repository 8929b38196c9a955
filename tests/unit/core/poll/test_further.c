/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Sockets of the outside that a micro-process asks for: connecting, and how such a socket ends. */
#include "../process/process_tests.h"

/* ---- connecting ------------------------------------------------------------------------------ */

/* Asks another one, and tells what that answered. */
VINE_COROUTINE(asks_another)
{
    struct {
        struct vine_socket *other;
        char text[64];
        ssize_t length;
        int error;
    } *self;

    vine_begin();
    vine_deadline(5 * VINE_NS_PER_SECOND);
    vine_connect(self->other, vine_argument());
    vine_readline(self->length, self->text, sizeof self->text);
    vine_write_on(self->other, self->text, (size_t)self->length);
    vine_readline_on(self->other, self->length, self->text, sizeof self->text);
    vine_writef("it says %s", self->text);
    vine_catch(self->error)
    {
        vine_writef("error %d\n", self->error);
    }
    vine_end();
}

static void expect_error(const char *address, int error)
{
    char text[32];
    struct one one;

    (void)snprintf(text, sizeof text, "error %d\n", error);
    start_one(&one, &vine__type_asks_another, (void *)(uintptr_t)address);
    expect(&one, text);
    finish_one(&one, 0);
}

static void what_cannot_be_connected_to_says_why(void **state)
{
    static const struct {
        const char *address;
        int error;
    } ways[] = {
        {"", -EINVAL},
        {"127.0.0.1", -EINVAL},
        {"127.0.0.1:65536", -EINVAL},
        {"a host:80", -EINVAL},
        {":80", -EINVAL},
        {"host:", -EINVAL},
        {"unix:", -EINVAL},
        {"unix:/no/such/socket", -ENOENT},
        {"unix:@vine-nobody-listens-here", -ECONNREFUSED},
    };
    static char long_text[1000];
    struct server server;

    (void)state;
    open_processes();
    serve_at(&server, -1);
    expect_error(server.address, -ECONNREFUSED);
    close(server.fd);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        expect_error(ways[i].address, ways[i].error);
    memset(long_text, 'a', sizeof long_text - 1);
    expect_error(long_text, -ENAMETOOLONG);
    memcpy(long_text + 300, ":80", 4);
    expect_error(long_text, -ENAMETOOLONG);
    close_cores();
}

static void both_ends_are_joined(struct server *server, const char *address)
{
    struct one one, other;

    start_one(&one, &vine__type_asks_another, (void *)(uintptr_t)address);
    other = accepted_by(server);
    say_to(&one, "who?\n");
    expect(&other, "who?\n");
    say_to(&other, "me\n");
    expect(&one, "it says me\n");
    expect_end(&other);
    close(other.fd);
    finish_one(&one, 0);
}

static void a_connection_is_had_by_address_and_by_name(void **state)
{
    struct server server;
    char name[64];

    (void)state;
    open_processes();
    serve_at(&server, 8);
    both_ends_are_joined(&server, server.address);
    (void)snprintf(name, sizeof name, "localhost:%s", strchr(server.address, ':') + 1);
    both_ends_are_joined(&server, name);
    close(server.fd);
    close_cores();
}

/* Nobody accepts, and there is no room for others. */
static void fill(struct server *server, int fds[4])
{
    struct sockaddr_in ip;
    socklen_t size = sizeof ip;

    serve_at(server, 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&ip, &size), 0);
    for (int i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fds[i], (struct sockaddr *)&ip, sizeof ip);
    }
}

static void empty(struct server *server, int fds[4])
{
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(server->fd);
}

static void who_is_not_answered_has_its_deadline(void **state)
{
    struct server server;
    struct one one;
    int fds[4];

    (void)state;
    open_processes();
    fill(&server, fds);
    start_one(&one, &vine__type_asks_another, server.address);
    step_often();
    advance(6 * VINE_NS_PER_SECOND);
    expect(&one, "error -110\n");
    finish_one(&one, 0);
    empty(&server, fds);
    close_cores();
}

/* Has a child connect, and cancels it. */
VINE_COROUTINE(gives_up)
{
    struct {
        struct vine_coroutine *child;
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_child(asks_another, vine_argument(), self->child);
    vine_yield();
    vine_read(self->length, &self->byte, 1);
    vine_cancel(self->child);
    vine_join(self->child);
    vine_end();
}

static void who_is_cancelled_or_dies_leaves_nothing_behind(void **state)
{
    struct vine_network_counts counts;
    struct server server;
    struct one one;
    int fds[4];

    (void)state;
    open_processes();
    fill(&server, fds);
    start_one(&one, &vine__type_gives_up, server.address);
    step_often();
    say_to(&one, "x");
    expect(&one, "error -125\n");
    finish_one(&one, 0);
    start_one(&one, &vine__type_gives_up, server.address);
    step_often();
    vine_stop(0); /* it is ended in the middle of it */
    advance(6 * VINE_NS_PER_SECOND);
    finish_one(&one, -ECANCELED);
    vine_network_get_counts(&counts);
    assert_int_equal(counts.connections, 0);
    empty(&server, fds);
    close_cores();
}

/* ---- the end of a socket --------------------------------------------------------------------- */

VINE_COROUTINE(connects_and_says)
{
    struct {
        struct vine_socket *other;
    } *self;

    vine_begin();
    vine_connect(self->other, vine_argument());
    vine_write_on(self->other, "said", 4);
    vine_end();
}

VINE_COROUTINE(has_others_say)
{
    struct {
        struct vine_coroutine *child;
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_child(connects_and_says, vine_argument(), self->child);
    vine_join(self->child);
    vine_call(connects_and_says, vine_argument());
    vine_read(self->length, &self->byte, 1);
    vine_end();
}

static void a_socket_goes_with_its_coroutine(void **state)
{
    struct server server;
    struct one one, other;

    (void)state;
    open_processes();
    serve_at(&server, 8);
    start_one(&one, &vine__type_has_others_say, server.address);
    for (int i = 0; i < 2; i++) {
        other = accepted_by(&server);
        expect(&other, "said");
        expect_end(&other);
        close(other.fd);
    }
    finish_one(&one, 0);
    close(server.fd);
    close_cores();
}

/* As many as may be, and one more; and when one is gone there is room for another. */
VINE_COROUTINE(has_too_many)
{
    struct {
        struct vine_socket *others[64];
        char byte;
        ssize_t length;
        int count, error;
    } *self;

    vine_begin();
    for (;; self->count++) {
        vine_connect(self->others[self->count], vine_argument());
        vine_writef_on(self->others[self->count], "%02d", self->count);
    }
    vine_catch(self->error)
    {
        vine_writef("%d: error %d\n", self->count, self->error);
    }
    vine_read(self->length, &self->byte, 1);
    vine_write_on(self->others[3], "last", 4);
    vine_close(self->others[3]);
    vine_read(self->length, &self->byte, 1);
    vine_connect(self->others[3], vine_argument());
    for (self->count = 0; self->count < 16; self->count++)
        vine_writef_on(self->others[self->count], "all");
    vine_read(self->length, &self->byte, 1);
    vine_end();
}

static void there_are_so_many_and_no_more(void **state)
{
    struct server server;
    struct one one, others[16];
    char text[16];

    (void)state;
    open_processes();
    serve_at(&server, 32);
    start_one(&one, &vine__type_has_too_many, server.address);
    for (int i = 0; i < 16; i++) {
        others[i] = accepted_by(&server);
        (void)snprintf(text, sizeof text, "%02d", i);
        expect(&others[i], text);
    }
    expect(&one, "16: error -24\n");
    say_to(&one, "x");
    expect(&others[3], "last");
    expect_end(&others[3]);
    close(others[3].fd);
    say_to(&one, "x");
    others[3] = accepted_by(&server);
    for (int i = 0; i < 16; i++)
        expect(&others[i], "all");
    say_to(&one, "x");
    for (int i = 0; i < 16; i++) {
        expect_end(&others[i]);
        close(others[i].fd);
    }
    finish_one(&one, 0);
    close(server.fd);
    close_cores();
}

/* Those that are left, and whose peers stay. */
VINE_COROUTINE(comes_and_goes)
{
    struct {
        struct vine_socket *other;
        int count;
    } *self;

    vine_begin();
    for (; self->count < 200; self->count++) {
        vine_connect(self->other, vine_argument());
        vine_close(self->other);
    }
    vine_writef("%d\n", self->count);
    vine_end();
}

static void who_comes_and_goes_keeps_few_descriptors(void **state)
{
    struct vine_network_counts counts;
    struct server server;
    struct one one;

    (void)state;
    open_processes();
    serve_at(&server, 256);
    start_one(&one, &vine__type_comes_and_goes, server.address);
    expect(&one, "200\n");
    vine_network_get_counts(&counts);
    assert_in_range(counts.connections, 2, 2 * 16 + 1);
    advance(3 * VINE_NS_PER_SECOND);
    finish_one(&one, 0);
    vine_network_get_counts(&counts);
    assert_int_equal(counts.connections, 0);
    close(server.fd);
    close_cores();
}

VINE_COROUTINE(writes_much)
{
    struct {
        char unused;
    } *self;
    static const char much[1024 * 1024];

    vine_begin();
    vine_write_on(vine_argument(), much, sizeof much);
    vine_end();
}

/* Leaves what its peer does not read. */
VINE_COROUTINE(leaves_unsent)
{
    struct {
        struct vine_socket *other;
        struct vine_coroutine *child;
        char byte;
        ssize_t length;
        int count, error;
    } *self;

    vine_begin();
    for (;; self->count++) {
        vine_connect(self->other, vine_argument());
        vine_child(writes_much, self->other, self->child);
        vine_writef("?");
        vine_read(self->length, &self->byte, 1);
        vine_cancel(self->child);
        vine_close(self->other);
    }
    vine_catch(self->error)
    {
        vine_writef("%d: error %d", self->count, self->error);
    }
    vine_end();
}

static void who_leaves_much_unsent_has_no_others(void **state)
{
    struct server server = {.fd = -1};
    struct sockaddr_un here = {.sun_family = AF_UNIX};
    struct one one;
    char address[80];
    socklen_t size;

    (void)state;
    open_processes();
    size = (socklen_t)offsetof(struct sockaddr_un, sun_path);
    server.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.fd, (struct sockaddr *)&here, size), 0); /* the kernel names it */
    assert_int_equal(listen(server.fd, 256), 0);
    size = sizeof here;
    assert_int_equal(getsockname(server.fd, (struct sockaddr *)&here, &size), 0);
    (void)snprintf(address, sizeof address, "unix:@%.*s",
                   (int)(size - offsetof(struct sockaddr_un, sun_path)) - 1, here.sun_path + 1);
    start_one(&one, &vine__type_leaves_unsent, address);
    for (int i = 0; i < 64; i++) {
        expect(&one, "?");
        step_often(); /* until the peer's room is full */
        say_to(&one, "x");
    }
    expect(&one, "64: error -24");
    advance(31 * VINE_NS_PER_SECOND);
    close(server.fd);
    finish_one(&one, 0);
    close_cores();
}

static int raised;

VINE_COROUTINE(reads_in_vain)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read_on(vine_argument(), self->length, &self->byte, 1);
    vine_catch(raised)
    {
    }
    vine_end();
}

VINE_COROUTINE(closes_before_another)
{
    struct {
        struct vine_socket *other;
        struct vine_coroutine *child;
        char byte;
        ssize_t length;
        int error;
    } *self;

    vine_begin();
    vine_connect(self->other, vine_argument());
    vine_child(reads_in_vain, self->other, self->child);
    vine_read(self->length, &self->byte, 1);
    vine_close(self->other);
    vine_join(self->child);
    vine_writef("joined\n");
    vine_close(that->socket);
    vine_write("x", 1);
    vine_catch(self->error)
    {
    }
    vine_end();
}

static void who_waits_for_what_is_closed_is_cancelled(void **state)
{
    struct server server;
    struct one one, other;

    (void)state;
    raised = 0;
    start_between(&server, &one, &other, &vine__type_closes_before_another);
    step_often();
    say_to(&one, "x");
    expect(&one, "joined\n");
    expect_end(&one);
    assert_int_equal(raised, -ECANCELED);
    finish_between(&server, &one, &other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_connected_to_says_why),
        cmocka_unit_test(a_connection_is_had_by_address_and_by_name),
        cmocka_unit_test(who_is_not_answered_has_its_deadline),
        cmocka_unit_test(who_is_cancelled_or_dies_leaves_nothing_behind),
        cmocka_unit_test(a_socket_goes_with_its_coroutine),
        cmocka_unit_test(there_are_so_many_and_no_more),
        cmocka_unit_test(who_comes_and_goes_keeps_few_descriptors),
        cmocka_unit_test(who_leaves_much_unsent_has_no_others),
        cmocka_unit_test(who_waits_for_what_is_closed_is_cancelled),
    };

    return run_by_all_guards(tests);
}
