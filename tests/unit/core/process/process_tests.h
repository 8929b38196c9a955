/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of core/process share: a core that is stepped, micro-processes at one end of a
 * pair of sockets, and the test at the other. */
#ifndef VINE_TESTS_PROCESS_TESTS_H
#define VINE_TESTS_PROCESS_TESTS_H

#include "../network/network_tests.h"

#include <vine/coroutine.h>

#include "arch/guard/guard.h"
#include "core/process/process.h"

static enum vine__guard_kind guard_kind;
static uint64_t guard_run_ns; /* that a run may take; 0: for ever */

/* One micro-process and its peer. */
struct one {
    int fd; /* the peer's, which does not block */
    uint32_t ends, goings;
    struct vine__process_end end;
};

static inline void open_processes(void)
{
    const struct vine__guard_options guard = {.wanted = guard_kind, .run_ns = guard_run_ns};
    const struct vine__processes_options options = {.count_max = 64};
    char why[VINE__GUARD_WHY_BYTES];

    open_cores(1);
    assert_int_equal(vine__guard_choose(&guard, why), 0);
    assert_int_equal(vine__processes_prepare(), 0);
    assert_int_equal(vine__processes_start(&options), 0);
}

static inline void see_end(void *context, const struct vine__process_end *end)
{
    struct one *const one = context;

    one->ends++;
    one->end = *end;
}

static inline void see_going(void *context)
{
    ((struct one *)context)->goings++;
}

static inline void start_one_of_a_kind(struct one *one, const struct vine_coroutine_type *type,
                                       void *argument, const struct vine__process_kind *kind)
{
    const struct vine__process_options options = {.type = type,
                                                  .kind = kind,
                                                  .argument = argument,
                                                  .ended = see_end,
                                                  .gone = see_going,
                                                  .context = one};
    struct vine_connection *connection;
    int pair[2];

    *one = (struct one){.fd = -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(vine_connection_adopt(pair[0], pair[0], &connection), 0);
    assert_int_equal(vine__process_start(connection, &options), 0);
    one->fd = pair[1];
}

static inline void start_one(struct one *one, const struct vine_coroutine_type *type,
                             void *argument)
{
    start_one_of_a_kind(one, type, argument, NULL);
}

/* It has ended, whoever began that. */
static inline void finish_one(struct one *one, int error)
{
    close(one->fd);
    until(one->goings == 1);
    assert_int_equal(one->ends, 1);
    assert_int_equal(one->end.error, error);
}

/* Read exactly so many bytes at the peer's end. */
static inline void expect_bytes(struct one *one, char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t part = read(one->fd, bytes + done, size - done);

        if (part > 0)
            done += (size_t)part;
        else
            assert_true(part < 0 && errno == EAGAIN);
        step_all();
    }
}

static inline void expect(struct one *one, const char *text)
{
    char bytes[256];

    expect_bytes(one, bytes, strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

static inline void say_to(struct one *one, const char *text)
{
    assert_int_equal(write(one->fd, text, strlen(text)), strlen(text));
}

/* Turns until nothing comes any more but the end. */
static inline void expect_end(struct one *one)
{
    ssize_t size = -1;
    char byte;

    until((size = read(one->fd, &byte, 1)) >= 0 || errno != EAGAIN);
    assert_int_equal(size, 0);
}

/* A socket of the test's own to which micro-processes connect. */
struct server {
    int fd;
    char address[64];
};

static inline void serve_at(struct server *server, int backlog)
{
    struct sockaddr_in ip = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof ip;

    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(server->fd >= 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&ip, sizeof ip), 0);
    if (backlog >= 0)
        assert_int_equal(listen(server->fd, backlog), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&ip, &size), 0);
    (void)snprintf(server->address, sizeof server->address, "127.0.0.1:%u", ntohs(ip.sin_port));
}

static inline struct one accepted_by(const struct server *server)
{
    struct one one = {.fd = -1};

    until((one.fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    return one;
}

/* A core, a server, and a micro-process that connects to it: the test is at both its ends. */
static inline void start_between(struct server *server, struct one *one, struct one *other,
                                 const struct vine_coroutine_type *type)
{
    open_processes();
    serve_at(server, 8);
    start_one(one, type, server->address);
    *other = accepted_by(server);
}

/* It has closed what it connected, and ends well. */
static inline void finish_between(const struct server *server, struct one *one, struct one *other)
{
    expect_end(other);
    close(other->fd);
    finish_one(one, 0);
    close(server->fd);
    close_cores();
}

/* Time passes, and cores see it go. */
static inline void advance(uint64_t ns)
{
    for (uint64_t end = stepped.clock_ns + ns; stepped.clock_ns < end;) {
        stepped.clock_ns += 10 * 1000 * 1000;
        step_all();
        step_all();
    }
}

static inline int use_mprotect(void **state)
{
    (void)state;
    guard_kind = VINE__GUARD_MPROTECT;
    return 0;
}

static inline int use_pku(void **state)
{
    (void)state;
    guard_kind = VINE__GUARD_PKU;
    stepped_backend = VINE__POLL_BACKEND_ANY;
    return 0;
}

/* Whether this machine has it; it is said if not. */
static inline bool has_pku(void)
{
    const struct vine__guard_options options = {.wanted = VINE__GUARD_PKU, .has_rings = true};
    char why[VINE__GUARD_WHY_BYTES];
    const int error = vine__guard_choose(&options, why);

    if (error != 0)
        print_message("[  SKIPPED ] pku: %s\n", why);
    return error == 0;
}

#define run_by_all_guards(tests)                                                                   \
    (cmocka_run_group_tests_name("none", tests, NULL, NULL) +                                      \
     cmocka_run_group_tests_name("mprotect", tests, use_mprotect, NULL) +                          \
     cmocka_run_group_tests_name("mprotect, by epoll", tests, use_epoll, NULL) +                   \
     (has_pku() ? cmocka_run_group_tests_name("pku", tests, use_pku, NULL) +                       \
                      cmocka_run_group_tests_name("pku, by epoll", tests, use_epoll, NULL)         \
                : 0))

#endif
