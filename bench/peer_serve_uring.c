/* SPDX-License-Identifier: Apache-2.0 */
/* needs: liburing */
/*
 * The physical limit that bench_serve holds servers against: one thread with a bare io_uring loop,
 * multishot accept and receive into a ring of provided buffers. It looks for nothing but the ends
 * of requests, and sends an answer that was made at its start for each. No checks, no limits, no
 * memory for a connection but four bytes. It serves until it is killed.
 *
 *     peer_serve_uring PORT hello|file|ping
 */
#include "bench.h"
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_DEPTH      1024
#define COMPLETION_DEPTH 16384
#define BUFFER_COUNT     1024 /* a power of two */
#define BUFFER_BYTES     2048
#define ANSWERS_MAX      256 /* that go out together */
#define CONNECTIONS_MAX  65536
#define HEAD                                                                                       \
    "HTTP/1.1 200 OK\r\nServer: limit\r\nDate: Sun, 22 Nov 2026 09:00:00 GMT\r\n"                  \
    "Content-Type: text/plain\r\nContent-Length: "

enum what {
    ACCEPT,
    RECEIVE,
    SEND,
};

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static unsigned char *bytes;
static char *answers; /* copies of one */
static size_t answer_bytes;
static size_t request_bytes; /* of the last one that came alone and whole */
static const char *end;      /* what requests end with */
static size_t end_bytes;
static uint32_t matched[CONNECTIONS_MAX]; /* bytes of it that were seen last */

/* ---- answers --------------------------------------------------------------------------------- */

static void make_answers(const char *kind)
{
    const bool is_file = strcmp(kind, "file") == 0;
    const size_t body_bytes = is_file ? SERVER_FILE_BYTES : 5;
    const size_t copies = is_file ? 1 : ANSWERS_MAX;
    char head[256];

    end = "\r\n\r\n";
    (void)snprintf(head, sizeof(head), HEAD "%zu\r\n\r\n%s", body_bytes, is_file ? "" : "hello");
    answer_bytes = strlen(head) + (is_file ? body_bytes : 0);
    if (strcmp(kind, "ping") == 0) {
        end = "PING\r\n";
        (void)snprintf(head, sizeof(head), "+PONG\r\n");
        answer_bytes = strlen(head);
    }
    end_bytes = strlen(end);
    answers = calloc(copies, answer_bytes);
    bench_require(answers != NULL, "memory");
    for (size_t i = 0; i < copies; i++)
        memcpy(answers + i * answer_bytes, head, strlen(head));
}

/* How many requests end in these bytes. */
static uint32_t count_requests(int fd, const unsigned char *text, size_t size)
{
    uint32_t seen = matched[fd];
    uint32_t count = 0;

    if (seen == 0 && size == request_bytes && memcmp(text + size - end_bytes, end, end_bytes) == 0)
        return 1;
    const bool is_begin = seen == 0;

    for (size_t i = 0; i < size; i++) {
        seen = text[i] == (unsigned char)end[seen] ? seen + 1
               : text[i] == (unsigned char)end[0]  ? 1
                                                   : 0;
        if (seen == end_bytes) {
            seen = 0;
            count++;
        }
    }
    matched[fd] = seen;
    if (is_begin && count == 1 && seen == 0)
        request_bytes = size;
    return count;
}

/* ---- the ring -------------------------------------------------------------------------------- */

static uint64_t name_of(enum what what, int fd)
{
    return (uint64_t)what << 32 | (uint32_t)fd;
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
    io_uring_sqe_set_data64(sqe, name_of(ACCEPT, listening));
}

static void begin_receive(int fd)
{
    struct io_uring_sqe *const sqe = next_submission();

    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    io_uring_sqe_set_data64(sqe, name_of(RECEIVE, fd));
}

/* No completion tells of one that succeeds; of one that does not, the receive will, too. */
static void begin_send(int fd, uint32_t count)
{
    struct io_uring_sqe *const sqe = next_submission();

    io_uring_prep_send(sqe, fd, answers, count * answer_bytes, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, name_of(SEND, fd));
}

static void give_back(uint32_t buffer)
{
    io_uring_buf_ring_add(buffers, bytes + (size_t)buffer * BUFFER_BYTES, BUFFER_BYTES,
                          (uint16_t)buffer, io_uring_buf_ring_mask(BUFFER_COUNT), 0);
    io_uring_buf_ring_advance(buffers, 1);
}

static void take_bytes(const struct io_uring_cqe *cqe, int fd)
{
    const uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    if (cqe->res > 0) {
        const uint32_t count =
            count_requests(fd, bytes + (size_t)buffer * BUFFER_BYTES, (size_t)cqe->res);

        if (count > 0)
            begin_send(fd, count);
        give_back(buffer);
    } else if (cqe->res != -ENOBUFS) {
        (void)close(fd);
        return;
    }
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        begin_receive(fd);
}

static void take(const struct io_uring_cqe *cqe)
{
    const int fd = (int)(uint32_t)cqe->user_data;

    switch ((enum what)(cqe->user_data >> 32)) {
    case ACCEPT:
        bench_require(cqe->res >= 0 && cqe->res < CONNECTIONS_MAX, "accept");
        matched[cqe->res] = 0;
        begin_receive(cqe->res);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0)
            begin_accept(fd);
        break;
    case RECEIVE:
        take_bytes(cqe, fd);
        break;
    default:
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

static int begin_listening(uint32_t port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bench_require(fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
                      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
                      bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
                      listen(fd, 4096) == 0,
                  "listen");
    return fd;
}

int main(int argument_count, char **arguments)
{
    bench_require(argument_count == 3, "PORT hello|file|ping");
    (void)server_raise_descriptors();
    make_answers(arguments[2]);
    const int listening = begin_listening((uint32_t)strtoul(arguments[1], NULL, 10));

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
