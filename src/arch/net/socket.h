/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/net/socket.h - sockets of the kernel: made, set up and asked; what moves bytes is arch/poll.
 *
 * Owns:     descriptors are the caller's. They are close-on-exec, and blocking ones, as arch/poll
 *           wants them.
 * Threads:  any.
 * Blocking: never: nothing here waits for a peer.
 * Trust:    addresses that the kernel tells are cut to the room that there is.
 * Limits:   none of its own.
 */
#ifndef VINE_ARCH_NET_SOCKET_H
#define VINE_ARCH_NET_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <vine/base.h>

struct vine__socket_options {
    bool gathers_small_writes; /* TCP: Nagle's algorithm stays on */
    bool is_ip6_only;
    uint32_t keepalive_s;               /* 0: off */
    uint32_t receive_bytes, send_bytes; /* 0: the kernel's own */
};

/* Make one of the address family, SOCK_STREAM or SOCK_DGRAM, set up. What is no matter of the
 * family is left out. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__socket_create(int family, int type,
                                        const struct vine__socket_options *options, int *ret_fd);

/* Bind it, taking over a port of which old connections linger. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__socket_bind(int fd, const struct sockaddr *address, socklen_t size_bytes);

/* The same for datagrams: a port belongs to one socket. */
VINE_MUST_CHECK int vine__socket_bind_datagrams(int fd, const struct sockaddr *address,
                                                socklen_t size_bytes);

/* Let others bind to the same port, and take part in what comes there. Whoever does so after it
 * has bound has been told of others who had the port. */
VINE_MUST_CHECK int vine__socket_share_port(int fd);

VINE_MUST_CHECK int vine__socket_listen(int fd, int backlog);

/*
 * Take over a socket that somebody else has made and that listens, perhaps with other processes: it
 * becomes close-on-exec and is set up as `options` say, of which `is_ip6_only` is not looked at.
 *
 * Returns 0; -EBADF; -ENOTSOCK; -EINVAL: it does not listen; -EAFNOSUPPORT: it is no socket of TCP,
 *         nor a Unix socket for streams; or another negative error.
 */
VINE_MUST_CHECK int vine__socket_adopt_listener(int fd, const struct vine__socket_options *options);

/* Accept one that has come, without waiting: the listener is non-blocking from now on. Returns 0;
 * -EAGAIN: there is none; or another negative error. */
VINE_MUST_CHECK int vine__socket_accept_now(int fd, int *ret_fd);

/* Let nobody else connect, by whichever process's descriptor; who has connected can still be
 * accepted. Of a Unix socket others are refused at once; of TCP their requests are not heard, until
 * the socket is closed. */
void vine__socket_refuse_more(int fd);

/*
 * Bind to the name of a Unix socket (`mode`: of a name in a folder). A name at which nobody listens
 * any more is taken over. Two who do so at the same moment may both believe that they have it.
 *
 * Returns 0; -EADDRINUSE: somebody listens, or it is no socket; or another negative error.
 */
VINE_MUST_CHECK int vine__socket_bind_local(int fd, const struct sockaddr *address,
                                            socklen_t size_bytes, uint32_t mode);

/* Remove the name to which `fd` is bound, if it still is that socket's. */
void vine__socket_unlink(const struct sockaddr *address, uint64_t device, uint64_t inode);

/* Which file a name is; both 0: none. */
void vine__socket_identify(const struct sockaddr *address, uint64_t *ret_device,
                           uint64_t *ret_inode);

/* Connect a datagram socket: only that peer's come then. */
VINE_MUST_CHECK int vine__socket_connect_datagrams(int fd, const struct sockaddr *address,
                                                   socklen_t size_bytes);

/* `how` is SHUT_RD, SHUT_WR or SHUT_RDWR. */
VINE_MUST_CHECK int vine__socket_shutdown(int fd, int how);

/* Whose it is. `room_bytes` at `ret_address`, of which `*ret_size_bytes` are used. */
VINE_MUST_CHECK int vine__socket_get_address(int fd, struct sockaddr *ret_address,
                                             socklen_t room_bytes, uint32_t *ret_size_bytes);
VINE_MUST_CHECK int vine__socket_get_peer(int fd, struct sockaddr *ret_address,
                                          socklen_t room_bytes, uint32_t *ret_size_bytes);

struct vine__socket_credentials {
    int32_t process;
    uint32_t user, group, group_count;
};

/* Who the peer of a Unix socket was when it connected, and the other groups that it had, if there
 * is room for all of them. Returns 0; -EOPNOTSUPP: it is another kind of socket. */
VINE_MUST_CHECK int vine__socket_get_credentials(int fd,
                                                 struct vine__socket_credentials *ret_credentials,
                                                 uint32_t *ret_groups, uint32_t groups_max);

/* Send a part of a file, as much as there is room for: the kernel's pages of it, without a copy.
 * Does not wait for the peer. Returns bytes; 0: the file ends there; -EAGAIN: there is no room; or
 * another negative error. */
VINE_MUST_CHECK int64_t vine__socket_send_file(int fd, int file_fd, uint64_t offset, size_t size);

/* How many descriptors this process may have: RLIMIT_NOFILE. */
uint64_t vine__socket_limit(void);

/* Take a descriptor that is good for nothing but to be closed when there is no other one. Returns
 * 0, -EMFILE, -ENFILE or -ENOMEM. */
VINE_MUST_CHECK int vine__socket_reserve(int *ret_fd);

/* Close it at once. */
void vine__socket_close(int fd);

#endif
