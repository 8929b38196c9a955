/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Who does not read, who does not send, and what becomes of memory and time then. */
#include "network_tests.h"

#define TCP    "127.0.0.1:0"
#define SECOND VINE_NS_PER_SECOND

static struct vine_network_counts counts_now(void)
{
    struct vine_network_counts counts;

    vine_network_get_counts(&counts);
    return counts;
}

/* Send what the socket takes without waiting. */
static size_t send_until_full(int fd)
{
    static const unsigned char bytes[4096];
    size_t sent = 0;
    ssize_t more;

    while ((more = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        sent += (size_t)more;
    return sent;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void a_reader_that_does_not_ask_holds_a_few_buffers(void **state)
{
    struct arrivals arrivals;
    struct received received;
    size_t sent = 0, got = 0;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    const int fd = connect_plainly(&arrivals);

    assert_int_equal(send(fd, "x", 1, 0), 1);
    assert_int_equal(receive_one(arrivals.connections[0], &received), 1);
    /* The peer sends all that it can, and nobody asks. */
    for (uint32_t i = 0; i < 50; i++) {
        sent += send_until_full(fd);
        step_often();
        assert_true(counts_now().buffers_used <= 4 * VINE_RECEIVE_AHEAD);
    }
    assert_true(sent > 100000);
    assert_int_equal(counts_now().held_back, 1);
    assert_int_equal(send_until_full(fd), 0); /* the peer has to wait */
    /* Who asks again gets all of it. */
    while (got < sent) {
        const int64_t more = receive_one(arrivals.connections[0], &received);

        assert_true(more > 0);
        got += (size_t)more;
    }
    assert_int_equal(got, sent);
    close(fd);
    assert_int_equal(receive_one(arrivals.connections[0], &received), 0);
    close_connection(arrivals.connections[0]);
    assert_int_equal(counts_now().buffers_used, 0);
    close_listener(&arrivals);
    close_cores();
}

static void what_is_held_is_not_more_for_many_connections(void **state)
{
    enum { COUNT = 300 };
    struct arrivals arrivals;
    static struct received received[COUNT];
    int fds[COUNT];

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    memset(received, 0, sizeof(received));
    for (uint32_t i = 0; i < COUNT; i++) {
        fds[i] = connect_plainly(&arrivals);
        vine_receive(arrivals.connections[i], &received[i].receive, on_received);
    }
    step_often();
    assert_int_equal(counts_now().buffers_used, 0); /* idle ones have none */
    for (uint32_t i = 0; i < COUNT; i++)
        (void)send_until_full(fds[i]);
    for (uint32_t i = 0; i < COUNT; i++)
        until(received[i].calls == 1);
    step_often();
    assert_true(counts_now().buffers_used <= COUNT * (VINE_RECEIVE_AHEAD + 1) * 4);
    assert_true(counts_now().buffers_used > COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        close(fds[i]);
        close_connection(arrivals.connections[i]);
    }
    assert_int_equal(counts_now().buffers_used, 0);
    close_listener(&arrivals);
    close_cores();
}

static void an_idle_connection_takes_less_than_a_kibibyte(void **state)
{
    struct vine_network_counts counts;

    (void)state;
    open_cores(1);
    counts = counts_now();
    assert_int_equal(counts.connections, 0);
    /* What its owner needs for it at the least is one of each. */
    assert_true(vine__network_connection_bytes() + sizeof(struct vine_receive) +
                    sizeof(struct vine_send) <
                1024);
    close_cores();
}

/* ---- time ------------------------------------------------------------------------------------ */

static void a_receive_ends_at_its_deadline_and_not_before(void **state)
{
    struct received received = {.calls = 0};
    unsigned char bytes[4];
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    for (int into = 0; into < 2; into++) {
        received = (struct received){.receive.deadline_ns =
                                         vine_clock_now(VINE_CLOCK_COARSE) + 5 * SECOND};
        if (into == 0)
            vine_receive(pair.server, &received.receive, on_received);
        else
            vine_receive_into(pair.server, &received.receive, bytes, sizeof(bytes), on_received);
        stepped.clock_ns += 4 * SECOND;
        step_often();
        assert_int_equal(received.calls, 0);
        stepped.clock_ns += 2 * SECOND;
        until(received.calls == 1);
        assert_int_equal(received.size, -ETIMEDOUT);
    }
    /* One that has ended is not ended again by its deadline. */
    received =
        (struct received){.receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + 5 * SECOND};
    vine_receive(pair.server, &received.receive, on_received);
    assert_int_equal(send_all(pair.client, "now", 3), 0);
    until(received.calls == 1);
    assert_int_equal(received.size, 3);
    stepped.clock_ns += 10 * SECOND;
    step_often();
    assert_int_equal(received.calls, 1);
    /* Nor does it leave anything behind. */
    assert_int_equal(send_all(pair.client, "then", 4), 0);
    assert_int_equal(receive_one(pair.server, &received), 4);
    close_pair(&pair);
    close_cores();
}

static void each_of_many_receives_has_its_own_deadline(void **state)
{
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    for (uint64_t n = 0; n < 100; n++) {
        /* Its memory is its owner's again as soon as it has ended. */
        struct received *const received = calloc(1, sizeof(*received));
        const uint64_t within_ns = (1 + n * 5 % 8) * SECOND;
        const bool is_in_time = n % 10 != 9;

        assert_non_null(received);
        if (n % 7 != 3)
            received->receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + within_ns;
        vine_receive(pair.server, &received->receive, on_received);
        stepped.clock_ns += within_ns - SECOND / 2;
        step_often();
        assert_int_equal(received->calls, 0);
        if (is_in_time || received->receive.deadline_ns == 0)
            assert_int_equal(send_all(pair.client, "x", 1), 0);
        else
            stepped.clock_ns += SECOND;
        until(received->calls == 1);
        assert_int_equal(received->size,
                         is_in_time || received->receive.deadline_ns == 0 ? 1 : -ETIMEDOUT);
        free(received);
    }
    close_pair(&pair);
    close_cores();
}

/* What its owner writes while it is under way is for the next one. */
static void a_deadline_is_read_as_the_operation_begins(void **state)
{
    struct received *const received = calloc(1, sizeof(*received));
    struct pair pair;

    (void)state;
    assert_non_null(received);
    open_cores(1);
    open_pair(&pair, TCP);
    /* The one that it began with counts ... */
    received->receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + 5 * SECOND;
    vine_receive(pair.server, &received->receive, on_received);
    received->receive.deadline_ns = 0;
    stepped.clock_ns += 6 * SECOND;
    until(received->calls == 1);
    assert_int_equal(received->size, -ETIMEDOUT);
    /* ... and leaves nothing behind ... */
    received->receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + 5 * SECOND;
    vine_receive(pair.server, &received->receive, on_received);
    received->receive.deadline_ns = 0;
    assert_int_equal(send_all(pair.client, "now", 3), 0);
    until(received->calls == 2);
    assert_int_equal(received->size, 3);
    stepped.clock_ns += 10 * SECOND;
    step_often();
    /* ... and one that it did not begin with does not. */
    vine_receive(pair.server, &received->receive, on_received);
    received->receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + SECOND;
    stepped.clock_ns += 10 * SECOND;
    step_often();
    assert_int_equal(received->calls, 2);
    assert_int_equal(send_all(pair.client, "then", 4), 0);
    until(received->calls == 3);
    assert_int_equal(received->size, 4);
    free(received);
    close_pair(&pair);
    close_cores();
}

static void a_deadline_of_a_send_is_read_as_it_begins(void **state)
{
    const size_t size = 32 << 20;
    unsigned char *const bytes = calloc(1, size);
    struct sent *const first = calloc(1, sizeof(*first));
    struct sent second = {.calls = 0};
    struct arrivals arrivals;

    (void)state;
    assert_true(bytes != NULL && first != NULL);
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    const int fd = connect_plainly(&arrivals);

    first->send.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + 20 * SECOND;
    vine_send(arrivals.connections[0], &first->send, "x", 1, on_sent);
    first->send.deadline_ns = 0;
    until(first->calls == 1);
    assert_int_equal(first->error, 0);
    memset(first, 0xa5, sizeof(*first)); /* it is ours */
    second.send.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + 30 * SECOND;
    vine_send(arrivals.connections[0], &second.send, bytes, size, on_sent);
    second.send.deadline_ns = 0;
    stepped.clock_ns += 25 * SECOND;
    step_often();
    assert_int_equal(second.calls, 0);
    stepped.clock_ns += 10 * SECOND;
    until(second.calls == 1);
    assert_int_equal(second.error, -ETIMEDOUT);
    close_connection(arrivals.connections[0]);
    close_listener(&arrivals);
    close_cores();
    close(fd);
    free(first);
    free(bytes);
}

static void a_send_to_a_peer_that_never_reads_ends_at_its_deadline(void **state)
{
    const size_t size = 32 << 20;
    unsigned char *const bytes = calloc(1, size);
    struct sent first = {.calls = 0}, second = {.calls = 0}, third = {.calls = 0};
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    const int fd = connect_plainly(&arrivals);

    first.send.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + 10 * SECOND;
    second.send.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + 5 * SECOND;
    vine_send(arrivals.connections[0], &first.send, bytes, size, on_sent);
    vine_send(arrivals.connections[0], &second.send, bytes, size, on_sent);
    vine_send(arrivals.connections[0], &third.send, bytes, size, on_sent);
    stepped.clock_ns += 6 * SECOND;
    until(second.calls == 1);
    assert_int_equal(second.error, -ETIMEDOUT);
    assert_int_equal(second.send.sent, 0);
    step_often();
    assert_int_equal(first.calls, 0);
    stepped.clock_ns += 6 * SECOND;
    until(first.calls == 1 && third.calls == 1);
    assert_int_equal(first.error, -ETIMEDOUT);
    assert_true(first.send.sent > 0 && first.send.sent < size);
    assert_int_equal(third.error, -EPIPE); /* nothing can follow a part */
    assert_int_equal(send_all(arrivals.connections[0], "x", 1), -EPIPE);
    close_connection(arrivals.connections[0]);
    close_listener(&arrivals);
    close_cores();
    close(fd);
    free(bytes);
}

/* A listener whose queue is full: who connects there waits. */
struct full {
    int fd;
    int fillers[8];
    struct vine_address address;
};

static void fill_queue(struct full *full)
{
    socklen_t size = sizeof(full->address.ip4);

    full->address = address_of(TCP);
    full->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(full->fd, &full->address.any, full->address.size_bytes), 0);
    assert_int_equal(listen(full->fd, 0), 0);
    assert_int_equal(getsockname(full->fd, &full->address.any, &size), 0);
    for (int i = 0; i < 8; i++) {
        full->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(full->fillers[i], &full->address.any, full->address.size_bytes);
    }
}

static void drop_queue(const struct full *full)
{
    for (int i = 0; i < 8; i++)
        close(full->fillers[i]);
    close(full->fd);
}

static void a_connect_that_nobody_answers_ends_at_its_deadline(void **state)
{
    struct connected connected = {.calls = 0};
    struct full full;

    (void)state;
    fill_queue(&full);
    open_cores(1);
    connected.connect.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + 5 * SECOND;
    vine_connect(&connected.connect, &full.address, on_connected);
    stepped.clock_ns += 4 * SECOND;
    step_often();
    assert_int_equal(connected.calls, 0);
    stepped.clock_ns += 2 * SECOND;
    until(connected.calls == 1);
    assert_int_equal(connected.connect.error, -ETIMEDOUT);
    until(counts_now().connections == 0);
    close_cores();
    drop_queue(&full);
}

static void the_reactors_stop_while_a_connect_waits(void **state)
{
    struct connected connected = {.calls = 0};
    struct full full;

    (void)state;
    fill_queue(&full);
    open_cores(1);
    vine_connect(&connected.connect, &full.address, on_connected);
    step_often();
    assert_int_equal(connected.calls, 0);
    close_cores();
    assert_int_equal(connected.calls, 1);
    assert_int_equal(connected.connect.error, -ECANCELED);
    drop_queue(&full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_that_does_not_ask_holds_a_few_buffers),
        cmocka_unit_test(what_is_held_is_not_more_for_many_connections),
        cmocka_unit_test(an_idle_connection_takes_less_than_a_kibibyte),
        cmocka_unit_test(a_receive_ends_at_its_deadline_and_not_before),
        cmocka_unit_test(each_of_many_receives_has_its_own_deadline),
        cmocka_unit_test(a_deadline_is_read_as_the_operation_begins),
        cmocka_unit_test(a_deadline_of_a_send_is_read_as_it_begins),
        cmocka_unit_test(a_send_to_a_peer_that_never_reads_ends_at_its_deadline),
        cmocka_unit_test(a_connect_that_nobody_answers_ends_at_its_deadline),
        cmocka_unit_test(the_reactors_stop_while_a_connect_waits),
    };

    return run_by_both(tests);
}
