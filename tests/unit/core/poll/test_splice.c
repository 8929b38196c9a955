/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Bytes from one connection of a micro-process to another: all of them come through, no more than
 * the reader takes, and nothing is lost by giving up. */
#include "../process/process_tests.h"

#include "../socket/both_ends.h"

/* ---- all that comes -------------------------------------------------------------------------- */

enum way { PIECES, FORWARD, THROUGH_A_PIPE, BY_HAND_BETWEEN, WAYS };

static enum way way;

/* What comes from its input goes to its output, in pieces of which some are worth the trouble. */
VINE_COROUTINE(passes_pieces)
{
    struct {
        uint64_t wanted, moved;
        char text[100];
        ssize_t length;
    } *self;

    vine_begin();
    do {
        self->wanted = 1 + roll(roll(2) == 0 ? 100000 : 2000);
        if (way == BY_HAND_BETWEEN && roll(3) == 0) {
            vine_read_on(FROM, self->length, self->text, sizeof self->text);
            vine_write_on(TO, self->text, (size_t)self->length);
            self->wanted = 1;
            self->moved = self->length > 0;
        } else {
            vine_splice(self->moved, FROM, TO, self->wanted);
        }
        assert_true(self->moved <= self->wanted);
    } while (self->moved == self->wanted);
    vine_end();
}

VINE_COROUTINE(passes_on)
{
    struct {
        struct vine_socket *other, *pipe;
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_connect(self->other, vine_argument());
    to = self->other;
    from = NULL;
    switch (way) {
    case FORWARD:
        vine_forward(that->socket, self->other);
        break;
    case THROUGH_A_PIPE:
        vine_pipe(self->pipe);
        to = NULL;
        vine_child_on(passes_pieces, NULL, that->socket, self->pipe, self->child);
        vine_forward(self->pipe, self->other);
        vine_join(self->child);
        break;
    default:
        vine_call(passes_pieces, NULL);
        break;
    }
    vine_close_output_on(self->other);
    vine_end();
}

static char sent[STREAM_BYTES], came[STREAM_BYTES];

static void come_through(void)
{
    struct server server;
    struct one one, other;
    size_t out = 0, in = 0;
    ssize_t part;

    fill(sent, 0, sizeof sent);
    serve_at(&server, 8);
    start_one(&one, &vine__type_passes_on, server.address);
    other = accepted_by(&server);
    while (in < sizeof came) {
        const size_t size = 1 + roll(5000);

        part = write(one.fd, sent + out, size < sizeof sent - out ? size : sizeof sent - out);
        out += part > 0 ? (size_t)part : 0;
        if (out == sizeof sent)
            (void)shutdown(one.fd, SHUT_WR);
        part = read(other.fd, came + in, 1 + roll(5000));
        in += part > 0 ? (size_t)part : 0;
        step_all();
    }
    expect_end(&other);
    close(other.fd);
    finish_one(&one, 0);
    close(server.fd);
    assert_memory_equal(came, sent, sizeof sent);
}

static void whatever_comes_goes_on(void **state)
{
    (void)state;
    open_processes();
    for (way = 0; way < WAYS; way++)
        for (uint64_t seed = 1; seed <= 10; seed++) {
            seed_state = seed * 0x9E3779B97F4A7C15ULL + 1;
            come_through();
        }
    close_cores();
}

/* ---- back-pressure --------------------------------------------------------------------------- */

VINE_COROUTINE(forwards)
{
    struct {
        struct vine_socket *other;
        char text[64];
        ssize_t length;
        int error;
    } *self;

    vine_begin();
    vine_connect(self->other, vine_argument());
    vine_deadline(VINE_NS_PER_SECOND);
    vine_forward(that->socket, self->other);
    vine_write_on(self->other, "end", 3);
    vine_catch(self->error)
    {
        vine_deadline(VINE_FOREVER);
        vine_writef("error %d\n", self->error);
    }
    vine_read(self->length, self->text, sizeof self->text);
    vine_write(self->text, (size_t)self->length);
    vine_end();
}

static void who_does_not_read_is_not_written_to(void **state)
{
    static char block[65536];
    struct server server;
    struct one one, other;
    size_t out = 0, in = 0;
    ssize_t part;

    (void)state;
    start_between(&server, &one, &other, &vine__type_forwards);
    for (int idle = 0; idle < 300; idle++) {
        part = write(one.fd, block, sizeof block);
        if (part > 0) {
            out += (size_t)part;
            idle = 0;
        }
        assert_true(out < (size_t)64 << 20); /* what the kernel's buffers and ours may hold */
        step_all();
    }
    (void)shutdown(one.fd, SHUT_WR);
    while (in < out + 3) {
        part = read(other.fd, block, sizeof block);
        in += part > 0 ? (size_t)part : 0;
        step_all();
    }
    finish_between(&server, &one, &other);
}

/* ---- giving up ------------------------------------------------------------------------------- */

static void what_comes_after_giving_up_is_for_the_next_reader(void **state)
{
    struct server server;
    struct one one, other;

    (void)state;
    start_between(&server, &one, &other, &vine__type_forwards);
    say_to(&one, "abc");
    expect(&other, "abc");
    advance(2 * VINE_NS_PER_SECOND);
    expect(&one, "error -110\n");
    say_to(&one, "def");
    expect(&one, "def");
    finish_between(&server, &one, &other);
}

static void an_end_that_is_gone_is_told(void **state)
{
    struct server server;
    struct one one, other;
    char text[16];

    (void)state;
    start_between(&server, &one, &other, &vine__type_forwards);
    step_often();
    close(other.fd);
    for (ssize_t size = -1; size <= 0;) {
        (void)!write(one.fd, "x", 1);
        step_all();
        size = read(one.fd, text, sizeof text);
        if (size > 0)
            assert_memory_equal(text, "error -", 7);
    }
    finish_one(&one, 0);
    close(server.fd);
    close_cores();
}

/* The socket that another one writes to, or reads from, goes. */
VINE_COROUTINE(forwards_here)
{
    struct {
        int error;
    } *self;

    vine_begin();
    vine_forward(that->socket, vine_argument());
    vine_catch(self->error)
    {
        vine_writef("error %d\n", self->error);
    }
    vine_end();
}

VINE_COROUTINE(forwards_back)
{
    struct {
        int error;
    } *self;

    vine_begin();
    vine_forward(vine_argument(), that->socket);
    vine_catch(self->error)
    {
        vine_writef("error %d\n", self->error);
    }
    vine_end();
}

VINE_COROUTINE(closes_what_is_spliced)
{
    struct {
        struct vine_socket *other, *third;
        struct vine_coroutine *child, *back;
        char text[8];
        ssize_t length;
    } *self;

    vine_begin();
    vine_connect(self->other, vine_argument());
    vine_connect(self->third, vine_argument());
    vine_child(forwards_here, self->other, self->child);
    vine_child(forwards_back, self->other, self->back);
    vine_read_on(self->third, self->length, self->text, sizeof self->text);
    vine_close(self->other);
    vine_join(self->child);
    vine_join(self->back);
    vine_read(self->length, self->text, sizeof self->text);
    vine_write(self->text, (size_t)self->length);
    vine_end();
}

static void who_splices_with_what_is_closed_is_cancelled(void **state)
{
    struct server server;
    struct one one, other, third;

    (void)state;
    start_between(&server, &one, &other, &vine__type_closes_what_is_spliced);
    third = accepted_by(&server);
    say_to(&one, "to");
    say_to(&other, "from");
    expect(&other, "to");
    expect(&one, "from");
    say_to(&third, "x");
    expect(&one, "error -125\nerror -125\n");
    expect_end(&other);
    say_to(&one, "still");
    expect(&one, "still");
    close(other.fd);
    close(third.fd);
    finish_one(&one, 0);
    close(server.fd);
    close_cores();
}

static void the_end_in_the_middle_of_it_leaves_nothing(void **state)
{
    struct vine_network_counts counts;
    struct server server;
    struct one one, other, third;

    (void)state;
    start_between(&server, &one, &other, &vine__type_closes_what_is_spliced);
    third = accepted_by(&server);
    say_to(&one, "to");
    expect(&other, "to");
    vine_stop(0);
    advance(6 * VINE_NS_PER_SECOND);
    finish_one(&one, -ECANCELED);
    vine_network_get_counts(&counts);
    assert_int_equal(counts.connections, 0);
    close(other.fd);
    close(third.fd);
    close(server.fd);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_comes_goes_on),
        cmocka_unit_test(who_does_not_read_is_not_written_to),
        cmocka_unit_test(what_comes_after_giving_up_is_for_the_next_reader),
        cmocka_unit_test(an_end_that_is_gone_is_told),
        cmocka_unit_test(who_splices_with_what_is_closed_is_cancelled),
        cmocka_unit_test(the_end_in_the_middle_of_it_leaves_nothing),
    };

    return run_by_all_guards(tests);
}
