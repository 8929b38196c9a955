/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_world.h - the VM server on one core, and clients at its sockets, in one thread.
 *
 * Owns:     the server, from open_server to close_server.
 * Threads:  core 0's, which the test steps.
 * Blocking: until what is awaited has come about.
 * Trust:    the test's own.
 * Limits:   one server.
 */
#ifndef VINE_TESTS_SERVICE_WORLD_H
#define VINE_TESTS_SERVICE_WORLD_H

#include "../../core/network/network_tests.h"

#include <sys/un.h>

#include <vine/service.h>

#include "core/file/file.h"
#include "server_world.h"
#include "vmm/server/service.h"

static struct vine__server *server;
static struct world *served;
static uint32_t stopped;

static inline void stop_done(void *context)
{
    (void)context;
    stopped++;
}

/* ---- clients --------------------------------------------------------------------------------- */

static inline int connect_as(const struct world *world, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", world->folder, name);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static inline void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* A turn of all cores, and all that store and engine were asked for. */
static inline void turn(void)
{
    step_all();
    if (!served->is_slow)
        world_settle(served);
}

static inline void turn_often(void)
{
    for (int i = 0; i < 200; i++)
        turn();
}

/* So many bytes come. */
static inline const char *hear(int fd, size_t size)
{
    static char text[4096];
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;
    size_t at = 0;

    assert_true(size < sizeof(text));
    text[0] = '\0';
    while (at < size) {
        const ssize_t got = read(fd, text + at, size - at);
        const bool is_over = got == 0 || (got < 0 && errno != EAGAIN);

        if (got > 0)
            at += (size_t)got;
        else
            turn();
        text[at] = '\0';
        if (is_over || vine__clock_now_ns() > hang_ns)
            fail_msg("nothing comes any more behind `%s`", text);
    }
    return text;
}

static inline void expect(int fd, const char *text)
{
    assert_string_equal(hear(fd, strlen(text)), text);
}

static inline void expect_silence(int fd)
{
    char byte;

    turn_often();
    assert_int_equal(read(fd, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
}

static inline void expect_end(int fd)
{
    ssize_t got = -1;
    char byte;

    until((turn(), got = read(fd, &byte, 1)) >= 0 || errno != EAGAIN);
    assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
    close(fd);
}

/* ---- the server ------------------------------------------------------------------------------ */

static uint32_t connections_max, all_connections_max;
static uint64_t crowds, crowd; /* how often a client was told to have too many, and how many last */

static inline void count_crowd(const struct vine__client *client, uint64_t ended_count)
{
    assert_non_null(client);
    crowds++;
    crowd = ended_count;
}

static uint64_t denials, denied; /* the same of those for whom the socket is not */

static inline void count_denied(const struct vine__client *client, uint64_t ended_count)
{
    assert_non_null(client);
    denials++;
    denied = ended_count;
}

static inline void open_server(struct world *world, struct vine__control *control)
{
    const struct vine__server_options options = {.registry = &world->registry,
                                                 .control = control,
                                                 .connections_max = connections_max,
                                                 .all_connections_max = all_connections_max,
                                                 .crowded = count_crowd,
                                                 .denied = count_denied};
    const struct vine__file_options files = {.requests_max = 64};
    char why[VINE__CLIENTS_WHY_BYTES] = "";

    stopped = 0;
    served = world;
    open_cores(1);
    assert_int_equal(vine__file_start(&files), 0);
    assert_int_equal(vine__server_start(&options, &server, why), 0);
}

static inline void close_server(void)
{
    vine__server_stop(server, stop_done, NULL);
    vine_stop(0);
    for (uint32_t i = 0; i < 1000 && stopped == 0; i++) {
        stepped.clock_ns += 10 * 1000 * 1000;
        step_all();
    }
    until(stopped == 1); /* an upload's file may still be being closed */
    close_cores();
    vine__file_end(0);
}

static inline void make_one(int fd, char uid[VINE__CLIENT_UID_BYTES])
{
    char text[80];

    say(fd, "6,1\n3,zip\n");
    memcpy(uid, hear(fd, 4 + 3 + 32 + 1) + 7, 32);
    uid[32] = '\0';
    (void)snprintf(text, sizeof(text), "8,1\n32,%s\n6,kernel\n", uid);
    say(fd, text);
    expect(fd, "8,1\n0,\n");
}

static inline void say_of(int fd, const char *format, const char *uid)
{
    char text[200];

    (void)snprintf(text, sizeof(text), format, uid);
    say(fd, text);
}

#endif
