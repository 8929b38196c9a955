/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Connections of one core with itself and with plain sockets, stepped in one thread. */
#include "network_tests.h"

#include <vine/tls.h>

#define TCP "127.0.0.1:0"

/* ---- refusals -------------------------------------------------------------------------------- */

static void connecting_where_nobody_listens_is_refused(void **state)
{
    struct connected connected = {.calls = 0};
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    close_listener(&arrivals);
    vine_connect(&connected.connect, &arrivals.address, on_connected);
    assert_int_equal(connected.calls, 0);
    until(connected.calls == 1);
    assert_int_equal(connected.connect.error, -ECONNREFUSED);
    assert_null(connected.connect.connection);
    close_cores();
}

static void connecting_to_no_kind_of_address_is_refused(void **state)
{
    struct connected connected = {.calls = 0};
    const struct vine_address nothing = {.any = {.sa_family = 77}, .size_bytes = 16};

    (void)state;
    open_cores(1);
    vine_connect(&connected.connect, &nothing, on_connected);
    assert_int_equal(connected.calls, 0);
    until(connected.calls == 1);
    assert_int_equal(connected.connect.error, -EAFNOSUPPORT);
    close_cores();
}

static void a_connect_that_is_cancelled_ends(void **state)
{
    struct connected connected = {.calls = 0};
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    vine_connect(&connected.connect, &arrivals.address, on_connected);
    vine_connect_cancel(&connected.connect);
    until(connected.calls == 1);
    assert_true(connected.connect.error == -ECANCELED || connected.connect.error == 0);
    if (connected.connect.error == 0)
        close_connection(connected.connect.connection);
    vine_connect_cancel(&connected.connect); /* has ended: nothing */
    step_often();
    for (uint32_t i = 0; i < arrivals.count; i++)
        close_connection(arrivals.connections[i]);
    close_listener(&arrivals);
    close_cores();
}

static void what_follows_an_end_of_the_reactors_is_closed(void **state)
{
    struct received received = {.calls = 0}, later = {.calls = 0};
    struct sent sent = {.calls = 0};
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    vine_receive(pair.client, &received.receive, on_received);
    vine_stop(0);
    until(received.calls == 1);
    assert_int_equal(received.size, -ECANCELED);
    vine_receive(pair.client, &later.receive, on_received);
    vine_send(pair.client, &sent.send, "x", 1, on_sent);
    until(vine__reactor_has_stopped(stepped.reactors[0]));
    assert_int_equal(later.size, -VINE_ECLOSED);
    assert_int_equal(sent.error, -VINE_ECLOSED);
    vine_connection_close(pair.client, NULL);
    vine_connection_close(pair.server, NULL);
    vine_listener_close(pair.arrivals.listener, NULL);
    stepped_close(&stepped);
}

/* Who has never begun something may give it up: at its own end it need not know. */
static void what_is_not_under_way_is_left_alone_by_a_cancel(void **state)
{
    struct connected connected = {.calls = 0};
    struct received received = {.calls = 0};
    struct sent sent = {.calls = 0};
    struct vine_datagram datagram = {.size = 0};
    struct vine_tls_start start = {.error = 0};

    (void)state;
    open_cores(1);
    vine_connect_cancel(&connected.connect);
    vine_receive_cancel(&received.receive);
    vine_send_cancel(&sent.send);
    vine_datagram_cancel(&datagram);
    vine_tls_cancel(&start);
    step_often();
    assert_int_equal(connected.calls + received.calls + sent.calls, 0);
    close_cores();
}

static struct pair of_stopper;
static struct sent at_stop;

static void use_the_network(struct vine_stopper *stopper)
{
    (void)stopper;
    vine_send(of_stopper.server, &at_stop.send, "x", 1, on_sent);
}

/* Whichever was first: a service may be registered before it uses the network. */
static void the_network_ends_after_what_the_program_stops(void **state)
{
    struct received received = {.calls = 0};
    struct vine_stopper stopper;

    (void)state;
    at_stop = (struct sent){.calls = 0};
    open_cores(1);
    vine_at_stop(&stopper, use_the_network);
    open_pair(&of_stopper, TCP);
    vine_receive(of_stopper.client, &received.receive, on_received);
    vine_stop(0);
    until(at_stop.calls == 1 && received.calls == 1);
    assert_int_equal(at_stop.error, 0);
    assert_int_equal(received.size, 1);
    step_often();
    assert_false(vine__reactor_has_stopped(stepped.reactors[0]));
    vine_stopper_done(&stopper);
    until(vine__reactor_has_stopped(stepped.reactors[0]));
    vine_connection_close(of_stopper.client, NULL);
    vine_connection_close(of_stopper.server, NULL);
    vine_listener_close(of_stopper.arrivals.listener, NULL);
    stepped_close(&stepped);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void bytes_come_as_they_were_sent(void **state)
{
    struct received received;
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, state != NULL && *state != NULL ? *state : TCP);
    assert_int_equal(send_all(pair.client, "hello", 5), 0);
    assert_int_equal(receive_one(pair.server, &received), 5);
    assert_memory_equal(received.bytes, "hello", 5);
    assert_int_equal(send_all(pair.server, "and back", 8), 0);
    assert_int_equal(receive_one(pair.client, &received), 8);
    assert_memory_equal(received.bytes, "and back", 8);
    close_pair(&pair);
    close_cores();
}

static void no_function_is_called_within_the_call_that_registered_it(void **state)
{
    struct received received = {.calls = 0};
    struct sent sent = {.calls = 0};
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    assert_int_equal(send_all(pair.client, "hello", 5), 0);
    vine_receive(pair.server, &received.receive, on_received);
    assert_int_equal(received.calls, 0);
    until(received.calls == 1);
    assert_int_equal(send_all(pair.client, "hello", 5), 0);
    step_often(); /* it is there now */
    received.calls = 0;
    vine_receive(pair.server, &received.receive, on_received);
    assert_int_equal(received.calls, 0);
    vine_send(pair.server, &sent.send, NULL, 0, on_sent);
    assert_int_equal(sent.calls, 0);
    until(received.calls == 1 && sent.calls == 1);
    assert_int_equal(sent.error, 0);
    close_pair(&pair);
    close_cores();
}

static void memory_of_the_reader_is_filled_from_what_is_held_and_from_the_kernel(void **state)
{
    struct received received = {.calls = 0};
    unsigned char bytes[16];
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    /* The first view lets the kernel run ahead. */
    assert_int_equal(send_all(pair.client, "0", 1), 0);
    assert_int_equal(receive_one(pair.server, &received), 1);
    assert_int_equal(send_all(pair.client, "abcdefgh", 8), 0);
    step_often();
    received = (struct received){.calls = 0};
    vine_receive_into(pair.server, &received.receive, bytes, 3, on_received);
    until(received.calls == 1);
    assert_int_equal(received.size, 3);
    assert_memory_equal(bytes, "abc", 3);
    vine_receive_into(pair.server, &received.receive, bytes, 1, on_received);
    until(received.calls == 2);
    assert_memory_equal(bytes, "d", 1);
    /* The rest as a view. */
    assert_int_equal(receive_one(pair.server, &received), 4);
    assert_memory_equal(received.bytes, "efgh", 4);
    /* Nothing is held: the kernel writes it there. */
    received.calls = 0;
    vine_receive_into(pair.server, &received.receive, bytes, sizeof(bytes), on_received);
    step_often();
    assert_int_equal(received.calls, 0);
    assert_int_equal(send_all(pair.client, "ijk", 3), 0);
    until(received.calls == 1);
    assert_int_equal(received.size, 3);
    assert_memory_equal(bytes, "ijk", 3);
    assert_int_equal(send_all(pair.client, "l", 1), 0);
    assert_int_equal(receive_one(pair.server, &received), 1);
    close_pair(&pair);
    close_cores();
}

static void sends_go_out_in_order(void **state)
{
    enum { COUNT = 100 };
    static struct sent sents[COUNT];
    static char texts[COUNT][16];
    struct received received;
    struct pair pair;
    char all[COUNT * 3 + 1] = "";
    size_t size = 0;

    (void)state;
    memset(sents, 0, sizeof(sents));
    open_cores(1);
    open_pair(&pair, TCP);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "%03d", i);
        vine_send(pair.client, &sents[i].send, texts[i], 3, on_sent);
    }
    while (size < COUNT * 3) {
        const int64_t more = receive_one(pair.server, &received);

        assert_true(more > 0 && size + (size_t)more <= COUNT * 3);
        memcpy(all + size, received.receive.bytes, (size_t)more);
        size += (size_t)more;
    }
    for (int i = 0; i < COUNT; i++) {
        until(sents[i].calls == 1);
        assert_int_equal(sents[i].error, 0);
        assert_int_equal(sents[i].send.sent, 3);
        assert_memory_equal(all + (size_t)i * 3, texts[i], 3);
    }
    close_pair(&pair);
    close_cores();
}

static void pieces_are_sent_as_one(void **state)
{
    enum { COUNT = 100 };
    struct iovec vector[COUNT];
    struct sent sent = {.calls = 0};
    struct received received;
    struct pair pair;
    char letters[COUNT];
    size_t size = 0;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    for (size_t i = 0; i < COUNT; i++) {
        letters[i] = (char)('a' + i % 26);
        vector[i] = (struct iovec){.iov_base = &letters[i], .iov_len = i % 7 == 0 ? 0 : 1};
    }
    vine_send_vector(pair.client, &sent.send, vector, COUNT, on_sent);
    until(sent.calls == 1);
    assert_int_equal(sent.error, 0);
    assert_int_equal(sent.send.sent, COUNT - 15);
    while (size < COUNT - 15)
        size += (size_t)receive_one(pair.server, &received);
    assert_int_equal(size, COUNT - 15);
    close_pair(&pair);
    close_cores();
}

/* More than the sockets hold: the kernel takes it bit by bit as the other side reads. */
static void a_send_that_exceeds_all_buffers_ends_when_all_is_taken(void **state)
{
    const size_t size = 16 << 20;
    unsigned char *const bytes = malloc(size);
    struct sent sent = {.calls = 0}, behind = {.calls = 0};
    struct received received;
    struct pair pair;
    size_t got = 0;

    (void)state;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + (i >> 13));
    open_cores(1);
    open_pair(&pair, TCP);
    vine_send(pair.client, &sent.send, bytes, size, on_sent);
    vine_send(pair.client, &behind.send, "!", 1, on_sent);
    step_often();
    assert_int_equal(sent.calls, 0);
    while (got < size) {
        const int64_t more = receive_one(pair.server, &received);

        assert_true(more > 0);
        const size_t compared = got + (size_t)more <= size ? (size_t)more : size - got;

        assert_memory_equal(received.receive.bytes, bytes + got, compared);
        got += (size_t)more;
    }
    until(sent.calls == 1 && behind.calls == 1);
    assert_int_equal(sent.error, 0);
    assert_int_equal(sent.send.sent, size);
    if (got == size)
        assert_int_equal(receive_one(pair.server, &received), 1);
    close_pair(&pair);
    close_cores();
    free(bytes);
}

static void a_client_that_sends_24_bytes_at_a_time_is_served(void **state)
{
    enum { COUNT = 2000, SIZE = 24 };
    struct arrivals arrivals;
    struct received received;
    unsigned char bytes[SIZE];
    size_t got = 0;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    const int fd = connect_plainly(&arrivals);

    memset(bytes, 'x', sizeof(bytes));
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(send(fd, bytes, SIZE, MSG_NOSIGNAL), SIZE);
        if (i % 3 == 0)
            got += (size_t)receive_one(arrivals.connections[0], &received);
    }
    while (got < (size_t)COUNT * SIZE)
        got += (size_t)receive_one(arrivals.connections[0], &received);
    assert_int_equal(got, COUNT * SIZE);
    close(fd);
    assert_int_equal(receive_one(arrivals.connections[0], &received), 0);
    close_connection(arrivals.connections[0]);
    close_listener(&arrivals);
    close_cores();
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void the_end_of_a_stream_is_told_again_and_again(void **state)
{
    struct sent sent = {.calls = 0};
    struct received received;
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    assert_int_equal(send_all(pair.client, "last", 4), 0);
    vine_shutdown_send(pair.client, &sent.send, on_sent);
    assert_int_equal(sent.calls, 0);
    until(sent.calls == 1);
    assert_int_equal(sent.error, 0);
    assert_int_equal(receive_one(pair.server, &received), 4);
    assert_int_equal(receive_one(pair.server, &received), 0);
    assert_int_equal(receive_one(pair.server, &received), 0);
    /* The other direction goes on. */
    assert_int_equal(send_all(pair.server, "still", 5), 0);
    assert_int_equal(receive_one(pair.client, &received), 5);
    assert_int_equal(send_all(pair.client, "x", 1), -EPIPE);
    sent.calls = 0;
    vine_shutdown_send(pair.server, &sent.send, on_sent);
    until(sent.calls == 1);
    assert_int_equal(receive_one(pair.client, &received), 0);
    close_pair(&pair);
    close_cores();
}

static void a_shutdown_waits_for_the_sends_before_it(void **state)
{
    const size_t size = 8 << 20;
    unsigned char *const bytes = calloc(1, size);
    struct sent sent = {.calls = 0}, end = {.calls = 0};
    struct received received;
    struct pair pair;
    size_t got = 0;
    int64_t more;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    vine_send(pair.client, &sent.send, bytes, size, on_sent);
    vine_shutdown_send(pair.client, &end.send, on_sent);
    while ((more = receive_one(pair.server, &received)) > 0)
        got += (size_t)more;
    assert_int_equal(more, 0);
    assert_int_equal(got, size);
    until(sent.calls == 1 && end.calls == 1);
    assert_int_equal(end.error, 0);
    close_pair(&pair);
    close_cores();
    free(bytes);
}

static void a_peer_that_resets_is_told_as_that(void **state)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    struct received received = {.calls = 0};
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    const int fd = connect_plainly(&arrivals);

    vine_receive(arrivals.connections[0], &received.receive, on_received);
    step_often();
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(fd);
    until(received.calls == 1);
    assert_int_equal(received.size, -ECONNRESET);
    assert_int_equal(receive_one(arrivals.connections[0], &received), -ECONNRESET);
    assert_int_equal(send_all(arrivals.connections[0], "x", 1), -EPIPE);
    close_connection(arrivals.connections[0]);
    close_listener(&arrivals);
    close_cores();
}

static void a_reset_while_sending_says_how_much_was_taken(void **state)
{
    const size_t size = 32 << 20;
    unsigned char *const bytes = calloc(1, size);
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    struct sent sent = {.calls = 0}, behind = {.calls = 0};
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    const int fd = connect_plainly(&arrivals);

    vine_send(arrivals.connections[0], &sent.send, bytes, size, on_sent);
    vine_send(arrivals.connections[0], &behind.send, "x", 1, on_sent);
    step_often();
    assert_int_equal(sent.calls, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(fd);
    until(sent.calls == 1 && behind.calls == 1);
    assert_true(sent.error == -ECONNRESET || sent.error == -EPIPE);
    assert_true(sent.send.sent > 0 && sent.send.sent < size);
    assert_int_equal(behind.error, -EPIPE);
    assert_int_equal(behind.send.sent, 0);
    close_connection(arrivals.connections[0]);
    close_listener(&arrivals);
    close_cores();
    free(bytes);
}

static void closing_ends_all_operations_once(void **state)
{
    const size_t size = 32 << 20;
    unsigned char *const bytes = calloc(1, size);
    struct sent sents[3] = {{.calls = 0}};
    struct received received = {.calls = 0};
    struct closed closed = {.calls = 0};
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    vine_receive(pair.client, &received.receive, on_received);
    for (int i = 0; i < 3; i++)
        vine_send(pair.client, &sents[i].send, bytes, size, on_sent);
    step_often();
    vine_work_init(&closed.work, on_closed);
    vine_connection_close(pair.client, &closed.work);
    assert_int_equal(received.calls, 0);
    until(closed.calls == 1);
    assert_int_equal(received.calls, 1);
    assert_int_equal(received.size, -ECANCELED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sents[i].calls, 1);
        assert_int_equal(sents[i].error, -ECANCELED);
        assert_true((i == 0) == (sents[i].send.sent > 0));
    }
    close_connection(pair.server);
    close_listener(&pair.arrivals);
    close_cores();
    free(bytes);
}

static void a_view_that_nobody_has_seen_goes_with_the_connection(void **state)
{
    struct received received = {.calls = 0};
    struct closed closed = {.calls = 0};
    struct vine_network_counts counts;
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    assert_int_equal(send_all(pair.client, "0", 1), 0);
    assert_int_equal(receive_one(pair.server, &received), 1);
    assert_int_equal(send_all(pair.client, "hello", 5), 0);
    step_often();
    received = (struct received){.calls = 0};
    vine_receive(pair.server, &received.receive, on_received); /* ends at once, is told later */
    vine_work_init(&closed.work, on_closed);
    vine_connection_close(pair.server, &closed.work);
    until(closed.calls == 1);
    assert_int_equal(received.calls, 1);
    assert_int_equal(received.size, -ECANCELED);
    vine_network_get_counts(&counts);
    assert_int_equal(counts.buffers_used, 0);
    close_connection(pair.client);
    close_listener(&pair.arrivals);
    close_cores();
}

static void a_receive_that_is_cancelled_leaves_the_stream_whole(void **state)
{
    struct received received = {.calls = 0};
    unsigned char bytes[8];
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    vine_receive(pair.server, &received.receive, on_received);
    vine_receive_cancel(&received.receive);
    assert_int_equal(received.calls, 0);
    until(received.calls == 1);
    assert_int_equal(received.size, -ECANCELED);
    vine_receive_into(pair.server, &received.receive, bytes, sizeof(bytes), on_received);
    step_often();
    vine_receive_cancel(&received.receive);
    until(received.calls == 2);
    assert_int_equal(received.size, -ECANCELED);
    assert_int_equal(send_all(pair.client, "whole", 5), 0);
    assert_int_equal(receive_one(pair.server, &received), 5);
    assert_memory_equal(received.bytes, "whole", 5);
    close_pair(&pair);
    close_cores();
}

static void a_send_that_waits_can_be_cancelled_and_the_others_go_on(void **state)
{
    const size_t size = 8 << 20;
    unsigned char *const bytes = calloc(1, size);
    struct sent first = {.calls = 0}, middle = {.calls = 0}, last = {.calls = 0};
    struct received received;
    struct pair pair;
    size_t got = 0;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    vine_send(pair.client, &first.send, bytes, size, on_sent);
    vine_send(pair.client, &middle.send, "middle", 6, on_sent);
    vine_send(pair.client, &last.send, "last", 4, on_sent);
    step_often();
    vine_send_cancel(&middle.send);
    until(middle.calls == 1);
    assert_int_equal(middle.error, -ECANCELED);
    while (got < size + 4)
        got += (size_t)receive_one(pair.server, &received);
    until(first.calls == 1 && last.calls == 1);
    assert_int_equal(first.error, 0);
    assert_int_equal(last.error, 0);
    assert_int_equal(got, size + 4);
    close_pair(&pair);
    close_cores();
    free(bytes);
}

static void both_ends_know_their_addresses(void **state)
{
    struct vine_address ours, theirs;
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    assert_int_equal(vine_connection_get_address(pair.client, &ours), 0);
    assert_int_equal(vine_connection_get_peer(pair.server, &theirs), 0);
    assert_memory_equal(&ours.ip4, &theirs.ip4, sizeof(ours.ip4));
    assert_int_equal(vine_connection_get_peer(pair.client, &theirs), 0);
    assert_int_equal(vine_address_port(&theirs), vine_address_port(&pair.arrivals.address));
    close_pair(&pair);
    close_cores();
}

static void the_kernel_says_who_the_peer_of_a_local_socket_is(void **state)
{
    struct vine_credentials credentials;
    gid_t groups[VINE_CREDENTIALS_GROUPS_MAX];
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, local_address());
    assert_int_equal(vine_connection_get_credentials(pair.server, &credentials), 0);
    assert_int_equal(credentials.process, getpid());
    assert_int_equal(credentials.user, geteuid());
    assert_int_equal(credentials.group, getegid());
    assert_int_equal(credentials.group_count, getgroups(VINE_CREDENTIALS_GROUPS_MAX, groups));
    close_pair(&pair);
    open_pair(&pair, TCP);
    assert_int_equal(vine_connection_get_credentials(pair.server, &credentials), -EOPNOTSUPP);
    close_pair(&pair);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connecting_where_nobody_listens_is_refused),
        cmocka_unit_test(connecting_to_no_kind_of_address_is_refused),
        cmocka_unit_test(a_connect_that_is_cancelled_ends),
        cmocka_unit_test(what_follows_an_end_of_the_reactors_is_closed),
        cmocka_unit_test(what_is_not_under_way_is_left_alone_by_a_cancel),
        cmocka_unit_test(the_network_ends_after_what_the_program_stops),
        cmocka_unit_test(bytes_come_as_they_were_sent),
        cmocka_unit_test(no_function_is_called_within_the_call_that_registered_it),
        cmocka_unit_test(memory_of_the_reader_is_filled_from_what_is_held_and_from_the_kernel),
        cmocka_unit_test(sends_go_out_in_order),
        cmocka_unit_test(pieces_are_sent_as_one),
        cmocka_unit_test(a_send_that_exceeds_all_buffers_ends_when_all_is_taken),
        cmocka_unit_test(a_client_that_sends_24_bytes_at_a_time_is_served),
        cmocka_unit_test(the_end_of_a_stream_is_told_again_and_again),
        cmocka_unit_test(a_shutdown_waits_for_the_sends_before_it),
        cmocka_unit_test(a_peer_that_resets_is_told_as_that),
        cmocka_unit_test(a_reset_while_sending_says_how_much_was_taken),
        cmocka_unit_test(closing_ends_all_operations_once),
        cmocka_unit_test(a_view_that_nobody_has_seen_goes_with_the_connection),
        cmocka_unit_test(a_receive_that_is_cancelled_leaves_the_stream_whole),
        cmocka_unit_test(a_send_that_waits_can_be_cancelled_and_the_others_go_on),
        cmocka_unit_test(both_ends_know_their_addresses),
        cmocka_unit_test(the_kernel_says_who_the_peer_of_a_local_socket_is),
    };

    return run_by_both(tests);
}
