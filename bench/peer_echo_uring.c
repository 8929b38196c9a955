/* SPDX-License-Identifier: Apache-2.0 */
/* needs: liburing */
/*
 * Echo by a bare io_uring loop on one thread: multishot accept and receive into a ring of provided
 * buffers, and a send out of the buffer that came. What bench_echo compares with: no checks, no
 * limits, no memory of its own for a connection. It serves until it is killed.
 */
#include "bench.h"
#include "echo_socket.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define QUEUE_DEPTH      1024
#define COMPLETION_DEPTH 16384
#define BUFFER_COUNT     1024 /* a power of two */
#define BUFFER_BYTES     2048

enum what {
    ACCEPT,
    RECEIVE,
    SEND,
};

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static unsigned char *bytes;

/* What a completion says of itself: 32 bits of descriptor, 16 of buffer, and what it is. */
static uint64_t name_of(enum what what, int fd, uint32_t buffer)
{
    return (uint64_t)what << 48 | (uint64_t)buffer << 32 | (uint32_t)fd;
}

static struct io_uring_sqe *next_submission(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    if (sqe == NULL) {
        (void)io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    bench_require(sqe != NULL, "a submission");
    return sqe;
}

static void begin_accept(int listening)
{
    struct io_uring_sqe *const sqe = next_submission();

    io_uring_prep_multishot_accept(sqe, listening, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, name_of(ACCEPT, listening, 0));
}

static void begin_receive(int fd)
{
    struct io_uring_sqe *const sqe = next_submission();

    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    io_uring_sqe_set_data64(sqe, name_of(RECEIVE, fd, 0));
}

static void begin_send(int fd, uint32_t buffer, uint32_t size)
{
    struct io_uring_sqe *const sqe = next_submission();

    io_uring_prep_send(sqe, fd, bytes + (size_t)buffer * BUFFER_BYTES, size,
                       MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(sqe, name_of(SEND, fd, buffer));
}

static void give_back(uint32_t buffer)
{
    io_uring_buf_ring_add(buffers, bytes + (size_t)buffer * BUFFER_BYTES, BUFFER_BYTES,
                          (uint16_t)buffer, io_uring_buf_ring_mask(BUFFER_COUNT), 0);
    io_uring_buf_ring_advance(buffers, 1);
}

static void take(const struct io_uring_cqe *cqe)
{
    const int fd = (int)(uint32_t)cqe->user_data;
    const uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    switch ((enum what)(cqe->user_data >> 48)) {
    case ACCEPT:
        bench_require(cqe->res >= 0, "accept");
        begin_receive(cqe->res);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0)
            begin_accept(fd);
        break;
    case RECEIVE:
        if (cqe->res > 0)
            begin_send(fd, buffer, (uint32_t)cqe->res);
        else if (cqe->res != -ENOBUFS)
            (void)close(fd);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0 && (cqe->res > 0 || cqe->res == -ENOBUFS))
            begin_receive(fd);
        break;
    default:
        give_back((uint32_t)(cqe->user_data >> 32) & 0xffff);
        break;
    }
}

static void set_up(void)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = COMPLETION_DEPTH};
    struct io_uring_buf_reg registration = {.ring_entries = BUFFER_COUNT};
    const size_t ring_bytes = BUFFER_COUNT * sizeof(struct io_uring_buf);

    bench_check(io_uring_queue_init_params(QUEUE_DEPTH, &ring, &parameters), "io_uring");
    (void)io_uring_register_ring_fd(&ring);
    bytes = aligned_alloc(4096, (size_t)BUFFER_COUNT * BUFFER_BYTES);
    buffers = aligned_alloc(4096, ring_bytes);
    bench_require(bytes != NULL && buffers != NULL, "memory");
    registration.ring_addr = (uint64_t)(uintptr_t)buffers;
    io_uring_buf_ring_init(buffers);
    bench_check(io_uring_register_buf_ring(&ring, &registration, 0), "buffers");
    for (uint32_t i = 0; i < BUFFER_COUNT; i++)
        give_back(i);
}

int main(void)
{
    const int listening = echo_listen(0);

    set_up();
    begin_accept(listening);
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned int head;
        unsigned int count = 0;

        (void)io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            take(cqe);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}
