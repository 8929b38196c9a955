/* SPDX-License-Identifier: Apache-2.0 */
/* needs: liburing */
/*
 * What an answer of 16 KiB to 1 MiB costs who sends it, by TCP over the loopback: when it is
 * copied, and when the kernel is asked to take pages where they lie (MSG_ZEROCOPY,
 * IORING_OP_SEND_ZC, the same with registered memory). Another process reads all of it and asks for
 * the next one, so that no way has more on its way than another one; both poll, so that nobody is
 * woken. What counts is the time from one question to the next; how much of it passes within the
 * calls that send and that have the memory back is beside it. The kernel says of how many it copied
 * all the same.
 *
 * docs/decisions/0021 rests on this.
 *
 *   bench_send [ROUNDS]    7 without
 */
#include "bench.h"
#include "duet.h"
#include "loopback.h"

#include <errno.h>
#include <liburing.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of Linux 6.2, and not in liburing 2.3: IORING_SEND_ZC_REPORT_USAGE, and the bit of what it
 * tells. */
#define REPORT_USAGE (1U << 3)
#define WAS_COPIED   (1U << 31)

#define BUFFERS     8U /* that are the kernel's at the same time, at most */
#define BYTES_MAX   (1U << 20)
#define BYTES_ROUND (UINT64_C(64) << 20)
#define ROUNDS_MAX  64

static unsigned char *buffers; /* BUFFERS of BYTES_MAX */
static int connection;
static struct io_uring ring;

/* Who holds which buffer, and what came of those that were given back. */
static bool is_held[BUFFERS];
static uint64_t given_back, copied;

static unsigned char *buffer_at(uint32_t index)
{
    return buffers + (size_t)index * BYTES_MAX;
}

static void give_back(uint32_t index, bool was_copied)
{
    bench_require(is_held[index], "a buffer that nobody has");
    is_held[index] = false;
    given_back++;
    copied += was_copied;
}

/* ---- plainly --------------------------------------------------------------------------------- */

static void send_plainly(uint32_t index, size_t size)
{
    bench_require(send(connection, buffer_at(index), size, MSG_NOSIGNAL) == (ssize_t)size, "send");
}

static void wait_for_nothing(uint32_t index)
{
    (void)index;
}

/* ---- MSG_ZEROCOPY ---------------------------------------------------------------------------- */

static uint32_t issued, acknowledged; /* numbers of sends, as the kernel counts them */
static uint32_t last_of[BUFFERS];     /* a buffer's last one */

static void send_pages(uint32_t index, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        const ssize_t count =
            send(connection, buffer_at(index) + sent, size - sent, MSG_NOSIGNAL | MSG_ZEROCOPY);

        bench_require(count > 0, "MSG_ZEROCOPY");
        sent += (size_t)count;
        last_of[index] = issued++;
    }
    is_held[index] = true;
}

/* The kernel tells ranges of numbers, in order for TCP. */
static void read_news(void)
{
    char control[256];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
    struct pollfd ready = {.fd = connection};
    struct sock_extended_err news;

    bench_require(poll(&ready, 1, 10000) == 1, "the kernel keeps a buffer");
    bench_require(recvmsg(connection, &message, MSG_ERRQUEUE) >= 0, "MSG_ERRQUEUE");
    memcpy(&news, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(news));
    bench_require(news.ee_errno == 0 && news.ee_origin == SO_EE_ORIGIN_ZEROCOPY, "other news");
    acknowledged = news.ee_data + 1;
    for (uint32_t i = 0; i < BUFFERS; i++)
        if (is_held[i] && (int32_t)(acknowledged - last_of[i]) > 0)
            give_back(i, (news.ee_code & SO_EE_CODE_ZEROCOPY_COPIED) != 0);
}

static void wait_for_news(uint32_t index)
{
    while (is_held[index])
        read_news();
}

/* ---- io_uring -------------------------------------------------------------------------------- */

static void begin(uint32_t index, size_t size, bool is_registered)
{
    struct io_uring_sqe *const sqe = io_uring_get_sqe(&ring);

    bench_require(sqe != NULL, "an entry");
    if (is_registered)
        io_uring_prep_send_zc_fixed(sqe, connection, buffer_at(index), size, MSG_WAITALL,
                                    REPORT_USAGE, index);
    else
        io_uring_prep_send_zc(sqe, connection, buffer_at(index), size, MSG_WAITALL, REPORT_USAGE);
    io_uring_sqe_set_data64(sqe, index);
    is_held[index] = true;
}

/* The next event. Returns whether it is the end of a send. */
static bool take_event(size_t size)
{
    struct io_uring_cqe *cqe = NULL;
    bool is_end = false;

    bench_require(io_uring_submit_and_wait(&ring, 1) >= 0, "io_uring");
    bench_require(io_uring_peek_cqe(&ring, &cqe) == 0, "an event");
    if ((cqe->flags & IORING_CQE_F_NOTIF) != 0) {
        give_back((uint32_t)cqe->user_data, ((uint32_t)cqe->res & WAS_COPIED) != 0);
    } else {
        bench_require(cqe->res == (int)size && (cqe->flags & IORING_CQE_F_MORE) != 0,
                      "IORING_OP_SEND_ZC");
        is_end = true;
    }
    io_uring_cqe_seen(&ring, cqe);
    return is_end;
}

static void send_by_ring(uint32_t index, size_t size)
{
    begin(index, size, false);
    while (!take_event(size))
        ;
}

static void send_registered(uint32_t index, size_t size)
{
    begin(index, size, true);
    while (!take_event(size))
        ;
}

static void wait_for_event(uint32_t index)
{
    while (is_held[index])
        bench_require(!take_event(0), "an end of nothing");
}

/* ---- measuring ------------------------------------------------------------------------------- */

struct way {
    const char *name;
    void (*send)(uint32_t index, size_t size);
    void (*wait)(uint32_t index); /* until the buffer is ours again */
};

static const struct way ways[] = {
    {"send, which copies", send_plainly, wait_for_nothing},
    {"MSG_ZEROCOPY", send_pages, wait_for_news},
    {"IORING_OP_SEND_ZC", send_by_ring, wait_for_event},
    {"IORING_OP_SEND_ZC, registered", send_registered, wait_for_event},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* Of an answer, in microseconds. */
struct cost {
    double calls_us, exchange_us;
};

/* Until the reader asks for more. */
static void take_question(void)
{
    char question;

    while (recv(connection, &question, 1, MSG_DONTWAIT) != 1)
        bench_require(errno == EAGAIN, "recv");
}

static struct cost measure(const struct way *way, size_t size)
{
    const uint64_t count = BYTES_ROUND / size;
    const uint64_t begin_ns = bench_now_ns();
    uint64_t calls_ns = 0;

    for (uint64_t i = 0; i < count; i++) {
        const uint32_t index = (uint32_t)(i % BUFFERS), bytes = (uint32_t)size;
        uint64_t call_ns = bench_now_ns();

        way->wait(index);
        calls_ns += bench_now_ns() - call_ns;
        memcpy(buffer_at(index), &bytes, sizeof(bytes)); /* it is ours */
        call_ns = bench_now_ns();
        way->send(index, size);
        calls_ns += bench_now_ns() - call_ns;
        take_question();
    }
    for (uint32_t i = 0; i < BUFFERS; i++)
        way->wait(i);
    return (struct cost){
        .calls_us = (double)calls_ns / 1e3 / (double)count,
        .exchange_us = (double)(bench_now_ns() - begin_ns) / 1e3 / (double)count,
    };
}

static void compare(size_t size, int rounds)
{
    double calls[WAYS][ROUNDS_MAX], exchange[WAYS][ROUNDS_MAX], ratio[WAYS][ROUNDS_MAX];
    uint64_t back[WAYS] = {0}, with_copy[WAYS] = {0};

    for (int round = -1; round < rounds; round++)
        for (size_t i = 0; i < WAYS; i++) {
            given_back = copied = 0;
            const struct cost cost = measure(&ways[i], size);

            if (round < 0)
                continue; /* pages and windows are there from here on */
            calls[i][round] = cost.calls_us;
            exchange[i][round] = cost.exchange_us;
            ratio[i][round] = cost.exchange_us / exchange[0][round];
            back[i] += given_back;
            with_copy[i] += copied;
        }
    for (size_t i = 0; i < WAYS; i++) {
        struct bench_row row = {.beside = "send"};
        char share[32] = "";

        if (back[i] > 0)
            (void)snprintf(share, sizeof(share), ", %.0f %% copied",
                           100.0 * (double)with_copy[i] / (double)back[i]);
        (void)snprintf(row.what, sizeof(row.what), "%zu KiB, %s", size >> 10, ways[i].name);
        (void)snprintf(row.measured, sizeof(row.measured), "%.1f us, %.1f us of it within calls%s",
                       bench_median(exchange[i], (size_t)rounds),
                       bench_median(calls[i], (size_t)rounds), share);
        if (i > 0)
            (void)snprintf(row.ratio, sizeof(row.ratio), "%.2f",
                           bench_median(ratio[i], (size_t)rounds));
        bench_table_row(&row);
    }
}

/* ---- both sides ------------------------------------------------------------------------------ */

/* Answers begin with their size. */
static void read_answers(int fd)
{
    for (;;) {
        size_t length = 0, size = sizeof(uint32_t);

        while (length < size) {
            const ssize_t count = recv(fd, buffers + length, BYTES_MAX - length, MSG_DONTWAIT);

            if (count == 0)
                return;
            length += count > 0 ? (size_t)count : 0;
            if (length >= sizeof(uint32_t))
                size = *(const uint32_t *)(const void *)buffers;
        }
        bench_require(send(fd, "?", 1, MSG_NOSIGNAL) == 1, "a question");
    }
}

static void start_reader(void)
{
    const int listener = loopback_listen(0, 0);
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    bench_require(getsockname(listener, (struct sockaddr *)&address, &size) == 0, "a port");
    connection = loopback_connect(ntohs(address.sin_port));
    const int other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    bench_require(connection >= 0 && other >= 0, "a connection");
    const pid_t reader = fork();

    bench_require(reader >= 0, "fork");
    if (reader > 0) {
        (void)close(other);
        (void)close(listener);
        return;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_pin(1);
    read_answers(other);
    _exit(0);
}

static void start_sender(void)
{
    struct iovec memory[BUFFERS];
    const int on = 1;

    for (uint32_t i = 0; i < BUFFERS; i++)
        memory[i] = (struct iovec){buffer_at(i), BYTES_MAX};
    bench_pin(0);
    bench_require(setsockopt(connection, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == 0,
                  "SO_ZEROCOPY");
    errno = -io_uring_queue_init(64, &ring, 0);
    bench_require(errno == 0, "io_uring");
    errno = -io_uring_register_buffers(&ring, memory, BUFFERS);
    bench_require(errno == 0, "registered buffers");
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {16U << 10, 64U << 10, 256U << 10, 1U << 20};
    const int rounds = duet_rounds(argc, argv, 7);

    bench_require(rounds <= ROUNDS_MAX, "that many rounds");
    buffers = mmap(NULL, (size_t)BUFFERS * BYTES_MAX, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    bench_require(buffers != MAP_FAILED, "memory");
    start_reader();
    start_sender();
    bench_table_begin("an answer by TCP: until the next question has come",
                      "One connection over the loopback; the other side reads all and asks again.");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        compare(sizes[i], rounds);
    bench_table_end();
    (void)close(connection);
    return 0;
}
