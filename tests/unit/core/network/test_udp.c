/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Datagrams. */
#include "network_tests.h"

#define LOCAL "127.0.0.1:0"

struct flown {
    struct vine_datagram datagram;
    uint32_t calls;
    char bytes[64];
};

static void on_flown(struct vine_datagram *datagram)
{
    VINE_CONTAINER_OF(datagram, struct flown, datagram)->calls++;
}

static struct vine_udp *open_at(const char *text)
{
    const struct vine_address address = address_of(text);
    struct vine_udp *udp = NULL;

    assert_int_equal(vine_udp_open(&address, NULL, &udp), 0);
    assert_int_not_equal(vine_address_port(vine_udp_address(udp)), 0);
    return udp;
}

static void close_udp(struct vine_udp *udp)
{
    struct closed closed = {.calls = 0};

    vine_work_init(&closed.work, on_closed);
    vine_udp_close(udp, &closed.work);
    assert_int_equal(closed.calls, 0);
    until(closed.calls == 1);
}

static int64_t send_one(struct vine_udp *udp, const void *bytes, size_t size,
                        const struct vine_address *to)
{
    struct flown flown = {.calls = 0};

    vine_udp_send(udp, &flown.datagram, bytes, size, to, on_flown);
    assert_int_equal(flown.calls, 0);
    until(flown.calls == 1);
    return flown.datagram.size;
}

static void begin_receive(struct vine_udp *udp, struct flown *flown)
{
    *flown = (struct flown){.calls = 0};
    vine_udp_receive(udp, &flown->datagram, flown->bytes, sizeof(flown->bytes), on_flown);
    assert_int_equal(flown->calls, 0);
}

static void what_is_no_address_of_ours_is_refused(void **state)
{
    struct vine_udp_options options = {.size_bytes = 4};
    struct vine_udp *udp = NULL;
    struct vine_address address = address_of("192.0.2.1:80");

    (void)state;
    open_cores(1);
    assert_int_equal(vine_udp_open(&address, NULL, &udp), -EADDRNOTAVAIL);
    address = address_of("unix:@nobody");
    assert_int_equal(vine_udp_open(&address, NULL, &udp), -EAFNOSUPPORT);
    address = address_of(LOCAL);
    assert_int_equal(vine_udp_open(&address, &options, &udp), -EINVAL);
    struct vine_udp *const first = open_at(LOCAL);

    assert_int_equal(vine_udp_open(vine_udp_address(first), NULL, &udp), -EADDRINUSE);
    assert_null(udp);
    close_udp(first);
    close_cores();
}

static void a_send_without_an_address_is_refused(void **state)
{
    struct vine_udp *udp;

    (void)state;
    open_cores(1);
    udp = open_at(LOCAL);
    assert_int_equal(send_one(udp, "x", 1, NULL), -EDESTADDRREQ);
    close_udp(udp);
    close_cores();
}

static void one_that_is_too_large_is_refused(void **state)
{
    static const char bytes[70000];
    struct vine_udp *udp;

    (void)state;
    open_cores(1);
    udp = open_at(LOCAL);
    assert_int_equal(send_one(udp, bytes, sizeof(bytes), vine_udp_address(udp)), -EMSGSIZE);
    close_udp(udp);
    close_cores();
}

static void datagrams_come_whole_and_say_from_where(void **state)
{
    struct vine_udp *one, *other;
    struct flown flown;

    (void)state;
    open_cores(1);
    one = open_at(LOCAL);
    other = open_at(LOCAL);
    begin_receive(other, &flown);
    assert_int_equal(send_one(one, "hello", 5, vine_udp_address(other)), 5);
    until(flown.calls == 1);
    assert_int_equal(flown.datagram.size, 5);
    assert_memory_equal(flown.bytes, "hello", 5);
    assert_false(flown.datagram.is_cut);
    assert_int_equal(vine_address_port(&flown.datagram.address),
                     vine_address_port(vine_udp_address(one)));
    /* And back, to where it came from; an empty one is one, too. */
    const struct vine_address from = flown.datagram.address;

    begin_receive(one, &flown);
    assert_int_equal(send_one(other, "", 0, &from), 0);
    until(flown.calls == 1);
    assert_int_equal(flown.datagram.size, 0);
    close_udp(one);
    close_udp(other);
    close_cores();
}

static void one_that_is_larger_than_its_room_is_cut_and_says_so(void **state)
{
    static const char bytes[100] = "begin";
    struct flown flown;
    struct vine_udp *udp;

    (void)state;
    open_cores(1);
    udp = open_at("[::1]:0");
    begin_receive(udp, &flown);
    assert_int_equal(send_one(udp, bytes, sizeof(bytes), vine_udp_address(udp)), 100);
    until(flown.calls == 1);
    assert_int_equal(flown.datagram.size, sizeof(flown.bytes));
    assert_true(flown.datagram.is_cut);
    close_udp(udp);
    close_cores();
}

static void many_receives_wait_at_once(void **state)
{
    enum { COUNT = 50 };
    static struct flown flown[COUNT];
    struct vine_udp *udp;
    uint32_t got = 0;

    (void)state;
    open_cores(1);
    udp = open_at(LOCAL);
    for (uint32_t i = 0; i < COUNT; i++)
        begin_receive(udp, &flown[i]);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(send_one(udp, &(char){(char)i}, 1, vine_udp_address(udp)), 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        until(flown[i].calls == 1);
        assert_int_equal(flown[i].datagram.size, 1);
        got += (unsigned char)flown[i].bytes[0];
    }
    assert_int_equal(got, COUNT * (COUNT - 1) / 2);
    close_udp(udp);
    close_cores();
}

static void a_connected_socket_hears_that_nobody_is_there(void **state)
{
    struct vine_udp *udp, *gone;
    struct vine_address address;
    struct flown flown;

    (void)state;
    open_cores(1);
    udp = open_at(LOCAL);
    gone = open_at(LOCAL);
    address = *vine_udp_address(gone);
    close_udp(gone);
    assert_int_equal(vine_udp_connect(udp, &address), 0);
    begin_receive(udp, &flown);
    assert_int_equal(send_one(udp, "x", 1, NULL), 1);
    until(flown.calls == 1);
    assert_int_equal(flown.datagram.size, -ECONNREFUSED);
    close_udp(udp);
    close_cores();
}

static void a_receive_ends_by_deadline_cancelling_and_closing(void **state)
{
    struct flown timed = {.calls = 0}, cancelled, closing;
    struct vine_udp *udp;

    (void)state;
    open_cores(1);
    udp = open_at(LOCAL);
    timed.datagram.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + VINE_NS_PER_SECOND;
    vine_udp_receive(udp, &timed.datagram, timed.bytes, sizeof(timed.bytes), on_flown);
    begin_receive(udp, &cancelled);
    begin_receive(udp, &closing);
    vine_datagram_cancel(&cancelled.datagram);
    until(cancelled.calls == 1);
    assert_int_equal(cancelled.datagram.size, -ECANCELED);
    assert_int_equal(timed.calls, 0);
    stepped.clock_ns += 2 * VINE_NS_PER_SECOND;
    until(timed.calls == 1);
    assert_int_equal(timed.datagram.size, -ETIMEDOUT);
    assert_int_equal(closing.calls, 0);
    close_udp(udp);
    assert_int_equal(closing.calls, 1);
    assert_int_equal(closing.datagram.size, -ECANCELED);
    close_cores();
}

static void a_deadline_is_read_as_the_operation_begins(void **state)
{
    struct flown *const flown = calloc(1, sizeof(*flown));
    struct vine_udp *udp;

    (void)state;
    assert_non_null(flown);
    open_cores(1);
    udp = open_at(LOCAL);
    flown->datagram.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + VINE_NS_PER_SECOND;
    vine_udp_receive(udp, &flown->datagram, flown->bytes, sizeof(flown->bytes), on_flown);
    flown->datagram.deadline_ns = 0;
    stepped.clock_ns += 2 * VINE_NS_PER_SECOND;
    until(flown->calls == 1);
    assert_int_equal(flown->datagram.size, -ETIMEDOUT);
    flown->datagram.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + VINE_NS_PER_SECOND;
    vine_udp_receive(udp, &flown->datagram, flown->bytes, sizeof(flown->bytes), on_flown);
    flown->datagram.deadline_ns = 0;
    assert_int_equal(send_one(udp, "now", 3, vine_udp_address(udp)), 3);
    until(flown->calls == 2);
    assert_int_equal(flown->datagram.size, 3);
    memset(flown, 0xa5, sizeof(*flown)); /* it is ours */
    stepped.clock_ns += 2 * VINE_NS_PER_SECOND;
    step_often();
    free(flown);
    close_udp(udp);
    close_cores();
}

static void the_reactors_stop_with_datagrams_on_their_way(void **state)
{
    struct flown flown, later;
    struct vine_udp *udp;

    (void)state;
    open_cores(1);
    udp = open_at(LOCAL);
    begin_receive(udp, &flown);
    vine_stop(0);
    until(flown.calls == 1);
    assert_int_equal(flown.datagram.size, -ECANCELED);
    begin_receive(udp, &later);
    until(vine__reactor_has_stopped(stepped.reactors[0]));
    assert_int_equal(later.datagram.size, -VINE_ECLOSED);
    vine_udp_close(udp, NULL);
    stepped_close(&stepped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_address_of_ours_is_refused),
        cmocka_unit_test(a_send_without_an_address_is_refused),
        cmocka_unit_test(one_that_is_too_large_is_refused),
        cmocka_unit_test(datagrams_come_whole_and_say_from_where),
        cmocka_unit_test(one_that_is_larger_than_its_room_is_cut_and_says_so),
        cmocka_unit_test(many_receives_wait_at_once),
        cmocka_unit_test(a_connected_socket_hears_that_nobody_is_there),
        cmocka_unit_test(a_deadline_is_read_as_the_operation_begins),
        cmocka_unit_test(a_receive_ends_by_deadline_cancelling_and_closing),
        cmocka_unit_test(the_reactors_stop_with_datagrams_on_their_way),
    };

    return run_by_both(tests);
}
