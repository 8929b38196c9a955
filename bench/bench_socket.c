/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our ring beside stream sockets, Unix and TCP over loopback, that are polled and never sleep.
 *
 *   bench_socket [ROUNDS]    7 without
 */
#include "carry.h"
#include "contests.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int unix_fds[2]; /* one for each side */
static int tcp_fds[2];

static void connect_unix(void)
{
    bench_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, unix_fds) == 0, "socketpair");
}

static void connect_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;

    bench_require(listener >= 0 &&
                      bind(listener, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
                      listen(listener, 1) == 0 &&
                      getsockname(listener, (struct sockaddr *)&address, &size) == 0,
                  "listen");
    tcp_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bench_require(connect(tcp_fds[0], (const struct sockaddr *)&address, sizeof(address)) == 0,
                  "connect");
    tcp_fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    bench_require(tcp_fds[1] >= 0, "accept");
    for (int n = 0; n < 2; n++)
        bench_require(setsockopt(tcp_fds[n], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0,
                      "TCP_NODELAY");
    (void)close(listener);
}

static void send_all(int fd, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        } else {
            bench_require(sent < 0 && errno == EAGAIN, "send");
            vine__cpu_relax();
        }
    }
}

static void receive_all(int fd, unsigned char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t received = recv(fd, bytes, size, MSG_DONTWAIT);

        if (received > 0) {
            bytes += received;
            size -= (size_t)received;
        } else {
            bench_require(received < 0 && errno == EAGAIN, "recv");
            vine__cpu_relax();
        }
    }
}

ROUND_TRIP(local, (send_all(unix_fds[duet->side], message, duet->bytes), true),
           (receive_all(unix_fds[duet->side], message, duet->bytes), true))
ROUND_TRIP(tcp, (send_all(tcp_fds[duet->side], message, duet->bytes), true),
           (receive_all(tcp_fds[duet->side], message, duet->bytes), true))

STREAM(local_1, 1, (send_all(unix_fds[0], messages, DUET_BYTES), 1),
       (receive_all(unix_fds[1], messages, DUET_BYTES), 1))
STREAM(local_32, CARRY_BATCH, (send_all(unix_fds[0], messages, sizeof(messages)), want),
       (receive_all(unix_fds[1], messages, sizeof(messages)), want))

static const struct carry_peer local = {"Unix socket", lead_local, follow_local, 5};
static const struct carry_peer tcp = {"TCP over loopback", lead_tcp, follow_tcp, 10};
static const struct duet_contest one =
    CONTEST("peer: Unix socket, one by one", local_1, 20000, DUET_MILLIONS, &carry_one_by_one, 0);
static const struct duet_contest many = CONTEST("peer: Unix socket, 32 at a time", local_32, 320000,
                                                DUET_MILLIONS, &carry_many_at_a_time, 0);

int main(int argc, char **argv)
{
    static const struct duet_contest *const streams[] = {&carry_one_by_one, &one,
                                                         &carry_many_at_a_time, &many, NULL};
    const int rounds = duet_rounds(argc, argv, 7);

    connect_unix();
    connect_tcp();
    carry_play(&local, rounds, carry_open);
    carry_play(&tcp, rounds, carry_open);
    duet_play("Unix socket: messages of 56 bytes", streams, rounds, carry_open);
    return 0;
}
