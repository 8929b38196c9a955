/* SPDX-License-Identifier: Apache-2.0 */
/* needs: libh2o-evloop */
/*
 * libh2o as a peer of bench_serve: its event loop with a handler that says hello, or with its own
 * handler of files. PROCESSES share the connections by SO_REUSEPORT, one of them being the first.
 * It serves until it is killed.
 *
 *     peer_serve_h2o PORT hello|file PROCESSES
 */
#define H2O_USE_LIBUV 0 /* the loop that is libh2o's own */

#include "bench.h"
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <h2o.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SILENT_MS  3600000 /* until a client is given up */
#define ACCEPT_MAX 64      /* at one go */

static h2o_globalconf_t configuration;
static h2o_context_t context;
static h2o_accept_ctx_t accepting;

static int say_hello(h2o_handler_t *self, h2o_req_t *request)
{
    static h2o_generator_t generator;
    h2o_iovec_t body = {H2O_STRLIT("hello")};

    (void)self;
    request->res.status = 200;
    request->res.reason = "OK";
    request->res.content_length = body.len;
    h2o_add_header(&request->pool, &request->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                   H2O_STRLIT("text/plain"));
    h2o_start_response(request, &generator);
    h2o_send(request, &body, 1, H2O_SEND_STATE_FINAL);
    return 0;
}

static void see_connections(h2o_socket_t *listener, const char *error)
{
    for (int i = 0; error == NULL && i < ACCEPT_MAX; i++) {
        h2o_socket_t *const socket = h2o_evloop_socket_accept(listener);

        if (socket == NULL)
            break;
        h2o_accept(&accepting, socket);
    }
}

static int begin_listening(uint32_t port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    bench_require(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
                      setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0 &&
                      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
                      bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
                      listen(fd, 4096) == 0,
                  "listen");
    return fd;
}

static void configure(const char *kind)
{
    h2o_config_init(&configuration);
    configuration.http1.req_timeout = SILENT_MS;
    h2o_hostconf_t *const host =
        h2o_config_register_host(&configuration, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *const path = h2o_config_register_path(host, "/", 0);

    if (strcmp(kind, "file") == 0)
        h2o_file_register(path, ".", NULL, NULL, 0);
    else
        h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = say_hello;
}

int main(int argument_count, char **arguments)
{
    bench_require(argument_count == 4, "PORT hello|file PROCESSES");
    (void)server_raise_descriptors();
    (void)signal(SIGPIPE, SIG_IGN);
    for (long i = strtol(arguments[3], NULL, 10); i > 1; i--)
        if (fork() == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            break;
        }
    configure(arguments[2]);
    h2o_context_init(&context, h2o_evloop_create(), &configuration);
    accepting.ctx = &context;
    accepting.hosts = configuration.hosts;
    const int fd = begin_listening((uint32_t)strtoul(arguments[1], NULL, 10));
    h2o_socket_t *const listener =
        h2o_evloop_socket_create(context.loop, fd, H2O_SOCKET_FLAG_DONT_READ);

    h2o_socket_read_start(listener, see_connections);
    while (h2o_evloop_run(context.loop, INT32_MAX) == 0 || errno == EINTR)
        ;
    return 1;
}
