/* SPDX-License-Identifier: Apache-2.0 */
#include "asking.h"

#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* A value of 64 bytes. */
#define SET                                                                                        \
    "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$64\r\n"                                        \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n"

static const struct {
    const char *what, *request, *before;
} commands[] = {
    {"ping", "*1\r\n$4\r\nPING\r\n", NULL},
    {"set", SET, NULL},
    {"get", "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n", SET},
    /* Who numbers lines answers the first one, and waits for the end of the second. */
    {"line", "a whole line\r\nand a ha", NULL},
};

void asking_set(struct asking *asking, const char *what)
{
    int size = 0;

    asking->before = NULL;
    for (size_t n = 0; n < sizeof(commands) / sizeof(commands[0]); n++)
        if (strcmp(what, commands[n].what) == 0) {
            asking->before = commands[n].before;
            size = snprintf(asking->request, sizeof(asking->request), "%s", commands[n].request);
        }
    if (size == 0)
        size = snprintf(asking->request, sizeof(asking->request),
                        "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", what);
    bench_require(size > 0 && size < (int)sizeof(asking->request), "the request");
    asking->request_bytes = (uint32_t)size;
}

int asking_connect(uint32_t port, uint32_t address)
{
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + address)};
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* Nothing is left of a connection that is closed: its port is for the next turn. */
    const struct linger at_once = {.l_onoff = 1};
    const int one = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bench_require(fd >= 0, "socket");
    bench_require(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
                      setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0 &&
                      setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) == 0,
                  "setsockopt");
    bench_require(bind(fd, (const struct sockaddr *)&from, sizeof(from)) == 0, "bind");
    bench_require(connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0, "connect");
    return fd;
}

/* The whole length of the answer whose first `size` bytes these are; 0: they do not say yet. */
static uint32_t length_of(const char *answer)
{
    const char *const end = strstr(answer, answer[0] == 'H' ? "\r\n\r\n" : "\r\n");

    if (end == NULL)
        return 0;
    if (answer[0] == '$')
        return (uint32_t)(end + 4 - answer) + (uint32_t)strtoul(answer + 1, NULL, 10);
    if (answer[0] != 'H')
        return (uint32_t)(end + 2 - answer);
    const char *const length = strcasestr(answer, "\r\nContent-Length: ");

    bench_require(strncmp(answer, "HTTP/1.1 200 ", 13) == 0, "an answer that is not 200");
    bench_require(length != NULL && length < end, "no length in an answer");
    return (uint32_t)(end + 4 - answer) +
           (uint32_t)strtoul(length + sizeof("\r\nContent-Length: ") - 1, NULL, 10);
}

/* Read until `bytes` are there. */
static void read_rest(int fd, uint32_t got, uint32_t bytes)
{
    static char rest[65536];

    while (got < bytes) {
        const ssize_t more = recv(fd, rest, sizeof(rest), 0);

        bench_require(more > 0, "an answer that ends early");
        got += (uint32_t)more;
    }
    bench_require(got == bytes, "an answer that is too long");
}

void asking_learn(struct asking *asking, uint32_t port)
{
    char answer[4096];
    uint32_t size = 0;
    const int fd = asking_connect(port, 1);

    asking->answer_bytes = 0;
    if (asking->before != NULL) {
        bench_require(send(fd, asking->before, strlen(asking->before), MSG_NOSIGNAL) ==
                          (ssize_t)strlen(asking->before),
                      "send");
        bench_require(recv(fd, answer, 5, MSG_WAITALL) == 5 && memcmp(answer, "+OK\r\n", 5) == 0,
                      "what is asked before");
    }
    bench_require(send(fd, asking->request, asking->request_bytes, MSG_NOSIGNAL) ==
                      (ssize_t)asking->request_bytes,
                  "send");
    while (asking->answer_bytes == 0 && size < sizeof(answer) - 1) {
        const ssize_t got = recv(fd, answer + size, sizeof(answer) - 1 - size, 0);

        bench_require(got > 0, "no answer");
        size += (uint32_t)got;
        answer[size] = '\0';
        asking->answer_bytes = length_of(answer);
    }
    bench_require(asking->answer_bytes >= ASKING_BEGIN_BYTES, "an answer without an end");
    memcpy(asking->begin, answer, ASKING_BEGIN_BYTES);
    read_rest(fd, size, asking->answer_bytes);
    (void)close(fd);
}

void asking_once(const struct asking *asking, int fd)
{
    bench_require(send(fd, asking->request, asking->request_bytes, MSG_NOSIGNAL) ==
                      (ssize_t)asking->request_bytes,
                  "send");
    read_rest(fd, 0, asking->answer_bytes);
}
