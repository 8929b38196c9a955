/* SPDX-License-Identifier: Apache-2.0 */
/* needs: liburing */
/*
 * Echo by a bare io_uring loop on one thread: multishot accept and receive into a ring of provided
 * buffers, and a send out of the buffer that came. What bench_echo compares with: no checks, no
 * limits, no memory of its own for a connection. It serves until it is killed.
 */
#include "bare_ring.h"
#include "echo_socket.h"

#include <errno.h>
#include <unistd.h>

static void begin_send(int fd, uint32_t buffer, uint32_t size)
{
    struct io_uring_sqe *const sqe = bare_submission();

    io_uring_prep_send(sqe, fd, bare_buffer(buffer), size, MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(sqe, bare_name(BARE_SEND, fd, buffer));
}

static void take(const struct io_uring_cqe *cqe)
{
    const int fd = (int)(uint32_t)cqe->user_data;
    const uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    switch (bare_what(cqe->user_data)) {
    case BARE_ACCEPT:
        bench_require(cqe->res >= 0, "accept");
        bare_receive(cqe->res);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0)
            bare_accept(fd);
        break;
    case BARE_RECEIVE:
        if (cqe->res > 0)
            begin_send(fd, buffer, (uint32_t)cqe->res);
        else if (cqe->res != -ENOBUFS)
            (void)close(fd);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0 && (cqe->res > 0 || cqe->res == -ENOBUFS))
            bare_receive(fd);
        break;
    default:
        bare_give_back((uint32_t)(cqe->user_data >> 32) & 0xffff);
        break;
    }
}

int main(void)
{
    const int listening = echo_listen(0);

    bare_ring_open();
    bare_accept(listening);
    bare_ring_run(take);
}
