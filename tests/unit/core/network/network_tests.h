/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of core/network share: reactors that are stepped in one thread until something has
 * come about, a server and its client there, and plain sockets that stand for peers of all kinds.
 */
#ifndef VINE_TESTS_NETWORK_TESTS_H
#define VINE_TESTS_NETWORK_TESTS_H

#include "harness/stepped.h"

#include <vine/error.h>
#include <vine/network.h>

#include "arch/clock/clock.h"
#include "core/network/network.h"
#include "utils/container_of.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Guards against a hang: no test waits that long when all is well. */
#define HANG_NS (100 * VINE_NS_PER_SECOND)

static struct stepped stepped;

/* Step all cores until `condition` holds. */
#define until(condition)                                                                           \
    do {                                                                                           \
        const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;                                   \
        while (!(condition)) {                                                                     \
            step_all();                                                                            \
            if (vine__clock_now_ns() > hang_ns)                                                    \
                fail_msg("never came about: %s", #condition);                                      \
        }                                                                                          \
    } while (0)

static inline void step_all(void)
{
    for (uint32_t core = 0; core < stepped.count; core++)
        (void)stepped_step(&stepped, core);
}

/* What is on its way may need a while: enough turns for whatever has no reason to wait. */
static inline void step_often(void)
{
    for (uint32_t i = 0; i < 200; i++)
        step_all();
}

static inline void open_cores(uint32_t count)
{
    stepped_open(&stepped, count, 7, NULL);
}

/* The reactors stop as a program's do. */
static inline void close_cores(void)
{
    vine_stop(0);
    until(vine__reactor_has_stopped(stepped.reactors[0]));
    assert_false(vine__mesh_was_cut_short(stepped.mesh));
    stepped_close(&stepped);
}

static inline struct vine_address address_of(const char *text)
{
    struct vine_address address;

    assert_int_equal(vine_address_parse(text, &address), 0);
    return address;
}

/* A local address of this process alone. */
static inline const char *local_address(void)
{
    static char text[64];

    (void)snprintf(text, sizeof(text), "unix:@vine-test-%d", (int)getpid());
    return text;
}

static inline int use_epoll(void **state)
{
    (void)state;
    stepped_backend = VINE__POLL_BACKEND_EPOLL;
    return 0;
}

/* The same tests by io_uring, or what there is, and by epoll. */
#define run_by_both(tests)                                                                         \
    (cmocka_run_group_tests_name("as it is", tests, NULL, NULL) +                                  \
     cmocka_run_group_tests_name("by epoll", tests, use_epoll, NULL))

/* ---- a server -------------------------------------------------------------------------------- */

#define ARRIVALS_MAX 1024

/* What came to a listener. */
struct arrivals {
    struct vine_listener *listener;
    struct vine_address address;
    uint32_t count;
    struct vine_connection *connections[ARRIVALS_MAX];
    uint32_t cores[ARRIVALS_MAX];
};

static inline void keep_arrival(struct vine_connection *connection, void *context)
{
    struct arrivals *const arrivals = context;

    assert_true(arrivals->count < ARRIVALS_MAX);
    arrivals->cores[arrivals->count] = vine_core();
    arrivals->connections[arrivals->count++] = connection;
}

static inline void listen_at(struct arrivals *arrivals, const char *text, uint8_t balance)
{
    const struct vine_address address = address_of(text);
    const struct vine_listen_options options = {.size_bytes = sizeof(options), .balance = balance};

    memset(arrivals, 0, sizeof(*arrivals));
    assert_int_equal(vine_listen(&address, &options, keep_arrival, arrivals, &arrivals->listener),
                     0);
    arrivals->address = *vine_listener_address(arrivals->listener);
}

/* ---- operations that remember their ends ----------------------------------------------------- */

struct received {
    struct vine_receive receive;
    uint32_t calls;
    int64_t size;
    unsigned char bytes[64]; /* the first of them */
};

static inline void on_received(struct vine_receive *receive)
{
    struct received *const received = VINE_CONTAINER_OF(receive, struct received, receive);

    received->calls++;
    received->size = receive->size;
    if (receive->size > 0)
        memcpy(received->bytes, receive->bytes,
               receive->size < 64 ? (size_t)receive->size : sizeof(received->bytes));
}

struct sent {
    struct vine_send send;
    uint32_t calls;
    int error;
};

static inline void on_sent(struct vine_send *send)
{
    struct sent *const sent = VINE_CONTAINER_OF(send, struct sent, send);

    sent->calls++;
    sent->error = send->error;
}

struct connected {
    struct vine_connect connect;
    uint32_t calls;
};

static inline void on_connected(struct vine_connect *connect)
{
    VINE_CONTAINER_OF(connect, struct connected, connect)->calls++;
}

struct closed {
    struct vine_work work;
    uint32_t calls;
};

static inline void on_closed(struct vine_work *work)
{
    VINE_CONTAINER_OF(work, struct closed, work)->calls++;
}

/* Close on core 0 and wait until the kernel has let go. */
static inline void close_connection(struct vine_connection *connection)
{
    struct closed closed = {.calls = 0};

    vine_work_init(&closed.work, on_closed);
    vine_connection_close(connection, &closed.work);
    assert_int_equal(closed.calls, 0);
    until(closed.calls == 1);
}

static inline void close_listener(struct arrivals *arrivals)
{
    struct closed closed = {.calls = 0};

    vine_work_init(&closed.work, on_closed);
    vine_listener_close(arrivals->listener, &closed.work);
    until(closed.calls == 1);
}

/* ---- pairs ----------------------------------------------------------------------------------- */

struct pair {
    struct arrivals arrivals;
    struct vine_connection *client, *server;
};

static inline struct vine_connection *connect_to(const struct vine_address *address)
{
    struct connected connected = {.calls = 0};

    vine_connect(&connected.connect, address, on_connected);
    assert_int_equal(connected.calls, 0);
    until(connected.calls == 1);
    assert_int_equal(connected.connect.error, 0);
    return connected.connect.connection;
}

/* Two ends of a connection, both on core 0. */
static inline void open_pair(struct pair *pair, const char *text)
{
    listen_at(&pair->arrivals, text, VINE_BALANCE_HERE);
    pair->client = connect_to(&pair->arrivals.address);
    until(pair->arrivals.count == 1);
    pair->server = pair->arrivals.connections[0];
}

static inline void close_pair(struct pair *pair)
{
    close_connection(pair->client);
    close_connection(pair->server);
    close_listener(&pair->arrivals);
}

/* A plain socket of the test's own, connected; and the connection that it is at the server. */
static inline int connect_plainly(struct arrivals *arrivals)
{
    const int fd = socket(arrivals->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const uint32_t count = arrivals->count;

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &arrivals->address.any, arrivals->address.size_bytes), 0);
    until(arrivals->count == count + 1);
    return fd;
}

/* Receive once and wait for it. Returns the size. */
static inline int64_t receive_one(struct vine_connection *connection, struct received *received)
{
    *received = (struct received){.calls = 0};
    vine_receive(connection, &received->receive, on_received);
    until(received->calls == 1);
    return received->size;
}

static inline int send_all(struct vine_connection *connection, const void *bytes, size_t size)
{
    struct sent sent = {.calls = 0};

    vine_send(connection, &sent.send, bytes, size, on_sent);
    assert_int_equal(sent.calls, 0);
    until(sent.calls == 1);
    return sent.error;
}

#endif
