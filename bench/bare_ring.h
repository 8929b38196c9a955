/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bare_ring.h - a bare io_uring loop on one thread: multishot accept and receive into a ring
 * of provided buffers. The physical limit that servers are held against.
 *
 * Owns:     one ring and its buffers, the includer's: it is a part of a program, not of a library.
 * Threads:  one.
 * Blocking: bare_ring_run, for ever.
 * Trust:    both sides are ours: no checks, no limits.
 * Limits:   BARE_BUFFER_COUNT buffers of BARE_BUFFER_BYTES.
 */
#ifndef VINE_BENCH_BARE_RING_H
#define VINE_BENCH_BARE_RING_H

#include "bench.h"

#include <liburing.h>
#include <stdint.h>
#include <stdlib.h>

#define BARE_QUEUE_DEPTH      1024
#define BARE_COMPLETION_DEPTH 16384
#define BARE_BUFFER_COUNT     1024 /* a power of two */
#define BARE_BUFFER_BYTES     2048

enum bare_what {
    BARE_ACCEPT,
    BARE_RECEIVE,
    BARE_SEND,
};

static struct io_uring bare_ring;
static struct io_uring_buf_ring *bare_buffers;
static unsigned char *bare_bytes;

/* What a completion says of itself: 32 bits of descriptor, 16 of buffer, and what it is. */
static inline uint64_t bare_name(enum bare_what what, int fd, uint32_t buffer)
{
    return (uint64_t)what << 48 | (uint64_t)buffer << 32 | (uint32_t)fd;
}

static inline enum bare_what bare_what(uint64_t name)
{
    return (enum bare_what)(name >> 48);
}

static inline unsigned char *bare_buffer(uint32_t buffer)
{
    return bare_bytes + (size_t)buffer * BARE_BUFFER_BYTES;
}

static inline struct io_uring_sqe *bare_submission(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&bare_ring);

    if (sqe == NULL) {
        (void)io_uring_submit(&bare_ring);
        sqe = io_uring_get_sqe(&bare_ring);
    }
    bench_require(sqe != NULL, "a submission");
    return sqe;
}

static inline void bare_accept(int listening)
{
    struct io_uring_sqe *const sqe = bare_submission();

    io_uring_prep_multishot_accept(sqe, listening, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, bare_name(BARE_ACCEPT, listening, 0));
}

static inline void bare_receive(int fd)
{
    struct io_uring_sqe *const sqe = bare_submission();

    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    io_uring_sqe_set_data64(sqe, bare_name(BARE_RECEIVE, fd, 0));
}

static inline void bare_give_back(uint32_t buffer)
{
    io_uring_buf_ring_add(bare_buffers, bare_buffer(buffer), BARE_BUFFER_BYTES, (uint16_t)buffer,
                          io_uring_buf_ring_mask(BARE_BUFFER_COUNT), 0);
    io_uring_buf_ring_advance(bare_buffers, 1);
}

static inline void bare_ring_open(void)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = BARE_COMPLETION_DEPTH};
    struct io_uring_buf_reg registration = {.ring_entries = BARE_BUFFER_COUNT};

    bench_check(io_uring_queue_init_params(BARE_QUEUE_DEPTH, &bare_ring, &parameters), "io_uring");
    (void)io_uring_register_ring_fd(&bare_ring);
    bare_bytes = aligned_alloc(4096, (size_t)BARE_BUFFER_COUNT * BARE_BUFFER_BYTES);
    bare_buffers = aligned_alloc(4096, BARE_BUFFER_COUNT * sizeof(struct io_uring_buf));
    bench_require(bare_bytes != NULL && bare_buffers != NULL, "memory");
    registration.ring_addr = (uint64_t)(uintptr_t)bare_buffers;
    io_uring_buf_ring_init(bare_buffers);
    bench_check(io_uring_register_buf_ring(&bare_ring, &registration, 0), "buffers");
    for (uint32_t i = 0; i < BARE_BUFFER_COUNT; i++)
        bare_give_back(i);
}

/* Have `take` called for each completion. */
static inline _Noreturn void bare_ring_run(void (*take)(const struct io_uring_cqe *cqe))
{
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned int head;
        unsigned int count = 0;

        (void)io_uring_submit_and_wait(&bare_ring, 1);
        io_uring_for_each_cqe(&bare_ring, head, cqe)
        {
            take(cqe);
            count++;
        }
        io_uring_cq_advance(&bare_ring, count);
    }
}

#endif
