/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Listeners: who is refused, how connections come to cores, what becomes of them without
 * descriptors. */
#include "network_tests.h"

#include <sys/resource.h>
#include <sys/stat.h>

#define TCP "127.0.0.1:0"

/* ---- refusals -------------------------------------------------------------------------------- */

static int try_listen(const struct vine_address *address, uint8_t balance)
{
    const struct vine_listen_options options = {.size_bytes = sizeof(options), .balance = balance};
    struct vine_listener *listener = NULL;
    const int error = vine_listen(address, &options, keep_arrival, NULL, &listener);

    assert_true((error == 0) == (listener != NULL));
    if (error == 0)
        vine_listener_close(listener, NULL);
    return error;
}

static void a_port_that_somebody_has_is_refused(void **state)
{
    struct arrivals arrivals;

    (void)state;
    open_cores(2);
    for (uint8_t first = 0; first <= VINE_BALANCE_HERE; first++) {
        listen_at(&arrivals, TCP, first);
        for (uint8_t second = 0; second <= VINE_BALANCE_HERE; second++)
            assert_int_equal(try_listen(&arrivals.address, second), -EADDRINUSE);
        close_listener(&arrivals);
        assert_int_equal(try_listen(&arrivals.address, first), 0);
        step_often();
    }
    close_cores();
}

static void options_that_mean_nothing_are_refused(void **state)
{
    const struct vine_address address = address_of(TCP);
    struct vine_listen_options options = {.size_bytes = sizeof(options) + 1};
    struct vine_listener *listener = NULL;

    (void)state;
    open_cores(1);
    assert_int_equal(vine_listen(&address, &options, keep_arrival, NULL, &listener), -EINVAL);
    options = (struct vine_listen_options){.size_bytes = sizeof(options), .balance = 3};
    assert_int_equal(vine_listen(&address, &options, keep_arrival, NULL, &listener), -EINVAL);
    options = (struct vine_listen_options){.size_bytes = sizeof(options), .backlog = UINT32_MAX};
    assert_int_equal(vine_listen(&address, &options, keep_arrival, NULL, &listener), -EINVAL);
    options = (struct vine_listen_options){.size_bytes = sizeof(options), .keepalive_s = 1000000};
    assert_int_equal(vine_listen(&address, &options, keep_arrival, NULL, &listener), -EINVAL);
    assert_null(listener);
    close_cores();
}

static void addresses_that_are_not_ours_are_refused(void **state)
{
    struct vine_address address = address_of("192.0.2.1:80");

    (void)state;
    open_cores(1);
    assert_int_equal(try_listen(&address, VINE_BALANCE_HERE), -EADDRNOTAVAIL);
    address = address_of("unix:/no such folder/socket");
    assert_int_equal(try_listen(&address, VINE_BALANCE_HERE), -ENOENT);
    close_cores();
}

/* ---- balance --------------------------------------------------------------------------------- */

static void close_arrival(struct arrivals *arrivals, uint32_t index)
{
    (void)vine__reactor_enter(stepped.reactors[arrivals->cores[index]]);
    vine_connection_close(arrivals->connections[index], NULL);
    (void)vine__reactor_enter(stepped.reactors[0]);
}

static void connections_are_given_to_the_core_with_the_fewest(void **state)
{
    enum { COUNT = 20 };
    struct arrivals arrivals;
    uint32_t on_core[2] = {0, 0};
    int fds[COUNT];

    (void)state;
    open_cores(2);
    listen_at(&arrivals, TCP, VINE_BALANCE_DISTRIBUTE);
    for (uint32_t i = 0; i < COUNT; i++) {
        fds[i] = connect_plainly(&arrivals);
        on_core[arrivals.cores[i]]++;
    }
    assert_int_equal(on_core[0], COUNT / 2);
    assert_int_equal(on_core[1], COUNT / 2);
    /* Those of core 1 end: what comes next is its. */
    for (uint32_t i = 0; i < COUNT; i++)
        if (arrivals.cores[i] == 1)
            close_arrival(&arrivals, i);
    step_often();
    for (uint32_t i = 0; i < COUNT / 2; i++) {
        const int fd = connect_plainly(&arrivals);

        assert_int_equal(arrivals.cores[COUNT + i], 1);
        close(fd);
    }
    for (uint32_t i = 0; i < arrivals.count; i++)
        if (i >= COUNT || arrivals.cores[i] == 0)
            close_arrival(&arrivals, i);
    for (uint32_t i = 0; i < COUNT; i++)
        close(fds[i]);
    close_listener(&arrivals);
    close_cores();
}

static void each_core_accepts_where_the_port_is_shared(void **state)
{
    enum { COUNT = 64 };
    struct arrivals arrivals;
    uint32_t on_core[2] = {0, 0};
    int fds[COUNT];

    (void)state;
    open_cores(2);
    listen_at(&arrivals, TCP, VINE_BALANCE_REUSE_PORT);
    for (uint32_t i = 0; i < COUNT; i++) {
        fds[i] = connect_plainly(&arrivals);
        on_core[arrivals.cores[i]]++;
    }
    /* By a hash of the ports: one core gets none of 64 once in 2^63 times. */
    assert_true(on_core[0] > 0 && on_core[1] > 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        close_arrival(&arrivals, i);
        close(fds[i]);
    }
    close_listener(&arrivals);
    close_cores();
}

static void connections_stay_where_they_are_asked_to(void **state)
{
    struct arrivals arrivals;

    (void)state;
    open_cores(2);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    for (uint32_t i = 0; i < 5; i++) {
        const int fd = connect_plainly(&arrivals);

        assert_int_equal(arrivals.cores[i], 0);
        close(fd);
        close_arrival(&arrivals, i);
    }
    close_listener(&arrivals);
    close_cores();
}

static void a_connection_of_another_core_echoes_there(void **state)
{
    struct arrivals arrivals;
    struct received received = {.calls = 0}, back;
    struct sent sent = {.calls = 0};
    uint32_t there = 0;

    (void)state;
    open_cores(2);
    listen_at(&arrivals, TCP, VINE_BALANCE_DISTRIBUTE);
    while (there == arrivals.count || arrivals.cores[there] != 1) {
        const int fd = connect_plainly(&arrivals);

        there = arrivals.count - 1;
        if (arrivals.cores[there] == 1) {
            close(fd); /* a place for one that is a connection of ours */
            close_arrival(&arrivals, there);
            break;
        }
        close_arrival(&arrivals, there);
        close(fd);
    }
    arrivals.count = 0;
    struct vine_connection *const client = connect_to(&arrivals.address);

    until(arrivals.count == 1);
    (void)vine__reactor_enter(stepped.reactors[arrivals.cores[0]]);
    vine_receive(arrivals.connections[0], &received.receive, on_received);
    (void)vine__reactor_enter(stepped.reactors[0]);
    assert_int_equal(send_all(client, "across", 6), 0);
    until(received.calls == 1);
    (void)vine__reactor_enter(stepped.reactors[arrivals.cores[0]]);
    vine_send(arrivals.connections[0], &sent.send, received.bytes, 6, on_sent);
    (void)vine__reactor_enter(stepped.reactors[0]);
    assert_int_equal(receive_one(client, &back), 6);
    assert_memory_equal(back.bytes, "across", 6);
    until(sent.calls == 1);
    close_arrival(&arrivals, 0);
    close_connection(client);
    close_listener(&arrivals);
    close_cores();
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void nothing_arrives_after_a_listener_has_closed(void **state)
{
    struct arrivals arrivals;

    (void)state;
    open_cores(2);
    for (uint8_t balance = 0; balance <= VINE_BALANCE_HERE; balance++) {
        listen_at(&arrivals, TCP, balance);
        /* One that is on its way as the listener closes, and the beginning is, too. */
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, &arrivals.address.any, arrivals.address.size_bytes), 0);
        close_listener(&arrivals);
        const uint32_t count = arrivals.count;

        step_often();
        assert_int_equal(arrivals.count, count);
        for (uint32_t i = 0; i < count; i++)
            close_arrival(&arrivals, i);
        close(fd);
    }
    close_cores();
}

static void the_reactors_stop_with_listeners_and_connections_open(void **state)
{
    struct arrivals arrivals;
    int fds[6];

    (void)state;
    open_cores(2);
    listen_at(&arrivals, TCP, VINE_BALANCE_DISTRIBUTE);
    for (int i = 0; i < 6; i++)
        fds[i] = connect_plainly(&arrivals);
    vine_stop(0);
    until(vine__reactor_has_stopped(stepped.reactors[0]));
    assert_false(vine__mesh_was_cut_short(stepped.mesh));
    for (int i = 0; i < 6; i++) {
        char byte;

        assert_true(recv(fds[i], &byte, 1, 0) <= 0);
        close(fds[i]);
        close_arrival(&arrivals, (uint32_t)i);
    }
    vine_listener_close(arrivals.listener, NULL);
    stepped_close(&stepped);
}

/* A core that was given its connections has nothing to wait for, and forgets its part of the
 * network before the listener of another core has ended there. */
static void a_core_stops_before_the_listener_that_gave_it_connections(void **state)
{
    static struct arrivals arrivals;
    int fds[4];

    (void)state;
    open_cores(2);
    listen_at(&arrivals, TCP, VINE_BALANCE_DISTRIBUTE);
    for (uint32_t i = 0; i < 4; i++)
        fds[i] = connect_plainly(&arrivals);
    for (uint32_t i = 0; i < 4; i++) {
        close_arrival(&arrivals, i);
        close(fds[i]);
    }
    step_often();
    vine_stop(0);
    until(vine__reactor_has_stopped(stepped.reactors[0]));
    vine_listener_close(arrivals.listener, NULL);
    stepped_close(&stepped);
}

/* The reactors stop, but for what is registered here. */
static struct vine_stopper held_stoppers[STEPPED_CORES_MAX];
static uint32_t held_count;

static void keep_from_stopping(struct vine_stopper *stopper)
{
    (void)stopper;
    held_count++;
}

static void hold_core(uint32_t core)
{
    (void)vine__reactor_enter(stepped.reactors[core]);
    vine_at_stop(&held_stoppers[core], keep_from_stopping);
    (void)vine__reactor_enter(stepped.reactors[0]);
}

static void let_core_stop(uint32_t core)
{
    (void)vine__reactor_enter(stepped.reactors[core]);
    vine_stopper_done(&held_stoppers[core]);
    (void)vine__reactor_enter(stepped.reactors[0]);
}

static uint64_t refused_on(uint32_t core)
{
    struct vine_network_counts counts;

    (void)vine__reactor_enter(stepped.reactors[core]);
    vine_network_get_counts(&counts);
    (void)vine__reactor_enter(stepped.reactors[0]);
    return counts.refused;
}

/* Core 1 listens. `late` cores, 1 and perhaps 2, still work when all others have stopped; whether
 * those had a network before. */
static void connections_come_while_cores_stop(uint32_t late, bool has_used_all)
{
    enum { BEFORE = 6, AFTER = 6 };
    static struct arrivals arrivals;
    uint32_t on_core[3] = {0, 0, 0};
    int fds[BEFORE + AFTER];
    uint32_t count = 0;

    open_cores(3);
    held_count = 0;
    hold_core(1);
    if (late == 2)
        hold_core(2);
    (void)vine__reactor_enter(stepped.reactors[1]);
    listen_at(&arrivals, TCP, VINE_BALANCE_DISTRIBUTE);
    (void)vine__reactor_enter(stepped.reactors[0]);
    if (has_used_all) {
        for (; count < BEFORE; count++)
            fds[count] = connect_plainly(&arrivals);
    }
    vine_stop(0);
    until(held_count == late);
    step_often(); /* the others stop wholly */
    const uint32_t before = count;

    for (; count < before + AFTER; count++) {
        fds[count] = connect_plainly(&arrivals);
        on_core[arrivals.cores[count]]++;
    }
    assert_int_equal(on_core[0], 0);
    assert_int_equal(on_core[1] + on_core[2], AFTER);
    assert_true(late == 2 ? on_core[2] > 0 : on_core[2] == 0);
    assert_int_equal(refused_on(1), 0);
    for (uint32_t i = 0; i < count; i++) {
        close_arrival(&arrivals, i);
        close(fds[i]);
    }
    for (uint32_t core = 1; core <= late; core++)
        let_core_stop(core);
    until(vine__reactor_has_stopped(stepped.reactors[0]));
    assert_false(vine__mesh_was_cut_short(stepped.mesh));
    (void)vine__reactor_enter(stepped.reactors[1]);
    vine_listener_close(arrivals.listener, NULL);
    stepped_close(&stepped);
}

static void a_core_that_has_stopped_is_given_no_connection(void **state)
{
    (void)state;
    connections_come_while_cores_stop(2, true);
}

static void a_core_that_stopped_before_its_first_connection_is_given_none(void **state)
{
    (void)state;
    connections_come_while_cores_stop(2, false);
}

static void connections_stay_when_all_other_cores_have_stopped(void **state)
{
    (void)state;
    connections_come_while_cores_stop(1, true);
    connections_come_while_cores_stop(1, false);
}

/* ---- without descriptors --------------------------------------------------------------------- */

/* Of the limit the kernel takes note as accepting begins, in the first step. */
static void allow_no_descriptor(struct rlimit *ret_before)
{
    const int next = dup(STDERR_FILENO);
    struct rlimit low;

    assert_true(next > 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, ret_before), 0);
    low = *ret_before;
    low.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
}

static void accepting_rests_without_descriptors_and_goes_on(void **state)
{
    enum { MORE = 4 };
    struct vine_network_counts counts;
    struct rlimit before;
    struct arrivals arrivals;
    int fds[MORE];

    (void)state;
    open_cores(1);
    for (int i = 0; i < MORE; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    allow_no_descriptor(&before);
    for (int i = 0; i < MORE; i++)
        assert_int_equal(connect(fds[i], &arrivals.address.any, arrivals.address.size_bytes), 0);
    step_often();
    assert_int_equal(arrivals.count, 0);
    vine_network_get_counts(&counts);
    assert_int_equal(counts.accept_rests, 1); /* however often the loop has turned */
    stepped.clock_ns += 2 * VINE_ACCEPT_REST_NS;
    step_often();
    vine_network_get_counts(&counts);
    assert_int_equal(counts.accept_rests, 2);
    assert_int_equal(arrivals.count, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    step_often();
    stepped.clock_ns += 2 * VINE_ACCEPT_REST_NS;
    until(arrivals.count == MORE);
    for (uint32_t i = 0; i < MORE; i++) {
        close(fds[i]);
        close_connection(arrivals.connections[i]);
    }
    close_listener(&arrivals);
    close_cores();
}

static void a_listener_that_rests_can_be_closed(void **state)
{
    struct rlimit before;
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    allow_no_descriptor(&before);
    assert_int_equal(connect(fd, &arrivals.address.any, arrivals.address.size_bytes), 0);
    step_often();
    close_listener(&arrivals);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(arrivals.count, 0);
    close(fd);
    close_cores();
}

static struct vine_connection *shed_ones[8];
static uint32_t shed_count;

static void keep_shed(struct vine_connection *connection, void *context)
{
    (void)context;
    assert_true(shed_count < 8);
    shed_ones[shed_count++] = connection;
}

/* Of descriptors that are all in use the listener has one more; who comes gets that, one at a time,
 * and is told of apart from others. */
static void who_comes_when_descriptors_are_out_is_shed_one_at_a_time(void **state)
{
    enum { MORE = 3 };
    const struct vine_listen_options options = {
        .size_bytes = sizeof(options), .balance = VINE_BALANCE_HERE, .shed = keep_shed};
    struct vine_address address = address_of(TCP);
    struct arrivals arrivals = {.count = 0};
    struct vine_network_counts counts;
    struct rlimit before;
    int fds[MORE];
    char byte;

    (void)state;
    shed_count = 0;
    open_cores(1);
    for (int i = 0; i < MORE; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(vine_listen(&address, &options, keep_arrival, &arrivals, &arrivals.listener),
                     0);
    arrivals.address = *vine_listener_address(arrivals.listener);
    step_often();
    allow_no_descriptor(&before);
    for (int i = 0; i < MORE; i++)
        assert_int_equal(connect(fds[i], &arrivals.address.any, arrivals.address.size_bytes), 0);
    until(shed_count == 1);
    step_often();
    assert_int_equal(shed_count, 1); /* nobody else before it has gone */
    vine_connection_close(shed_ones[0], NULL);
    until(shed_count == 2);
    assert_int_equal(recv(fds[0], &byte, 1, 0), 0);
    vine_connection_close(shed_ones[1], NULL);
    until(shed_count == 3);
    assert_int_equal(arrivals.count, 0);

    /* One whose owner keeps it does not keep the others from what there is again. */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    const int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(late, &arrivals.address.any, arrivals.address.size_bytes), 0);
    step_often();
    stepped.clock_ns += 2 * VINE_ACCEPT_REST_NS;
    until(arrivals.count == 1);
    assert_int_equal(shed_count, 3);
    vine_network_get_counts(&counts);
    assert_int_equal(counts.shed, 3);
    assert_int_equal(counts.accepted, 4);
    vine_connection_close(shed_ones[2], NULL);
    close_connection(arrivals.connections[0]);
    for (int i = 0; i < MORE; i++)
        close(fds[i]);
    close(late);
    close_listener(&arrivals);
    close_cores();
}

static void a_listener_with_one_that_is_shed_can_be_closed(void **state)
{
    const struct vine_listen_options options = {
        .size_bytes = sizeof(options), .balance = VINE_BALANCE_HERE, .shed = keep_shed};
    struct vine_address address = address_of(TCP);
    struct arrivals arrivals = {.count = 0};
    struct rlimit before;

    (void)state;
    shed_count = 0;
    open_cores(1);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(vine_listen(&address, &options, keep_arrival, &arrivals, &arrivals.listener),
                     0);
    arrivals.address = *vine_listener_address(arrivals.listener);
    step_often();
    allow_no_descriptor(&before);
    assert_int_equal(connect(fd, &arrivals.address.any, arrivals.address.size_bytes), 0);
    until(shed_count == 1);
    close_listener(&arrivals);
    vine_connection_close(shed_ones[0], NULL);
    step_often();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(arrivals.count, 0);
    close(fd);
    close_cores();
}

int main(void)
{
    /* io_uring has noted the limit before the test lowers it. */
    const struct CMUnitTest shedding[] = {
        cmocka_unit_test(who_comes_when_descriptors_are_out_is_shed_one_at_a_time),
        cmocka_unit_test(a_listener_with_one_that_is_shed_can_be_closed),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_that_somebody_has_is_refused),
        cmocka_unit_test(options_that_mean_nothing_are_refused),
        cmocka_unit_test(addresses_that_are_not_ours_are_refused),
        cmocka_unit_test(connections_are_given_to_the_core_with_the_fewest),
        cmocka_unit_test(each_core_accepts_where_the_port_is_shared),
        cmocka_unit_test(connections_stay_where_they_are_asked_to),
        cmocka_unit_test(a_connection_of_another_core_echoes_there),
        cmocka_unit_test(nothing_arrives_after_a_listener_has_closed),
        cmocka_unit_test(the_reactors_stop_with_listeners_and_connections_open),
        cmocka_unit_test(a_core_stops_before_the_listener_that_gave_it_connections),
        cmocka_unit_test(a_core_that_has_stopped_is_given_no_connection),
        cmocka_unit_test(a_core_that_stopped_before_its_first_connection_is_given_none),
        cmocka_unit_test(connections_stay_when_all_other_cores_have_stopped),
        cmocka_unit_test(accepting_rests_without_descriptors_and_goes_on),
        cmocka_unit_test(a_listener_that_rests_can_be_closed),
    };

    return run_by_both(tests) + cmocka_run_group_tests(shedding, use_epoll, NULL);
}
