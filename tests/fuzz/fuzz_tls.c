/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime links=libcrypto */
/*
 * Records of a TLS peer that is no friend. The first byte says whether ours is the server or the
 * client, and into which pieces the rest is cut, which is all that the peer says before it ends.
 * The session is refused, ends, or (a peer that has a key of its own may) begins; it is told once,
 * and nothing of it is left.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <vine/network.h>
#include <vine/tls.h>

#include "core/network/network.h"
#include "core/reactor/reactor.h"
#include "unit/core/network/certificates.h"
#include "utils/assert.h"
#include "utils/container_of.h"

#define TURNS_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static struct vine__mesh *mesh;
static struct vine__reactor *reactor;
static struct vine_tls *server, *client;
static struct authority authority;
static struct leaf leaf;
static struct vine_address address;
static int listening;

static void close_all(void)
{
    vine_tls_destroy(server);
    vine_tls_destroy(client);
    (void)vine__reactor_enter(NULL);
    vine__reactor_destroy(reactor);
    vine__mesh_destroy(mesh);
    drop_authority(&authority);
    (void)close(listening);
}

static void open_reactor(void)
{
    const struct vine__mesh_options mesh_options = {.core_count = 1};
    const struct vine__poller_options poller_options = {.backend = VINE__POLL_BACKEND_EPOLL};
    struct vine__poller *poller;

    VINE_ASSERT(vine__mesh_create(&mesh, &mesh_options) == 0);
    VINE_ASSERT(vine__poller_create(&poller, &poller_options) == 0);
    VINE_ASSERT(vine__reactor_create(&reactor, mesh, 0, poller) == 0);
    (void)vine__reactor_enter(reactor);
}

static void open_all(void)
{
    struct vine_tls_options options = {.size_bytes = sizeof(options), .is_server = true};
    char name[64];

    make_authority(&authority, "authority");
    make_leaf(&authority, "DNS:server.test", &leaf);
    open_reactor();
    options.certificate = leaf.certificate;
    options.key = leaf.key;
    options.protocols = (const char *const[]){"h2", "http/1.1", NULL};
    VINE_ASSERT(vine_tls_create(&options, &server) == 0);
    options = (struct vine_tls_options){.size_bytes = sizeof(options), .is_unverified = true};
    VINE_ASSERT(vine_tls_create(&options, &client) == 0);
    (void)snprintf(name, sizeof(name), "unix:@vine-fuzz-tls-%d", (int)getpid());
    VINE_ASSERT(vine_address_parse(name, &address) == 0);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    VINE_ASSERT(listening >= 0 && bind(listening, &address.any, address.size_bytes) == 0);
    VINE_ASSERT(listen(listening, 4) == 0);
    (void)atexit(close_all);
}

/* ---- one session ----------------------------------------------------------------------------- */

struct session {
    struct vine_connect connect;
    struct vine_tls_start start;
    struct vine_receive receive;
    struct vine_work closed;
    uint32_t connects, starts, receives, closes;
    int64_t received;
};

static void on_connect(struct vine_connect *connect)
{
    VINE_CONTAINER_OF(connect, struct session, connect)->connects++;
}

static void on_start(struct vine_tls_start *start)
{
    VINE_CONTAINER_OF(start, struct session, start)->starts++;
}

static void on_receive(struct vine_receive *receive)
{
    struct session *const session = VINE_CONTAINER_OF(receive, struct session, receive);

    session->receives++;
    session->received = receive->size;
}

static void on_close(struct vine_work *work)
{
    VINE_CONTAINER_OF(work, struct session, closed)->closes++;
}

#define STEP_UNTIL(condition)                                                                      \
    for (uint32_t turn = 0; !(condition); turn++) {                                                \
        (void)vine__reactor_step(reactor);                                                         \
        VINE_ASSERT(turn < TURNS_MAX);                                                             \
    }

static void say(int fd, const uint8_t *bytes, size_t size, size_t piece)
{
    unsigned char heard[4096];

    while (size > 0) {
        const size_t part = size < piece ? size : piece;
        const ssize_t sent = send(fd, bytes, part, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent <= 0)
            break; /* it has hung up */
        bytes += sent;
        size -= (size_t)sent;
        for (uint32_t turn = 0; turn < 4; turn++)
            (void)vine__reactor_step(reactor);
        while (recv(fd, heard, sizeof(heard), MSG_DONTWAIT) > 0)
            continue;
    }
    (void)shutdown(fd, SHUT_WR);
}

static void meet(struct session *session, const uint8_t *bytes, size_t size, bool is_server,
                 size_t piece)
{
    int fd;

    vine_connect(&session->connect, &address, on_connect);
    STEP_UNTIL(session->connects == 1);
    VINE_ASSERT(session->connect.error == 0);
    fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    VINE_ASSERT(fd >= 0);
    if (is_server)
        vine_tls_accept(server, &session->start, session->connect.connection, on_start);
    else
        vine_tls_connect(client, &session->start, session->connect.connection, "server.test",
                         on_start);
    say(fd, bytes, size, piece);
    STEP_UNTIL(session->starts == 1);
    VINE_ASSERT((session->start.error == 0) == (session->start.connection != NULL));
    while (session->start.error == 0 && session->receives < 1000 && session->received >= 0) {
        const uint32_t before = session->receives;

        vine_receive(session->start.connection, &session->receive, on_receive);
        STEP_UNTIL(session->receives == before + 1);
        if (session->received == 0)
            break;
    }
    if (session->start.error == 0) {
        vine_work_init(&session->closed, on_close);
        vine_connection_close(session->start.connection, &session->closed);
        STEP_UNTIL(session->closes == 1);
    }
    (void)close(fd);
    for (uint32_t turn = 0; turn < 50; turn++)
        (void)vine__reactor_step(reactor);
    VINE_ASSERT(session->starts == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct session *session;

    if (mesh == NULL)
        open_all();
    if (size_bytes == 0 || size_bytes > 65536)
        return 0;
    session = calloc(1, sizeof(*session));
    VINE_ASSERT(session != NULL);
    meet(session, bytes + 1, size_bytes - 1, bytes[0] % 2 == 0, (size_t)1 << (bytes[0] / 2 % 16));
    free(session);
    return 0;
}
