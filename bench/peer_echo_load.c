/* SPDX-License-Identifier: Apache-2.0 */
/* needs: liburing */
/*
 * Load for the servers of bench_echo: COUNT connections, each with one request on its way at all
 * times, by io_uring, on the last processor; it never sleeps. It leaves out what can be left out
 * (descriptors are registered, sends that succeed have no completion), so that the server is what
 * limits the rate.
 *
 *     peer_echo_load PORT COUNT echo|http SERVER_PID MILLISECONDS [REQUESTS]
 *     peer_echo_load PORT COUNT echo|http SERVER_PID idle
 *
 * The first one measures for so long and prints the rate, the processor time that the server and
 * the load took of each request, and percentiles of the time until the answer. With REQUESTS so
 * many are on their way at a time, on connections that take turns. The second one prints what the
 * connections cost in memory of the server's process when each has had an answer and nothing is on
 * its way.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "arch/clock/clock.h"
#include "arch/cpu/cpu.h"
#include "utils/histogram.h"

#define QUEUE_DEPTH      256
#define COMPLETION_DEPTH 32768
#define BUFFER_COUNT     2048 /* a power of two */
#define BUFFER_BYTES     512
#define AT_ONCE          64 /* answers that are taken before requests go out */
#define ECHO_BYTES       64
#define WARM_NS          200000000ULL
#define FIRST_COUNT      64 /* connections that have warmed the server up, of the second way */
#define SEND             (1ULL << 32)
#define HTTP_REQUEST     "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

struct client {
    uint64_t sent_ticks;
    uint32_t got; /* bytes of the answer */
    bool is_waiting;
};

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static unsigned char *bytes;
static struct client *clients;
static int *sockets;
static uint32_t count;
static uint32_t port;
static const char *request;
static uint32_t request_bytes;
static uint32_t answer_bytes;
static struct vine__histogram times;
static uint64_t answers;

/* ---- the server's process -------------------------------------------------------------------- */

static pid_t server;

static uint64_t used_ns(clockid_t clock)
{
    struct timespec used = {0};

    bench_require(clock_gettime(clock, &used) == 0, "clock_gettime");
    return (uint64_t)used.tv_sec * 1000000000ULL + (uint64_t)used.tv_nsec;
}

static double resident_bytes(void)
{
    char name[64];
    char line[256];
    unsigned long kib = 0;

    (void)snprintf(name, sizeof(name), "/proc/%d/smaps_rollup", (int)server);
    FILE *const file = fopen(name, "r");

    bench_require(file != NULL, name);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "Rss:", 4) == 0)
            kib = strtoul(line + 4, NULL, 10);
    (void)fclose(file);
    return (double)kib * 1024;
}

/* ---- connections ----------------------------------------------------------------------------- */

static int connect_one(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* Nothing is left of a connection that is closed: its port is for the next turn. */
    const struct linger at_once = {.l_onoff = 1};
    const int one = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bench_require(fd >= 0, "socket");
    bench_require(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
                      setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0,
                  "setsockopt");
    bench_require(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "connect");
    return fd;
}

/* How long an answer is: as long as the request, or what the head of the first one says. */
static uint32_t learn_answer(void)
{
    char answer[4096];
    size_t size = 0;
    const char *end = NULL;
    const int fd = connect_one();

    bench_require(send(fd, request, request_bytes, MSG_NOSIGNAL) == (ssize_t)request_bytes, "send");
    while (end == NULL && size < sizeof(answer) - 1) {
        const ssize_t got = recv(fd, answer + size, sizeof(answer) - 1 - size, 0);

        bench_require(got > 0, "recv");
        size += (size_t)got;
        answer[size] = '\0';
        if (request_bytes == ECHO_BYTES && size >= ECHO_BYTES)
            break;
        end = strstr(answer, "\r\n\r\n");
    }
    (void)close(fd);
    if (end == NULL)
        return ECHO_BYTES;
    const char *const length = strstr(answer, "Content-Length: ");

    bench_require(length != NULL, "no length in an answer");
    return (uint32_t)(end + 4 - answer) + (uint32_t)strtoul(length + 16, NULL, 10);
}

/* ---- the ring -------------------------------------------------------------------------------- */

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

static void begin_receive(uint32_t which)
{
    struct io_uring_sqe *const sqe = next_submission();

    io_uring_prep_recv_multishot(sqe, (int)which, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
    sqe->buf_group = 0;
    io_uring_sqe_set_data64(sqe, which);
}

static void begin_request(uint32_t which)
{
    struct io_uring_sqe *const sqe = next_submission();

    io_uring_prep_send(sqe, (int)which, request, request_bytes, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, which | SEND);
    clients[which].sent_ticks = vine__clock_ticks();
    clients[which].got = 0;
    clients[which].is_waiting = true;
}

/* On the connection whose turn it is, of those that wait for nothing. */
static void begin_next(void)
{
    static uint32_t turn;

    while (clients[turn].is_waiting)
        turn = turn + 1 < count ? turn + 1 : 0;
    begin_request(turn);
    turn = turn + 1 < count ? turn + 1 : 0;
}

static void give_back(uint32_t buffer)
{
    io_uring_buf_ring_add(buffers, bytes + (size_t)buffer * BUFFER_BYTES, BUFFER_BYTES,
                          (uint16_t)buffer, io_uring_buf_ring_mask(BUFFER_COUNT), 0);
    io_uring_buf_ring_advance(buffers, 1);
}

static void set_up(void)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = COMPLETION_DEPTH};
    struct io_uring_buf_reg registration = {.ring_entries = BUFFER_COUNT};

    bench_check(io_uring_queue_init_params(QUEUE_DEPTH, &ring, &parameters), "io_uring");
    (void)io_uring_register_ring_fd(&ring);
    bytes = aligned_alloc(4096, (size_t)BUFFER_COUNT * BUFFER_BYTES);
    buffers = aligned_alloc(4096, BUFFER_COUNT * sizeof(struct io_uring_buf));
    clients = calloc(count, sizeof(*clients));
    sockets = calloc(count, sizeof(*sockets));
    bench_require(bytes != NULL && buffers != NULL && clients != NULL && sockets != NULL, "memory");
    registration.ring_addr = (uint64_t)(uintptr_t)buffers;
    io_uring_buf_ring_init(buffers);
    bench_check(io_uring_register_buf_ring(&ring, &registration, 0), "buffers");
    for (uint32_t i = 0; i < BUFFER_COUNT; i++)
        give_back(i);
    memset(sockets, -1, count * sizeof(*sockets));
    bench_check(io_uring_register_files(&ring, sockets, count), "files");
}

static void connect_all(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        sockets[i] = connect_one();
        bench_require(io_uring_register_files_update(&ring, i, &sockets[i], 1) == 1, "files");
        begin_receive(i);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Returns whose answer is whole with it, or UINT32_MAX. */
static uint32_t take(const struct io_uring_cqe *cqe)
{
    const uint32_t which = (uint32_t)cqe->user_data;

    if (cqe->user_data >= SEND || (cqe->res <= 0 && cqe->res != -ENOBUFS)) {
        errno = -cqe->res;
        bench_require(false, cqe->user_data >= SEND ? "send" : "receive");
    }
    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0)
        give_back(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        begin_receive(which);
    clients[which].got += cqe->res > 0 ? (uint32_t)cqe->res : 0;
    return clients[which].got >= answer_bytes ? which : UINT32_MAX;
}

/* Take some answers. `goes_on`: each is followed by another request. */
static uint32_t turn(bool goes_on)
{
    struct io_uring_cqe *all[AT_ONCE];
    uint32_t done = 0;

    if (io_uring_sq_ready(&ring) != 0)
        (void)io_uring_submit_and_get_events(&ring);
    else if (io_uring_cq_ready(&ring) == 0 && (IO_URING_READ_ONCE(*ring.sq.kflags) &
                                               (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0)
        (void)io_uring_get_events(&ring);
    const uint32_t ready = io_uring_peek_batch_cqe(&ring, all, AT_ONCE);

    if (ready == 0)
        vine__cpu_relax();
    for (uint32_t i = 0; i < ready; i++) {
        const uint32_t which = take(all[i]);

        if (which == UINT32_MAX)
            continue;
        done++;
        clients[which].is_waiting = false;
        vine__histogram_record(
            &times, vine__clock_ticks_to_ns(vine__clock_ticks() - clients[which].sent_ticks));
        if (goes_on)
            begin_next();
    }
    io_uring_cq_advance(&ring, ready);
    answers += done;
    return done;
}

static void turn_for(uint64_t span_ns)
{
    const uint64_t end_ns = bench_now_ns() + span_ns;

    while (bench_now_ns() < end_ns)
        (void)turn(true);
}

static void measure(uint64_t span_ns, uint32_t requests)
{
    clockid_t clock;

    bench_require(clock_getcpuclockid(server, &clock) == 0, "clock_getcpuclockid");
    connect_all(0, count);
    for (uint32_t i = 0; i < requests; i++) {
        begin_next();
        if (i % AT_ONCE == 0)
            (void)turn(true);
    }
    turn_for(WARM_NS);
    memset(&times, 0, sizeof(times));
    answers = 0;
    const uint64_t server_ns = used_ns(clock);
    const uint64_t own_ns = used_ns(CLOCK_PROCESS_CPUTIME_ID);
    const uint64_t start_ns = bench_now_ns();

    turn_for(span_ns);
    const double spent_ns = (double)(bench_now_ns() - start_ns);

    printf("rate %.0f server_ns %.1f load_ns %.1f p50_us %.1f p99_us %.1f busy %.3f\n",
           (double)answers * 1e9 / spent_ns, (double)(used_ns(clock) - server_ns) / (double)answers,
           (double)(used_ns(CLOCK_PROCESS_CPUTIME_ID) - own_ns) / (double)answers,
           (double)vine__histogram_percentile(&times, 500000) / 1e3,
           (double)vine__histogram_percentile(&times, 990000) / 1e3,
           (double)(used_ns(clock) - server_ns) / spent_ns);
}

/* One after the other, so that the server has the buffers of one request in use. */
static void ask_each(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        begin_request(i);
        while (turn(false) == 0)
            ;
    }
}

static void weigh(void)
{
    const uint32_t first = count < FIRST_COUNT ? count / 2 : FIRST_COUNT;

    connect_all(0, first);
    for (uint32_t i = 0; i < 200; i++)
        ask_each(0, first);
    const double before = resident_bytes();

    connect_all(first, count);
    ask_each(first, count);
    const double after = resident_bytes();

    printf("each_bytes %.1f process_bytes %.0f\n", (after - before) / (count - first), after);
}

int main(int argument_count, char **arguments)
{
    bench_require(argument_count == 6 || argument_count == 7, "PORT COUNT KIND PID TIME");
    port = (uint32_t)strtoul(arguments[1], NULL, 10);
    count = (uint32_t)strtoul(arguments[2], NULL, 10);
    server = (pid_t)strtol(arguments[4], NULL, 10);
    bench_require(port != 0 && count != 0 && server != 0, "PORT COUNT KIND PID TIME");
    request = strcmp(arguments[3], "http") == 0 ? HTTP_REQUEST : calloc(1, ECHO_BYTES);
    request_bytes = request[0] == '\0' ? ECHO_BYTES : sizeof(HTTP_REQUEST) - 1;
    const uint32_t requests =
        argument_count == 7 ? (uint32_t)strtoul(arguments[6], NULL, 10) : count;

    bench_require(requests > 0 && requests <= count, "REQUESTS");
    bench_pin(1);
    vine__clock_calibrate();
    answer_bytes = learn_answer();
    set_up();
    if (strcmp(arguments[5], "idle") == 0)
        weigh();
    else
        measure(strtoull(arguments[5], NULL, 10) * 1000000ULL, requests);
    return 0;
}
