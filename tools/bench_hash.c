/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_hash.c - SHA-256 of 4 KiB: here, by an appliance, and by processes behind a Unix and a TCP
 * socket that do the same hash. One at a time, and many in flight.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "human.h"
#include "local.h"
#include "processors.h"

#define P50 500000
#define P99 990000

#define DIGEST_BYTES 32

/* Requests under way on a socket: they and their answers fit its buffers, so nobody waits for the
 * other to read. */
#define SOCKET_IN_FLIGHT 32

/* ---- the other end of a socket --------------------------------------------------------------- */

static bool move(int fd, void *bytes, size_t size, bool writes)
{
    size_t done = 0;

    while (done < size) {
        const ssize_t moved = writes ? send(fd, (char *)bytes + done, size - done, MSG_NOSIGNAL)
                                     : recv(fd, (char *)bytes + done, size - done, 0);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return false;
        done += (size_t)moved;
    }
    return true;
}

static void serve_hashes(int fd)
{
    struct local_sum *sum = local_sum_create("sha256");
    unsigned char request[BENCH_HASH_BYTES], digest[LOCAL_SUM_MAX];

    while (sum != NULL && move(fd, request, sizeof(request), false)) {
        local_sum_reset(sum);
        local_sum_add(sum, request, sizeof(request));
        local_sum_final(sum, digest);
        if (!move(fd, digest, DIGEST_BYTES, true))
            break;
    }
    local_sum_destroy(sum);
}

static int start_server(struct bench_server *server, int fd, int other_fd, bool is_listening)
{
    const pid_t parent = getpid();

    server->pid = fork();
    if (server->pid < 0) {
        server->pid = 0;
        return -errno;
    }
    if (server->pid > 0)
        return 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    processors_keep_to(PROCESSORS_OTHERS);
    if (getppid() != parent)
        _exit(1);
    if (other_fd >= 0)
        close(other_fd);
    const int accepted = is_listening ? accept(fd, NULL, NULL) : fd;
    const int one = 1;
    if (is_listening)
        setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    serve_hashes(accepted);
    _exit(0);
}

static int start_unix(struct bench_server *server)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    const int error = start_server(server, ends[1], ends[0], false);
    close(ends[1]);
    server->fd = ends[0];
    return error;
}

static int start_tcp(struct bench_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int one = 1;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = 0;

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        error = -errno;
    if (error == 0)
        error = start_server(server, listener, -1, true);
    if (error == 0) {
        server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (server->fd < 0 || connect(server->fd, (struct sockaddr *)&address, size) < 0)
            error = -errno;
        else
            setsockopt(server->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    if (listener >= 0)
        close(listener);
    return error;
}

int bench_start_servers(struct bench *bench)
{
    const int error = start_unix(&bench->unix_server);

    return error < 0 ? error : start_tcp(&bench->tcp_server);
}

static void stop_server(struct bench_server *server)
{
    if (server->fd > 0)
        close(server->fd);
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    *server = (struct bench_server){0};
}

void bench_stop_servers(struct bench *bench)
{
    stop_server(&bench->unix_server);
    stop_server(&bench->tcp_server);
}

/* ---- one at a time --------------------------------------------------------------------------- */

typedef int (*hash_fn)(struct bench *bench, void *context, unsigned char *ret_digest);

static int time_hashes(struct bench *bench, hash_fn hash, void *context, uint64_t budget_ns,
                       struct bench_sample *ret_sample)
{
    struct times *times = bench->times;
    unsigned char digest[LOCAL_SUM_MAX];
    const uint64_t begin = human_now_ns();
    uint64_t before = begin, now;

    do {
        const int error = hash(bench, context, digest);
        if (error < 0)
            return error;
        now = human_now_ns();
        times_record(times, now - before);
        before = now;
    } while (now - begin < budget_ns);
    ret_sample->value = (double)times_percentile(times, P50);
    ret_sample->p99 = (double)times_percentile(times, P99);
    return 0;
}

static int hash_here(struct bench *bench, void *context, unsigned char *ret_digest)
{
    struct local_sum *sum = context;

    local_sum_reset(sum);
    local_sum_add(sum, bench->bytes, BENCH_HASH_BYTES);
    local_sum_final(sum, ret_digest);
    return 0;
}

/* The bytes are copied into the pipe's memory, as they are into a socket. */
static int hash_vine(struct bench *bench, void *context, unsigned char *ret_digest)
{
    struct vine_data *data = context;
    size_t size = DIGEST_BYTES;
    const struct vine_task_options options = {
        .size_bytes = sizeof(options), .inputs = &data, .input_count = 1};

    const int error = vine_data_write(data, 0, bench->bytes, BENCH_HASH_BYTES);
    if (error < 0)
        return error;
    return vine_task_run(bench->pipe, bench->sha256, &options, VINE_NS_PER_SECOND, ret_digest,
                         &size);
}

static int hash_socket(struct bench *bench, void *context, unsigned char *ret_digest)
{
    const struct bench_server *server = context;

    return move(server->fd, bench->bytes, BENCH_HASH_BYTES, true) &&
                   move(server->fd, ret_digest, DIGEST_BYTES, false)
               ? 0
               : -EPIPE;
}

int bench_hash_here(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    struct local_sum *sum = local_sum_create("sha256");
    const int error =
        sum != NULL ? time_hashes(bench, hash_here, sum, budget_ns, ret_sample) : -ENOMEM;

    local_sum_destroy(sum);
    return error;
}

int bench_hash_vine(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    struct vine_data *data;
    int error = vine_data_create(bench->pipe, VINE_TYPE_BYTES, BENCH_HASH_BYTES, &data);

    if (error < 0)
        return error;
    error = time_hashes(bench, hash_vine, data, budget_ns, ret_sample);
    vine_data_free(data);
    return error;
}

int bench_hash_unix(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    return time_hashes(bench, hash_socket, &bench->unix_server, budget_ns, ret_sample);
}

int bench_hash_tcp(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    return time_hashes(bench, hash_socket, &bench->tcp_server, budget_ns, ret_sample);
}

/* ---- many in flight -------------------------------------------------------------------------- */

int bench_hash_here_rate(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    struct local_sum *sum = local_sum_create("sha256");
    unsigned char digest[LOCAL_SUM_MAX];
    const uint64_t begin = human_now_ns();
    uint64_t count = 0, now;

    if (sum == NULL)
        return -ENOMEM;
    /* By the clock on the wall, as the others: what else the processor does counts here too. */
    do {
        for (unsigned i = 0; i < BENCH_IN_FLIGHT; i++, count++)
            (void)!hash_here(bench, sum, digest);
        now = human_now_ns();
    } while (now - begin < budget_ns);
    local_sum_destroy(sum);
    ret_sample->value = (double)count * 1e9 / (double)(now - begin);
    return 0;
}

static int rate_vine(struct bench *bench, struct vine_data **datas, uint64_t budget_ns,
                     struct bench_sample *ret_sample)
{
    struct vine_task *tasks[BENCH_IN_FLIGHT] = {NULL};
    const uint64_t begin = human_now_ns();
    uint64_t count = 0, now;
    int error = 0;

    do {
        for (unsigned i = 0; i < BENCH_IN_FLIGHT && error == 0; i++) {
            const struct vine_task_options options = {.size_bytes = sizeof(options),
                                                      .accelerator = bench->parallel,
                                                      .inputs = &datas[i],
                                                      .input_count = 1};
            if (tasks[i] != NULL) {
                error = vine_task_wait(tasks[i], VINE_NS_PER_SECOND);
                vine_task_free(tasks[i]);
                tasks[i] = NULL;
                count++;
            }
            if (error == 0)
                error = vine_data_write(datas[i], 0, bench->bytes, BENCH_HASH_BYTES);
            if (error == 0)
                error = vine_task_issue(bench->pipe, bench->sha256, &options, &tasks[i]);
        }
        now = human_now_ns();
    } while (error == 0 && now - begin < budget_ns);
    for (unsigned i = 0; i < BENCH_IN_FLIGHT; i++) {
        if (tasks[i] != NULL && error == 0)
            error = vine_task_wait(tasks[i], VINE_NS_PER_SECOND);
        vine_task_free(tasks[i]);
    }
    ret_sample->value = (double)count * 1e9 / (double)(now - begin);
    return error;
}

int bench_hash_vine_rate(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    struct vine_data *datas[BENCH_IN_FLIGHT] = {NULL};
    int error = 0;

    for (unsigned i = 0; i < BENCH_IN_FLIGHT && error == 0; i++)
        error = vine_data_create(bench->pipe, VINE_TYPE_BYTES, BENCH_HASH_BYTES, &datas[i]);
    if (error == 0)
        error = rate_vine(bench, datas, budget_ns, ret_sample);
    for (unsigned i = 0; i < BENCH_IN_FLIGHT; i++)
        vine_data_free(datas[i]);
    return error;
}

static int rate_socket(struct bench *bench, const struct bench_server *server, uint64_t budget_ns,
                       struct bench_sample *ret_sample)
{
    unsigned char digest[DIGEST_BYTES];
    unsigned in_flight = 0;
    const uint64_t begin = human_now_ns();
    uint64_t count = 0, now;

    do {
        for (; in_flight < SOCKET_IN_FLIGHT; in_flight++)
            if (!move(server->fd, bench->bytes, BENCH_HASH_BYTES, true))
                return -EPIPE;
        /* A half at once, so that requests go out in batches. */
        for (; in_flight > SOCKET_IN_FLIGHT / 2; in_flight--, count++)
            if (!move(server->fd, digest, sizeof(digest), false))
                return -EPIPE;
        now = human_now_ns();
    } while (now - begin < budget_ns);
    for (; in_flight > 0; in_flight--)
        if (!move(server->fd, digest, sizeof(digest), false))
            return -EPIPE;
    ret_sample->value = (double)count * 1e9 / (double)(now - begin);
    return 0;
}

int bench_hash_unix_rate(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    return rate_socket(bench, &bench->unix_server, budget_ns, ret_sample);
}

int bench_hash_tcp_rate(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    return rate_socket(bench, &bench->tcp_server, budget_ns, ret_sample);
}
