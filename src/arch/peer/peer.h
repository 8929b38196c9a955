/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/peer/peer.h - who is on the other side: Unix sockets that pass descriptors.
 *
 * Owns:     descriptors are the caller's, to be closed with close(2); a listener owns its socket's
 *           name and lock.
 * Threads:  any; one at a time on one listener.
 * Blocking: only for the time-out that a call takes; 0 means never, VINE_FOREVER without end. A
 *           signal does not end a wait.
 * Trust:    the other side may send anything: messages too long, empty, with descriptors that
 *           nobody asked for, half of a handshake. All of that is an error; no descriptor leaks.
 *           What a descriptor refers to is for the caller to check.
 * Limits:   SOCK_SEQPACKET only: a message arrives whole or not at all. Paths of up to 107 bytes.
 *
 * Caveats:  a hang-up is a hint: a forked child of the peer keeps its socket open. The peer's life
 *           is its pidfd (arch/peer/process.h).
 */
#ifndef VINE_ARCH_PEER_H
#define VINE_ARCH_PEER_H

#include <vine/base.h>

#include "arch/peer/process.h"
#include "arch/peer/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Descriptors that one message may carry. */
#define VINE__PEER_FDS_MAX 16

#define VINE__PEER_PATH_BYTES 108

struct vine__peer_listener {
    int fd;          /* the listening socket, for poll and vine__peer_accept; -1: none */
    int lock_fd;     /* holds PATH.lock as long as we listen; -1: none */
    uint64_t device; /* of the socket's name: it is removed only while it is still ours */
    uint64_t inode;
    char path[VINE__PEER_PATH_BYTES];
};

/*
 * Listen at `path`, mode 0600. The folder is the caller's business (vine__private_folder).
 *
 * A live listener is never disturbed: PATH.lock, held as long as one listens, keeps two starters
 * apart, and a socket that answers without holding it is live too. A socket that nobody listens
 * at is replaced.
 *
 * Returns 0               listening;
 *         -EADDRINUSE     somebody listens here; `ret_holder`, if not NULL, is their pid or 0;
 *         -ENOTSOCK       something else has this name, and keeps it;
 *         -ENAMETOOLONG   or another negative error.
 */
VINE_MUST_CHECK int vine__peer_listen(struct vine__peer_listener *listener, const char *path,
                                      pid_t *ret_holder);

/* Stop listening and remove the name, if it still is ours. Accepts a listener that failed to
 * open, or { .fd = -1, .lock_fd = -1 }. */
void vine__peer_listener_close(struct vine__peer_listener *listener);

/* Be the one that listens with a socket and a lock that another process of ours sent, who gives
 * them up: who connects from now on sees us. `taken` has the descriptors and which name it is,
 * `path` that name. Returns 0, and then they are the listener's; -ENOTSOCK, -EPROTOTYPE, ...: no
 * such socket. */
VINE_MUST_CHECK int vine__peer_listener_take(struct vine__peer_listener *listener,
                                             const struct vine__peer_listener *taken,
                                             const char *path);

/* Who connects from now on sees us, and the lock file names us, where another process has listened
 * with this socket since we did. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__peer_listen_again(const struct vine__peer_listener *listener);

/* Let go of a listener that another process has: the name stays, and its lock. */
void vine__peer_listener_leave(struct vine__peer_listener *listener);

/* The same of one that we were sent and listen with: who sent it may listen again. */
void vine__peer_listener_return(struct vine__peer_listener *listener);

/* Whether we may listen again with a socket that we have sent to others: the name is still its, and
 * whoever of them listened last has ended, or let go of it. Where nobody can tell whether he lives
 * it is enough that he is `former`, who has hung up. False while one is about to end: ask again. */
bool vine__peer_listener_is_free(const struct vine__peer_listener *listener, pid_t former);

/* Take the next connection; close-on-exec.
 * Returns 0 and the descriptor; -EAGAIN if nobody came in time; -EMFILE or another negative
 * error, after which the connection still waits: pause before you ask again. */
VINE_MUST_CHECK int vine__peer_accept(int listen_fd, uint64_t timeout_ns, int *ret_fd);

/* Connect to the listener at `path`, waiting while its queue is full; close-on-exec.
 * Returns 0 and the descriptor; -ENOENT or -ECONNREFUSED at once if nobody listens; -ETIMEDOUT;
 * -EPROTOTYPE if it is a socket of another type; another negative error. */
VINE_MUST_CHECK int vine__peer_connect(const char *path, uint64_t timeout_ns, int *ret_fd);

/* Whether `fd` is a Unix socket of the right type, for one that we were handed.
 * Returns 0, -ENOTSOCK, -EAFNOSUPPORT or -EPROTOTYPE. */
VINE_MUST_CHECK int vine__peer_check(int fd);

/*
 * Send one message of 1 byte or more with copies of `fd_count` descriptors.
 *
 * Returns 0                  it is in the other side's queue;
 *         -EAGAIN            the queue stayed full until the time-out;
 *         -VINE_EPEERLOST    the other side has closed;
 *         -EMSGSIZE          it is larger than the socket's buffer;
 *         -EINVAL            no bytes, or too many descriptors; another negative error.
 */
VINE_MUST_CHECK int vine__peer_send(int fd, const void *bytes, size_t size_bytes, const int *fds,
                                    uint32_t fd_count, uint64_t timeout_ns);

struct vine__peer_credentials {
    pid_t pid; /* as we see it; 0 if it lives in a pid namespace that we do not see */
    uid_t uid;
    gid_t gid;
};

struct vine__peer_message {
    /* The caller's: where to, how much at most, and how many descriptors at most. */
    void *bytes;
    size_t capacity_bytes;
    uint32_t fd_count_max; /* at most VINE__PEER_FDS_MAX */
    /* Ours: what came. After a failure 0, and no descriptor is open. */
    uint32_t fd_count;
    size_t size_bytes;
    bool has_sender; /* of a socket of which vine__peer_ask_senders was asked */
    struct vine__peer_credentials sender;
    int fds[VINE__PEER_FDS_MAX]; /* close-on-exec; the caller's to close */
};

/* Have the kernel say of each message that is sent from now on who sent it: a socket may have gone
 * from who listened to another process. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__peer_ask_senders(int fd);

/*
 * Receive one message, whole.
 *
 * Returns 0                  and the message: at least one byte, at most as many as fit;
 *         -EAGAIN            none came in time;
 *         -VINE_EPEERLOST    the other side has closed. An empty message, which no side of ours
 *                            sends, cannot be told from that and means it too;
 *         -VINE_EPROTOCOL    longer than `capacity_bytes`, or more descriptors than expected: the
 *                            message is gone, its descriptors are closed;
 *         -EMFILE            the descriptors did not fit into our table: closed as well;
 *         -ENOTSOCK, -EAFNOSUPPORT, -EPROTOTYPE   not such a socket; another negative error.
 */
VINE_MUST_CHECK int vine__peer_receive(int fd, struct vine__peer_message *message,
                                       uint64_t timeout_ns);

/* Close what a message brought. */
void vine__peer_message_close(struct vine__peer_message *message);

/* Who connected (or listened), as the kernel noted it at that moment. For a pair of sockets,
 * who made it. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__peer_credentials(int fd, struct vine__peer_credentials *ret_credentials);

/*
 * A pidfd of the process that connected; close-on-exec.
 *
 * Kernels from 6.5 know it from the socket. Before, it is opened by pid, and refused if that pid
 * by now belongs to a process of another user than root or to one that was born meanwhile; what
 * remains is a pid of the same user, reused between its connecting and this call. Call it right
 * after accept.
 *
 * Returns 0 and the descriptor;
 *         -VINE_EPEERLOST   the process has ended;
 *         -ENOSYS           pidfds cannot be had: watch pid and start time
 *                           (vine__process_is_alive) at intervals, and the socket's hang-up;
 *         another negative error.
 */
VINE_MUST_CHECK int vine__peer_pidfd(int fd, int *ret_pidfd);

/* The same of a process by number, if that number most likely still is who had these credentials:
 * what vine__peer_pidfd does before 6.5, and what there is for the sender of a message. */
VINE_MUST_CHECK int vine__peer_pidfd_by_number(const struct vine__peer_credentials *credentials,
                                               int *ret_pidfd);

/*
 * Make sure that `path` is a folder that is ours alone: it is created with mode 0700 if it is
 * missing (its parents are not); a symbolic link, another owner, or a mode that lets others in is
 * refused.
 *
 * Returns 0, -EPERM (another owner or mode), -ENOTDIR, -ELOOP, or another negative error.
 */
VINE_MUST_CHECK int vine__private_folder(const char *path);

#endif
