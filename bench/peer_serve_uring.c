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
#include "bare_ring.h"
#include "loopback.h"
#include "server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWERS_MAX     256 /* that go out together */
#define CONNECTIONS_MAX 65536
#define HEAD                                                                                       \
    "HTTP/1.1 200 OK\r\nServer: limit\r\nDate: Sun, 22 Nov 2026 09:00:00 GMT\r\n"                  \
    "Content-Type: text/plain\r\nContent-Length: "

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

/* No completion tells of one that succeeds; of one that does not, the receive will, too. */
static void begin_send(int fd, uint32_t count)
{
    struct io_uring_sqe *const sqe = bare_submission();

    io_uring_prep_send(sqe, fd, answers, count * answer_bytes, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, bare_name(BARE_SEND, fd, 0));
}

static void take_bytes(const struct io_uring_cqe *cqe, int fd)
{
    const uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    if (cqe->res > 0) {
        const uint32_t count = count_requests(fd, bare_buffer(buffer), (size_t)cqe->res);

        if (count > 0)
            begin_send(fd, count);
        bare_give_back(buffer);
    } else if (cqe->res != -ENOBUFS) {
        (void)close(fd);
        return;
    }
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        bare_receive(fd);
}

static void take(const struct io_uring_cqe *cqe)
{
    const int fd = (int)(uint32_t)cqe->user_data;

    switch (bare_what(cqe->user_data)) {
    case BARE_ACCEPT:
        bench_require(cqe->res >= 0 && cqe->res < CONNECTIONS_MAX, "accept");
        matched[cqe->res] = 0;
        bare_receive(cqe->res);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0)
            bare_accept(fd);
        break;
    case BARE_RECEIVE:
        take_bytes(cqe, fd);
        break;
    default:
        break;
    }
}

int main(int argument_count, char **arguments)
{
    bench_require(argument_count == 3, "PORT hello|file|ping");
    (void)server_raise_descriptors();
    make_answers(arguments[2]);
    const int listening = loopback_listen((uint32_t)strtoul(arguments[1], NULL, 10), 0);

    bare_ring_open();
    bare_accept(listening);
    bare_ring_run(take);
}
