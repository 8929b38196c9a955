/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime long=600 */
/*
 * An echo server on two real threads, and as many clients as there are descriptors for (500, and
 * 10,000 in the long form) in a process of their own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <vine/network.h>

#include "core/reactor/reactor.h"
#include "utils/atomic.h"
#include "utils/container_of.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CORES 2

static struct vine__mesh *mesh;
static uint64_t echoed[CORES], served[CORES]; /* each core's own */
static uint64_t closed_all;                   /* atomic */
static uint32_t client_count;
static struct vine_listener *listener;
static struct vine_work listener_closed;
static int port_pipe[2];

/* ---- the server ------------------------------------------------------------------------------ */

struct client {
    struct vine_connection *connection;
    struct vine_receive receive;
    struct vine_send send;
    struct vine_work closed;
};

static void send_back(struct vine_receive *receive);

static void stop(struct vine_work *work)
{
    (void)work;
    vine_stop(0);
}

static int64_t close_listener_here(void *nothing)
{
    (void)nothing;
    vine_work_init(&listener_closed, stop);
    vine_listener_close(listener, &listener_closed);
    return 0;
}

static void see_closed(struct vine_work *work)
{
    free(VINE_CONTAINER_OF(work, struct client, closed));
    if (vine__fetch_add_relaxed_u64(&closed_all, 1) + 1 == client_count)
        assert_int_equal(vine_submit_to(0, close_listener_here, NULL), 0);
}

static void close_client(struct client *client)
{
    vine_work_init(&client->closed, see_closed);
    vine_connection_close(client->connection, &client->closed);
}

static void see_sent(struct vine_send *send)
{
    struct client *const client = VINE_CONTAINER_OF(send, struct client, send);

    if (send->error != 0) {
        close_client(client);
        return;
    }
    echoed[vine_core()] += send->sent;
    vine_receive(client->connection, &client->receive, send_back);
}

static void send_back(struct vine_receive *receive)
{
    struct client *const client = VINE_CONTAINER_OF(receive, struct client, receive);

    if (receive->size <= 0)
        close_client(client);
    else
        vine_send(client->connection, &client->send, receive->bytes, (size_t)receive->size,
                  see_sent);
}

static void welcome(struct vine_connection *connection, void *context)
{
    struct client *const client = calloc(1, sizeof(*client));

    assert_ptr_equal(context, &mesh);
    assert_non_null(client);
    served[vine_core()]++;
    client->connection = connection;
    vine_receive(connection, &client->receive, send_back);
}

static int64_t begin(void *balance)
{
    const struct vine_listen_options options = {.size_bytes = sizeof(options),
                                                .balance = (uint8_t)(uintptr_t)balance};
    struct vine_address address;

    assert_int_equal(vine_address_parse("127.0.0.1:0", &address), 0);
    assert_int_equal(vine_listen(&address, &options, welcome, &mesh, &listener), 0);
    address = *vine_listener_address(listener);
    assert_int_equal(write(port_pipe[1], &address.ip4, sizeof(address.ip4)), sizeof(address.ip4));
    return 0;
}

struct thread {
    pthread_t thread;
    uint32_t core;
    uint8_t balance;
    pthread_barrier_t *barrier;
};

static void *run(void *argument)
{
    const struct thread *const thread = argument;
    struct vine__reactor *reactor;
    struct vine__poller *poller;

    assert_int_equal(vine__poller_create(&poller, NULL), 0);
    assert_int_equal(vine__reactor_create(&reactor, mesh, thread->core, poller), 0);
    (void)pthread_barrier_wait(thread->barrier);
    if (thread->core == 0) {
        struct vine__reactor *const before = vine__reactor_enter(reactor);

        assert_int_equal(vine_submit_to(0, begin, (void *)(uintptr_t)thread->balance), 0);
        (void)vine__reactor_enter(before);
    }
    vine__reactor_run(reactor);
    (void)pthread_barrier_wait(thread->barrier);
    vine__reactor_destroy(reactor);
    return NULL;
}

/* ---- the clients ----------------------------------------------------------------------------- */

/* All connect; all send, and then all get what they sent, a few times. Returns an exit code. */
static int be_clients(uint32_t count)
{
    struct sockaddr_in address;
    int *const fds = calloc(count, sizeof(*fds));
    char back[24];

    if (read(port_pipe[0], &address, sizeof(address)) != sizeof(address))
        return 10;
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&address, sizeof(address)) != 0)
            return 11;
    }
    for (int round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < count; i++) {
            char text[32] = "";

            (void)snprintf(text, sizeof(text), "%u in %d", i, round);
            if (send(fds[i], text, sizeof(back), MSG_NOSIGNAL) != sizeof(back))
                return 12;
        }
        for (uint32_t i = 0; i < count; i++) {
            char text[32] = "";

            (void)snprintf(text, sizeof(text), "%u in %d", i, round);
            if (recv(fds[i], back, sizeof(back), MSG_WAITALL) != sizeof(back) ||
                memcmp(back, text, sizeof(back)) != 0)
                return 13;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        close(fds[i]);
    free(fds);
    return 0;
}

static void serve(uint8_t balance)
{
    const struct vine__mesh_options options = {.core_count = CORES};
    struct thread threads[CORES];
    pthread_barrier_t barrier;
    int status;

    memset(echoed, 0, sizeof(echoed));
    memset(served, 0, sizeof(served));
    closed_all = 0;
    assert_int_equal(pipe(port_pipe), 0);
    const pid_t clients = fork();

    if (clients == 0)
        _exit(be_clients(client_count));
    assert_int_equal(vine__mesh_create(&mesh, &options), 0);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, CORES), 0);
    for (uint32_t core = 0; core < CORES; core++) {
        threads[core] = (struct thread){.core = core, .balance = balance, .barrier = &barrier};
        assert_int_equal(pthread_create(&threads[core].thread, NULL, run, &threads[core]), 0);
    }
    for (uint32_t core = 0; core < CORES; core++)
        assert_int_equal(pthread_join(threads[core].thread, NULL), 0);
    assert_int_equal(waitpid(clients, &status, 0), clients);
    assert_int_equal(status, 0);
    assert_false(vine__mesh_was_cut_short(mesh));
    vine__mesh_destroy(mesh);
    assert_int_equal(pthread_barrier_destroy(&barrier), 0);
    close(port_pipe[0]);
    close(port_pipe[1]);
    assert_int_equal(served[0] + served[1], client_count);
    assert_int_equal(echoed[0] + echoed[1], (uint64_t)client_count * 4 * 24);
}

static void two_cores_echo_to_all_clients_of_a_shared_port(void **state)
{
    (void)state;
    serve(VINE_BALANCE_REUSE_PORT);
    assert_true(served[0] > 0 && served[1] > 0);
}

static void two_cores_echo_to_clients_that_are_distributed(void **state)
{
    (void)state;
    serve(VINE_BALANCE_DISTRIBUTE);
    /* Some may have ended before others came. */
    assert_true(served[0] > client_count / 4 && served[1] > client_count / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_cores_echo_to_all_clients_of_a_shared_port),
        cmocka_unit_test(two_cores_echo_to_clients_that_are_distributed),
    };
    const uint32_t wanted = getenv("VINE_TEST_LONG") != NULL ? 10000 : 500;
    struct rlimit limit;

    client_count = wanted;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < wanted + 64 || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        printf("skipped: %u clients want as many descriptors, and the limit is %llu\n", wanted,
               (unsigned long long)limit.rlim_max);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
