/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of files share: reactors in one thread over a poller of either kind, operations
 * that are waited for, and a folder.
 */
#ifndef VINE_TESTS_FILE_TESTS_H
#define VINE_TESTS_FILE_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/file/file.h"
#include "core/file/io_queue.h"
#include "core/reactor/reactor.h"
#include "harness/folder.h"

#define WORLD_CORES_MAX 4
#define WORLD_HANG_S    120

static enum vine__poll_backend world_backend = VINE__POLL_BACKEND_URING;

static struct {
    struct vine__mesh *mesh;
    struct vine__reactor *reactors[WORLD_CORES_MAX];
    struct vine__poller *pollers[WORLD_CORES_MAX];
    uint32_t count;
    char folder[64];
} world;

/* Core 0 has an I/O queue of `requests_max`; others are assigned to it. Core 0 is entered. */
static inline void world_open(uint32_t count, uint32_t requests_max)
{
    const struct vine__mesh_options mesh_options = {.core_count = count};
    const struct vine__poller_options poller_options = {.queue_depth = 64,
                                                        .backend = (uint8_t)world_backend};

    world.count = count;
    assert_int_equal(vine__mesh_create(&world.mesh, &mesh_options), 0);
    for (uint32_t core = 0; core < count; core++) {
        const struct vine__file_options options = {.requests_max = core == 0 ? requests_max : 0,
                                                   .buffer_count = 8};

        assert_int_equal(vine__poller_create(&world.pollers[core], &poller_options), 0);
        assert_int_equal(
            vine__reactor_create(&world.reactors[core], world.mesh, core, world.pollers[core]), 0);
        (void)vine__reactor_enter(world.reactors[core]);
        assert_int_equal(vine__file_start(&options), 0);
        if (core > 0)
            vine__io_queue_assign(0);
    }
    (void)vine__reactor_enter(world.reactors[0]);
}

static inline void world_close(void)
{
    (void)vine__reactor_enter(NULL);
    for (uint32_t core = 0; core < world.count; core++) {
        vine__reactor_destroy(world.reactors[core]);
        vine__file_end(core);
    }
    vine__mesh_destroy(world.mesh);
}

/* One turn of each core; where none has anything to do, wait for the kernel. */
static inline void world_turn(void)
{
    bool is_busy = false;

    for (uint32_t core = 0; core < world.count; core++)
        is_busy |= vine__reactor_step(world.reactors[core]);
    for (uint32_t core = 0; core < world.count && !is_busy; core++) {
        struct vine__reactor *const before = vine__reactor_enter(world.reactors[core]);

        if (vine__poller_pending(world.pollers[core]) > 0)
            is_busy = vine__poller_sleep(world.pollers[core], 256, 1000000) > 0;
        (void)vine__reactor_enter(before);
    }
}

static inline void world_run_until(const bool *is_done)
{
    const time_t start = time(NULL);

    while (!*is_done) {
        world_turn();
        assert_true(time(NULL) - start < WORLD_HANG_S);
    }
}

/* An operation that is waited for. */
struct wish {
    struct vine_file_op op;
    bool is_done;
    uint32_t calls;
};

static inline void wish_is_done(struct vine_file_op *op)
{
    struct wish *const wish = (struct wish *)(void *)op;

    wish->is_done = true;
    wish->calls++;
}

static inline struct wish *wish_new(struct wish *wish)
{
    memset(wish, 0, sizeof(*wish));
    vine_file_op_init(&wish->op, wish_is_done);
    return wish;
}

static inline void wish_is_under_way(const struct wish *wish)
{
    assert_false(wish->is_done);
}

static inline int64_t wish_wait(struct wish *wish)
{
    world_run_until(&wish->is_done);
    assert_int_equal(wish->calls, 1);
    return vine_file_result(&wish->op);
}

/* AWAIT(vine_file_read, file, bytes, ...): begin it, and wait for its result. No end comes within
 * the call that began it. */
static struct wish await_wish;
#define AWAIT(begin, ...)                                                                          \
    (begin(&wish_new(&await_wish)->op, __VA_ARGS__), wish_is_under_way(&await_wish),               \
     wish_wait(&await_wish))

static inline void close_file(struct vine_file *file)
{
    assert_int_equal(AWAIT(vine_file_close, file), 0);
}

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Printed, so that a failure can be had again: VINE_TEST_SEED. */
static inline uint64_t choose_seed(void)
{
    const char *const wish = getenv("VINE_TEST_SEED");
    const uint64_t seed = wish != NULL ? strtoull(wish, NULL, 0) : (uint64_t)time(NULL);

    print_message("VINE_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed | 1;
}

/* Run `group` over io_uring, where it is to be had, and over epoll. */
#define RUN_OVER_BOTH(group)                                                                       \
    (world_backend = VINE__POLL_BACKEND_URING,                                                     \
     (has_uring() ? cmocka_run_group_tests_name(#group " over io_uring", group, NULL, NULL) : 0) + \
         (world_backend = VINE__POLL_BACKEND_EPOLL,                                                \
          cmocka_run_group_tests_name(#group " over epoll", group, NULL, NULL)))

static inline bool has_uring(void)
{
    const struct vine__poller_options options = {.backend = VINE__POLL_BACKEND_URING};
    struct vine__poller *poller;

    if (vine__poller_create(&poller, &options) != 0) {
        print_message("no io_uring here: epoll alone\n");
        return false;
    }
    vine__poller_destroy(poller);
    return true;
}

#endif
