/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Listeners on sockets that somebody else has made: what is refused, how connections come to cores
 * and to others who accept from the same socket, and that none which has come is lost. */
#include "network_tests.h"

#include <sys/stat.h>

#include "core/reactor/reactor.h"

static const char *const places[] = {"127.0.0.1:0", "[::1]:0", "unix:given.sock"};

/* ---- sockets of the test's own --------------------------------------------------------------- */

static int open_socket(const char *text)
{
    const struct vine_address address = address_of(text);
    const int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (strcmp(text, "unix:given.sock") == 0)
        (void)unlink("given.sock");
    assert_int_equal(bind(fd, &address.any, address.size_bytes), 0);
    assert_int_equal(listen(fd, 1000), 0);
    return fd;
}

static int try_given(int fd, const struct vine_listen_options *options, struct arrivals *arrivals)
{
    arrivals->listener = NULL;
    const int error =
        vine_listen_descriptor(fd, options, keep_arrival, arrivals, &arrivals->listener);

    assert_true((error == 0) == (arrivals->listener != NULL));
    return error;
}

static void listen_by(struct arrivals *arrivals, int fd, uint8_t balance)
{
    const struct vine_listen_options options = {.size_bytes = sizeof(options), .balance = balance};

    memset(arrivals, 0, sizeof(*arrivals));
    assert_int_equal(try_given(fd, &options, arrivals), 0);
    arrivals->address = *vine_listener_address(arrivals->listener);
}

static void close_arrivals(struct arrivals *arrivals)
{
    for (uint32_t i = 0; i < arrivals->count; i++) {
        (void)vine__reactor_enter(stepped.reactors[arrivals->cores[i]]);
        vine_connection_close(arrivals->connections[i], NULL);
        (void)vine__reactor_enter(stepped.reactors[0]);
    }
}

static int connect_only(const struct vine_address *address)
{
    const int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address->any, address->size_bytes), 0);
    return fd;
}

static bool is_uring(void)
{
    return strcmp(vine__poller_name(vine__reactor_poller()), "io_uring") == 0;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_does_not_listen_is_refused_and_stays_the_callers(void **state)
{
    struct arrivals arrivals = {.count = 0};
    int ends[2];

    (void)state;
    open_cores(1);
    assert_int_equal(try_given(-1, NULL, &arrivals), -EBADF);
    assert_int_equal(try_given(1000, NULL, &arrivals), -EBADF);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(try_given(ends[0], NULL, &arrivals), -ENOTSOCK);
    close(ends[0]);
    close(ends[1]);

    const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};

    for (size_t i = 0; i < 2; i++) {
        const int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);

        assert_int_equal(try_given(fd, NULL, &arrivals), -EAFNOSUPPORT);
        assert_int_equal(close(fd), 0);
    }
    const int stream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(try_given(stream, NULL, &arrivals), -EINVAL);
    assert_int_equal(close(stream), 0);
    close_cores();
}

static void what_only_an_address_has_is_refused(void **state)
{
    struct vine_listen_options options = {.size_bytes = sizeof(options), .mode = 0600};
    struct arrivals arrivals = {.count = 0};
    const int fd = open_socket("127.0.0.1:0");

    (void)state;
    open_cores(1);
    assert_int_equal(try_given(fd, &options, &arrivals), -EINVAL);
    options = (struct vine_listen_options){.size_bytes = sizeof(options), .is_ip6_only = true};
    assert_int_equal(try_given(fd, &options, &arrivals), -EINVAL);
    options = (struct vine_listen_options){.size_bytes = sizeof(options), .backlog = UINT32_MAX};
    assert_int_equal(try_given(fd, &options, &arrivals), -EINVAL);
    options = (struct vine_listen_options){.size_bytes = sizeof(options), .balance = 3};
    assert_int_equal(try_given(fd, &options, &arrivals), -EINVAL);
    options = (struct vine_listen_options){.size_bytes = sizeof(options), .backlog = 10};
    assert_int_equal(try_given(fd, &options, &arrivals), 0);
    close_listener(&arrivals);
    /* It was the listener's. */
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    close_cores();
}

/* ---- balance --------------------------------------------------------------------------------- */

static void connections_come_by_sockets_of_all_kinds_and_each_balance(void **state)
{
    enum { COUNT = 16 };

    (void)state;
    open_cores(2);
    for (size_t place = 0; place < sizeof(places) / sizeof(places[0]); place++) {
        for (uint8_t balance = 0; balance <= VINE_BALANCE_HERE; balance++) {
            struct arrivals arrivals;
            uint32_t on_core[2] = {0, 0};
            int fds[COUNT];

            listen_by(&arrivals, open_socket(places[place]), balance);
            for (uint32_t i = 0; i < COUNT; i++) {
                fds[i] = connect_plainly(&arrivals);
                on_core[arrivals.cores[i]]++;
                step_often(); /* who has accepted waits again, behind the others */
            }
            if (balance == VINE_BALANCE_HERE)
                assert_int_equal(on_core[0], COUNT);
            else if (balance == VINE_BALANCE_DISTRIBUTE || is_uring())
                assert_int_equal(on_core[0], COUNT / 2);
            for (uint32_t i = 0; i < COUNT; i++)
                close(fds[i]);
            close_arrivals(&arrivals);
            close_listener(&arrivals);
        }
    }
    close_cores();
}

/* Two listeners, each with a descriptor of its own, are what two processes have. */
static void who_shares_a_socket_takes_turns(void **state)
{
    enum { COUNT = 16 };
    struct arrivals one, other;
    int fds[COUNT];

    (void)state;
    open_cores(1);
    const int fd = open_socket("127.0.0.1:0");

    listen_by(&one, fd, VINE_BALANCE_HERE);
    listen_by(&other, fcntl(fd, F_DUPFD_CLOEXEC, 0), VINE_BALANCE_DISTRIBUTE);
    step_often();
    for (uint32_t i = 0; i < COUNT; i++) {
        fds[i] = connect_only(&one.address);
        until(one.count + other.count == i + 1);
        step_often();
    }
    if (is_uring())
        assert_int_equal(one.count, COUNT / 2);
    for (uint32_t i = 0; i < COUNT; i++)
        close(fds[i]);
    close_arrivals(&one);
    close_arrivals(&other);
    /* The other one goes on. */
    close_listener(&one);
    one.count = other.count;
    fds[0] = connect_plainly(&other);
    assert_int_equal(other.count, one.count + 1);
    other.connections[0] = other.connections[other.count - 1];
    other.count = 1;
    close_arrivals(&other);
    close(fds[0]);
    close_listener(&other);
    close_cores();
}

static void what_another_process_has_taken_holds_up_nobody(void **state)
{
    struct arrivals arrivals;

    (void)state;
    open_cores(2);
    const int fd = open_socket("127.0.0.1:0");
    const int others = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    listen_by(&arrivals, fd, VINE_BALANCE_REUSE_PORT);
    step_often();
    for (uint32_t i = 0; i < 20; i++) {
        const int client = connect_only(&arrivals.address);
        const int taken = accept4(others, NULL, NULL, SOCK_NONBLOCK);

        step_often();
        if (taken >= 0)
            close(taken);
        close(client);
    }
    const uint32_t count = arrivals.count;
    const int client = connect_plainly(&arrivals);

    assert_int_equal(arrivals.count, count + 1);
    close(client);
    close(others);
    close_arrivals(&arrivals);
    close_listener(&arrivals);
    close_cores();
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Those of one that was given, and of one that vine_listen opened. */
static void who_has_connected_before_the_end_is_not_reset(void **state)
{
    enum { COUNT = 300 }; /* more than are taken at once */

    (void)state;
    open_cores(2);
    for (uint8_t kind = 0; kind < 6; kind++) {
        struct arrivals arrivals;
        int fds[COUNT];
        char byte;

        if (kind < 3)
            listen_by(&arrivals, open_socket("127.0.0.1:0"), kind);
        else
            listen_at(&arrivals, "127.0.0.1:0", kind - 3);
        step_often();
        for (uint32_t i = 0; i < COUNT; i++)
            fds[i] = connect_only(&arrivals.address);
        close_listener(&arrivals);
        assert_int_equal(arrivals.count, COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_int_equal(recv(fds[i], &byte, 1, MSG_DONTWAIT), -1);
            assert_int_equal(errno, EAGAIN);
        }
        close_arrivals(&arrivals);
        step_often();
        for (uint32_t i = 0; i < COUNT; i++)
            close(fds[i]);
    }
    close_cores();
}

static void the_name_of_a_given_socket_stays(void **state)
{
    struct arrivals arrivals;
    struct stat found;

    (void)state;
    open_cores(1);
    listen_by(&arrivals, open_socket("unix:given.sock"), VINE_BALANCE_REUSE_PORT);
    assert_string_equal(arrivals.address.local.sun_path, "given.sock");
    close_listener(&arrivals);
    assert_int_equal(stat("given.sock", &found), 0);
    assert_int_equal(unlink("given.sock"), 0);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_listen_is_refused_and_stays_the_callers),
        cmocka_unit_test(what_only_an_address_has_is_refused),
        cmocka_unit_test(connections_come_by_sockets_of_all_kinds_and_each_balance),
        cmocka_unit_test(who_shares_a_socket_takes_turns),
        cmocka_unit_test(what_another_process_has_taken_holds_up_nobody),
        cmocka_unit_test(who_has_connected_before_the_end_is_not_reset),
        cmocka_unit_test(the_name_of_a_given_socket_stays),
    };

    return run_by_both(tests);
}
