/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of arch/poll share: the same tests run over each backend in turn.
 */
#ifndef VINE_TESTS_POLL_TESTS_H
#define VINE_TESTS_POLL_TESTS_H

#include "arch/poll/poll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Guards against a hang: no test waits that long when all is well. */
#define HANG_NS (100 * VINE_NS_PER_SECOND)

#define ENDS_KEPT 16

/* An operation that remembers how its function was called. */
struct watched {
    struct vine__operation operation;
    uint32_t calls;
    bool is_over;
    int32_t results[ENDS_KEPT]; /* of the first calls */
    uint32_t flags[ENDS_KEPT];
    uint16_t buffers[ENDS_KEPT];
    int32_t result; /* of the last call */
    uint32_t order; /* of its end, among all */
};

/* The group's: which backend its tests are for. */
__attribute__((unused)) static uint8_t tested_backend;
static uint32_t ends_count;

__attribute__((unused)) static void watched_fn(struct vine__operation *operation, int32_t result,
                                               uint32_t flags)
{
    struct watched *watched = (struct watched *)operation;

    assert_false(watched->is_over);
    if (watched->calls < ENDS_KEPT) {
        watched->results[watched->calls] = result;
        watched->flags[watched->calls] = flags;
        watched->buffers[watched->calls] = operation->buffer;
    }
    watched->calls++;
    watched->result = result;
    watched->is_over = (flags & VINE__POLL_MORE) == 0;
    if (watched->is_over)
        watched->order = ++ends_count;
}

/* WATCHED(kind, fields...): one that is ready to begin. */
#define WATCHED(its_kind, ...)                                                                     \
    ((struct watched){.operation = {.fn = watched_fn, .kind = (its_kind), __VA_ARGS__}})

__attribute__((unused)) static struct vine__poller *poller_with_depth(uint32_t queue_depth)
{
    struct vine__poller *poller = NULL;

    assert_int_equal(
        vine__poller_create(&poller, &(struct vine__poller_options){.backend = tested_backend,
                                                                    .queue_depth = queue_depth}),
        0);
    return poller;
}

__attribute__((unused)) static struct vine__poller *poller_create(void)
{
    return poller_with_depth(0);
}

/* Poll until it has ended. */
__attribute__((unused)) static int32_t wait_for(struct vine__poller *poller,
                                                struct watched *watched)
{
    while (!watched->is_over)
        if (vine__poller_sleep(poller, UINT32_MAX, HANG_NS) == 0)
            fail_msg("nothing has ended in %llu s", HANG_NS / VINE_NS_PER_SECOND);
    return watched->result;
}

/* Poll until its function was called so many times. */
__attribute__((unused)) static void wait_for_calls(struct vine__poller *poller,
                                                   struct watched *watched, uint32_t calls)
{
    while (watched->calls < calls)
        if (vine__poller_sleep(poller, UINT32_MAX, HANG_NS) == 0)
            fail_msg("nothing has come in %llu s", HANG_NS / VINE_NS_PER_SECOND);
}

__attribute__((unused)) static int32_t run(struct vine__poller *poller, struct watched *watched)
{
    vine__poller_begin(poller, &watched->operation);
    assert_int_equal(watched->calls, 0);
    return wait_for(poller, watched);
}

/* How many descriptors the process has open. */
__attribute__((unused)) static uint32_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    uint32_t count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

__attribute__((unused)) static int leave_to_uring(void **state)
{
    (void)state;
    tested_backend = VINE__POLL_BACKEND_URING;
    return 0;
}

__attribute__((unused)) static int leave_to_epoll(void **state)
{
    (void)state;
    tested_backend = VINE__POLL_BACKEND_EPOLL;
    return 0;
}

/* Whether io_uring is to be had; says so if not. */
__attribute__((unused)) static bool has_uring(void)
{
    struct vine__poller *poller = NULL;
    char why[VINE__POLL_WHY_BYTES];
    const int error = vine__poller_create(
        &poller,
        &(struct vine__poller_options){.backend = VINE__POLL_BACKEND_URING, .ret_why = why});

    vine__poller_destroy(poller);
    if (error != 0)
        print_message("epoll alone: %s\n", why);
    return error == 0;
}

#define RUN_OVER_BACKENDS(tests)                                                                   \
    ((has_uring() ? cmocka_run_group_tests_name("io_uring", tests, leave_to_uring, NULL) : 0) +    \
     cmocka_run_group_tests_name("epoll", tests, leave_to_epoll, NULL))

#endif
