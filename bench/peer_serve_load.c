/* SPDX-License-Identifier: Apache-2.0 */
/* needs: liburing */
/*
 * Load for the servers of bench_serve: CONNECTIONS that stay, each with DEPTH requests on their way
 * at all times, which go out together when the answers to the last ones are all there; by io_uring,
 * on the last processor, without ever sleeping. It leaves out what can be left out (descriptors are
 * registered, sends that succeed have no completion, large answers are not copied out of the
 * kernel), so that the server is what limits the rate.
 *
 *     peer_serve_load PORT PID CONNECTIONS DEPTH MILLISECONDS WHAT [calls] [visit=PATH]
 *
 * WHAT is "ping" or a path. It prints the rate, the processor time that the server (the process PID
 * and its descendants) and the load took of each request, and percentiles of the time until the
 * answers. `calls`: the system calls of the server for a request, whose counting takes its time.
 * `visit=PATH`: 1,000 other connections a second come meanwhile, ask for PATH, and go.
 */
#include "asking.h"
#include "bench.h"
#include "family.h"
#include "server.h"
#include "visits.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arch/clock/clock.h"
#include "arch/cpu/cpu.h"
#include "utils/histogram.h"

#define QUEUE_DEPTH      256
#define COMPLETION_DEPTH 32768
#define BUFFER_COUNT     2048 /* a power of two */
#define BUFFER_BYTES     4096
#define LARGE_BYTES      65536u     /* answers from here on are thrown away where they are */
#define LARGE_AT_ONCE    (1u << 20) /* of them */
#define DEPTH_MAX        64
#define AT_ONCE          64 /* completions that are taken before requests go out */
#define WARM_NS          200000000ULL
#define VISITS_EVERY_NS  1000000ULL
#define SEND             (1ULL << 32)

struct client {
    uint64_t sent_ticks;
    uint32_t got; /* bytes of the answers */
};

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static unsigned char *bytes;
static struct client *clients;
static struct asking asking;
static char *requests; /* `depth` of them */
static uint32_t count;
static uint32_t depth;
static uint32_t port;
static bool is_large;
static struct vine__histogram times;
static uint64_t answers;
static struct visits visits;

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

    io_uring_prep_recv_multishot(sqe, (int)which, NULL, 0, is_large ? MSG_TRUNC : 0);
    sqe->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
    sqe->buf_group = 0;
    io_uring_sqe_set_data64(sqe, which);
}

static void begin_requests(uint32_t which)
{
    struct io_uring_sqe *const sqe = next_submission();

    io_uring_prep_send(sqe, (int)which, requests, (size_t)depth * asking.request_bytes,
                       MSG_NOSIGNAL | MSG_WAITALL);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, which | SEND);
    clients[which].sent_ticks = vine__clock_ticks();
    clients[which].got = 0;
}

/* Where nothing is copied all buffers may be the same memory. */
static void give_back(uint32_t buffer)
{
    io_uring_buf_ring_add(buffers, bytes + (is_large ? 0 : (size_t)buffer * BUFFER_BYTES),
                          is_large ? LARGE_AT_ONCE : BUFFER_BYTES, (uint16_t)buffer,
                          io_uring_buf_ring_mask(BUFFER_COUNT), 0);
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
    requests = calloc(depth, asking.request_bytes);
    bench_require(bytes != NULL && buffers != NULL && clients != NULL && requests != NULL,
                  "memory");
    for (uint32_t i = 0; i < depth; i++)
        memcpy(requests + (size_t)i * asking.request_bytes, asking.request, asking.request_bytes);
    registration.ring_addr = (uint64_t)(uintptr_t)buffers;
    io_uring_buf_ring_init(buffers);
    bench_check(io_uring_register_buf_ring(&ring, &registration, 0), "buffers");
    for (uint32_t i = 0; i < BUFFER_COUNT; i++)
        give_back(i);
}

static void connect_all(void)
{
    int *const sockets = calloc(count, sizeof(*sockets));

    bench_require(sockets != NULL, "memory");
    for (uint32_t i = 0; i < count; i++)
        sockets[i] = asking_connect(port, 1);
    bench_check(io_uring_register_files(&ring, sockets, count), "files");
    for (uint32_t i = 0; i < count; i++)
        begin_receive(i);
    free(sockets);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Returns whose answers are whole with it, or UINT32_MAX. */
static uint32_t take(const struct io_uring_cqe *cqe)
{
    const uint32_t which = (uint32_t)cqe->user_data;
    const uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    if (cqe->user_data >= SEND || (cqe->res <= 0 && cqe->res != -ENOBUFS)) {
        errno = -cqe->res;
        bench_require(false, cqe->user_data >= SEND ? "send" : "receive");
    }
    struct client *const client = &clients[which];

    if (!is_large && client->got == 0 && cqe->res >= ASKING_BEGIN_BYTES)
        bench_require(
            memcmp(bytes + (size_t)buffer * BUFFER_BYTES, asking.begin, ASKING_BEGIN_BYTES) == 0,
            "an answer unlike the first one");
    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0)
        give_back(buffer);
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        begin_receive(which);
    client->got += cqe->res > 0 ? (uint32_t)cqe->res : 0;
    bench_require(client->got <= depth * asking.answer_bytes, "answers longer than the first one");
    return client->got == depth * asking.answer_bytes ? which : UINT32_MAX;
}

static void turn(void)
{
    struct io_uring_cqe *all[AT_ONCE];

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
        answers += depth;
        vine__histogram_record(
            &times, vine__clock_ticks_to_ns(vine__clock_ticks() - clients[which].sent_ticks));
        begin_requests(which);
    }
    io_uring_cq_advance(&ring, ready);
}

static void turn_for(uint64_t span_ns)
{
    const uint64_t end_ns = bench_now_ns() + span_ns;
    uint64_t now_ns;

    while ((now_ns = bench_now_ns()) < end_ns) {
        turn();
        visits_turn(&visits, now_ns);
    }
}

/* ---- the program ----------------------------------------------------------------------------- */

static uint64_t own_ns(void)
{
    struct timespec used = {0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000ULL + (uint64_t)used.tv_nsec;
}

static void measure(const struct family *family, uint64_t span_ns, bool counts_calls)
{
    struct family_calls calls = {.count = 0};

    connect_all();
    for (uint32_t i = 0; i < count; i++) {
        begin_requests(i);
        if (i % AT_ONCE == 0)
            turn();
    }
    turn_for(WARM_NS);
    memset(&times, 0, sizeof(times));
    answers = 0;
    visits.begun = visits.good = visits.failed = visits.dropped = 0;
    const bool are_calls = counts_calls && family_calls_open(&calls, family);
    const uint64_t server_ns = family_used_ns(family);
    const uint64_t load_ns = own_ns();
    const uint64_t start_ns = bench_now_ns();

    turn_for(span_ns);
    const double spent_ns = (double)(bench_now_ns() - start_ns);
    const double server_spent_ns = (double)(family_used_ns(family) - server_ns);

    printf("rate %.0f server_ns %.1f load_ns %.1f p50_us %.1f p99_us %.1f busy %.3f calls %.4f "
           "visits %llu good %llu failed %llu dropped %llu\n",
           (double)answers * 1e9 / spent_ns, server_spent_ns / (double)answers,
           (double)(own_ns() - load_ns) / (double)answers,
           (double)vine__histogram_percentile(&times, 500000) / 1e3,
           (double)vine__histogram_percentile(&times, 990000) / 1e3, server_spent_ns / spent_ns,
           are_calls ? (double)family_calls_read(&calls) / (double)answers : -1,
           (unsigned long long)visits.begun, (unsigned long long)visits.good,
           (unsigned long long)visits.failed, (unsigned long long)visits.dropped);
}

int main(int argument_count, char **arguments)
{
    struct family family;
    bool counts_calls = false;

    bench_require(argument_count >= 7, "PORT PID CONNECTIONS DEPTH MILLISECONDS WHAT");
    port = (uint32_t)strtoul(arguments[1], NULL, 10);
    count = (uint32_t)strtoul(arguments[3], NULL, 10);
    depth = (uint32_t)strtoul(arguments[4], NULL, 10);
    bench_require(port != 0 && count != 0 && depth != 0 && depth <= DEPTH_MAX, "the arguments");
    asking_set(&asking, arguments[6]);
    for (int i = 7; i < argument_count; i++) {
        if (strncmp(arguments[i], "visit=", 6) == 0) {
            asking_set(&visits.asking, arguments[i] + 6);
            visits.port = port;
            visits.every_ns = VISITS_EVERY_NS;
            visits.next_ns = bench_now_ns();
        }
        counts_calls |= strcmp(arguments[i], "calls") == 0;
    }
    (void)server_raise_descriptors();
    bench_pin(1);
    vine__clock_calibrate();
    asking_learn(&asking, port);
    is_large = asking.answer_bytes >= LARGE_BYTES;
    set_up();
    family_find(&family, (pid_t)strtol(arguments[2], NULL, 10));
    measure(&family, strtoull(arguments[5], NULL, 10) * 1000000ULL, counts_calls);
    return 0;
}
