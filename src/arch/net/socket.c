/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

static int keep_alive(int fd, uint32_t after_s)
{
    /* A peer is given up after half that time again. */
    const int every_s = after_s >= 10 ? (int)(after_s / 10) : 1;
    int error = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);

    if (error == 0)
        error = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)after_s);
    if (error == 0)
        error = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, every_s);
    return error != 0 ? error : set(fd, IPPROTO_TCP, TCP_KEEPCNT, 5);
}

static int set_up(int fd, int family, int type, const struct vine__socket_options *options)
{
    const bool is_tcp = family != AF_UNIX && type == SOCK_STREAM;
    int error = 0;

    if (options->receive_bytes > INT32_MAX || options->send_bytes > INT32_MAX)
        return -EINVAL;
    if (is_tcp && !options->gathers_small_writes)
        error = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (error == 0 && is_tcp && options->keepalive_s != 0)
        error = keep_alive(fd, options->keepalive_s);
    if (error == 0 && family == AF_INET6)
        error = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->is_ip6_only ? 1 : 0);
    if (error == 0 && options->receive_bytes != 0)
        error = set(fd, SOL_SOCKET, SO_RCVBUF, (int)options->receive_bytes);
    if (error == 0 && options->send_bytes != 0)
        error = set(fd, SOL_SOCKET, SO_SNDBUF, (int)options->send_bytes);
    return error;
}

int vine__socket_create(int family, int type, const struct vine__socket_options *options,
                        int *ret_fd)
{
    const int fd = socket(family, type | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    const int error = set_up(fd, family, type, options);

    if (error != 0) {
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int vine__socket_bind(int fd, const struct sockaddr *address, socklen_t size_bytes)
{
    /* Of two that listen the second is refused all the same. */
    const int error = address->sa_family == AF_UNIX ? 0 : set(fd, SOL_SOCKET, SO_REUSEADDR, 1);

    if (error != 0)
        return error;
    return bind(fd, address, size_bytes) == 0 ? 0 : -errno;
}

int vine__socket_bind_datagrams(int fd, const struct sockaddr *address, socklen_t size_bytes)
{
    return bind(fd, address, size_bytes) == 0 ? 0 : -errno;
}

int vine__socket_share_port(int fd)
{
    return set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

int vine__socket_listen(int fd, int backlog)
{
    return listen(fd, backlog) == 0 ? 0 : -errno;
}

static int get(int fd, int name, int *ret_value)
{
    socklen_t size_bytes = sizeof(*ret_value);

    return getsockopt(fd, SOL_SOCKET, name, ret_value, &size_bytes) == 0 ? 0 : -errno;
}

int vine__socket_adopt_listener(int fd, const struct vine__socket_options *options)
{
    int family = 0, type = 0, protocol = 0, listens = 0;
    int error = get(fd, SO_DOMAIN, &family);

    if (error == 0)
        error = get(fd, SO_TYPE, &type);
    if (error == 0)
        error = get(fd, SO_PROTOCOL, &protocol);
    if (error == 0)
        error = get(fd, SO_ACCEPTCONN, &listens);
    if (error != 0)
        return error;
    if (type != SOCK_STREAM || (family != AF_UNIX && protocol != IPPROTO_TCP))
        return -EAFNOSUPPORT;
    if (listens == 0)
        return -EINVAL;
    /* Of one that is bound already it cannot be set. */
    error = set_up(fd, family == AF_INET6 ? AF_INET : family, type, options);
    if (error != 0)
        return error;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? 0 : -errno;
}

int vine__socket_accept_now(int fd, int *ret_fd)
{
    const int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0))
        return -errno;
    const int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    if (accepted < 0)
        return -errno;
    *ret_fd = accepted;
    return 0;
}

uint64_t vine__socket_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

int vine__socket_reserve(int *ret_fd)
{
    const int fd = eventfd(0, EFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

void vine__socket_refuse_more(int fd)
{
    /* The byte of a TCP header that has SYN in it: such a packet is dropped, and all others are
     * kept, so that those whose handshake is under way end it. A socket that was only shut down
     * would reset those in its queue. */
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog filter = {.len = 4, .filter = program};
    int family = AF_UNIX;

    if (get(fd, SO_DOMAIN, &family) == 0 && family == AF_UNIX)
        (void)shutdown(fd, SHUT_RD);
    else
        (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}

/* ---- names of Unix sockets ------------------------------------------------------------------- */

static const char *path_of(const struct sockaddr *address)
{
    return ((const struct sockaddr_un *)(const void *)address)->sun_path;
}

/* Whether the name is a socket's at which nobody listens. */
static bool is_left_over(const struct sockaddr *address, socklen_t size_bytes)
{
    struct stat found;

    if (lstat(path_of(address), &found) != 0 || !S_ISSOCK(found.st_mode))
        return false;
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (probe < 0)
        return false;
    const bool is_refused = connect(probe, address, size_bytes) != 0 && errno == ECONNREFUSED;

    close(probe);
    return is_refused;
}

int vine__socket_bind_local(int fd, const struct sockaddr *address, socklen_t size_bytes,
                            uint32_t mode)
{
    const bool has_path =
        size_bytes > offsetof(struct sockaddr_un, sun_path) && path_of(address)[0] != '\0';

    if (!has_path)
        return vine__socket_bind(fd, address, size_bytes);
    /* The name takes its mode from the socket, less the umask: it never is wider than this. */
    if (fchmod(fd, (mode_t)mode) != 0)
        return -errno;
    int error = vine__socket_bind(fd, address, size_bytes);

    if (error != -EADDRINUSE || !is_left_over(address, size_bytes))
        return error;
    if (unlink(path_of(address)) != 0 && errno != ENOENT)
        return -EADDRINUSE;
    error = vine__socket_bind(fd, address, size_bytes);
    return error;
}

void vine__socket_identify(const struct sockaddr *address, uint64_t *ret_device,
                           uint64_t *ret_inode)
{
    struct stat found;
    const bool is_there = path_of(address)[0] != '\0' && lstat(path_of(address), &found) == 0;

    *ret_device = is_there ? (uint64_t)found.st_dev : 0;
    *ret_inode = is_there ? (uint64_t)found.st_ino : 0;
}

void vine__socket_unlink(const struct sockaddr *address, uint64_t device, uint64_t inode)
{
    uint64_t device_now, inode_now;

    vine__socket_identify(address, &device_now, &inode_now);
    if (inode != 0 && inode == inode_now && device == device_now)
        (void)unlink(path_of(address));
}

/* ---- connected ------------------------------------------------------------------------------- */

int vine__socket_connect_datagrams(int fd, const struct sockaddr *address, socklen_t size_bytes)
{
    return connect(fd, address, size_bytes) == 0 ? 0 : -errno;
}

int vine__socket_shutdown(int fd, int how)
{
    return shutdown(fd, how) == 0 ? 0 : -errno;
}

int vine__socket_get_address(int fd, struct sockaddr *ret_address, socklen_t room_bytes,
                             uint32_t *ret_size_bytes)
{
    socklen_t size_bytes = room_bytes;

    if (getsockname(fd, ret_address, &size_bytes) != 0)
        return -errno;
    *ret_size_bytes = size_bytes < room_bytes ? size_bytes : room_bytes;
    return 0;
}

int vine__socket_get_peer(int fd, struct sockaddr *ret_address, socklen_t room_bytes,
                          uint32_t *ret_size_bytes)
{
    socklen_t size_bytes = room_bytes;

    if (getpeername(fd, ret_address, &size_bytes) != 0)
        return -errno;
    *ret_size_bytes = size_bytes < room_bytes ? size_bytes : room_bytes;
    return 0;
}

int vine__socket_get_credentials(int fd, struct vine__socket_credentials *ret_credentials,
                                 uint32_t *ret_groups, uint32_t groups_max)
{
    int family = 0;
    struct ucred peer;
    socklen_t size_bytes = sizeof(peer);
    int error = get(fd, SO_DOMAIN, &family);

    if (error != 0 || family != AF_UNIX)
        return error != 0 ? error : -EOPNOTSUPP;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size_bytes) != 0)
        return -errno;
    *ret_credentials =
        (struct vine__socket_credentials){.process = peer.pid, .user = peer.uid, .group = peer.gid};
    size_bytes = groups_max * (socklen_t)sizeof(*ret_groups);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, ret_groups, &size_bytes) == 0)
        ret_credentials->group_count = size_bytes / (uint32_t)sizeof(*ret_groups);
    return 0;
}

void vine__socket_close(int fd)
{
    (void)close(fd);
}
