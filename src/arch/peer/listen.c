/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/peer.h"

#include "arch/peer/lockfile.h"
#include "arch/peer/peer_internal.h"
#include "utils/assert.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG     128
#define LOCK_SUFFIX ".lock"

static void lock_path_of(const char *path, char *lock_path, size_t size_bytes)
{
    const int length = snprintf(lock_path, size_bytes, "%s" LOCK_SUFFIX, path);
    VINE_ASSERT(length > 0 && (size_t)length < size_bytes);
}

/* Make room at `path`, whose lock we hold. 0: nothing is there (any more). */
static int remove_stale(const struct sockaddr_un *address)
{
    struct stat found;
    if (lstat(address->sun_path, &found) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(found.st_mode))
        return -ENOTSOCK;

    /* Whoever listens without our lock is not disturbed either. Non-blocking: a full queue answers
     * EAGAIN, a socket of another type EPROTOTYPE, and both are alive. */
    const int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return -errno;
    const int failed = connect(probe, (const struct sockaddr *)address, sizeof(*address));
    const int error = failed == 0 ? 0 : errno;
    close(probe);
    if (error == ENOENT)
        return 0;
    if (error != ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(address->sun_path) == 0 || errno == ENOENT ? 0 : -errno;
}

static int bind_and_listen(struct vine__peer_listener *listener, const struct sockaddr_un *address)
{
    listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        return -errno;
    /* The name takes its mode from the socket, less the umask: it never is wider than this. */
    if (fchmod(listener->fd, 0600) != 0)
        return -errno;
    if (bind(listener->fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        return -errno;
    struct stat made;
    if (lstat(address->sun_path, &made) != 0)
        return -errno;
    listener->device = made.st_dev;
    listener->inode = made.st_ino;
    if (listen(listener->fd, BACKLOG) != 0)
        return -errno;
    return 0;
}

int vine__peer_listen(struct vine__peer_listener *listener, const char *path, pid_t *ret_holder)
{
    *listener = (struct vine__peer_listener){.fd = -1, .lock_fd = -1};
    struct sockaddr_un address;
    int error = vine__peer_address(path, &address);
    if (error != 0)
        return error;
    memcpy(listener->path, address.sun_path, sizeof(listener->path));

    char lock_path[sizeof(listener->path) + sizeof(LOCK_SUFFIX)];
    lock_path_of(path, lock_path, sizeof(lock_path));
    error = vine__lockfile_acquire(lock_path, &listener->lock_fd, ret_holder);
    if (error == -EBUSY)
        return -EADDRINUSE;
    if (error != 0)
        return error;

    error = remove_stale(&address);
    if (error == -EADDRINUSE && ret_holder != NULL)
        *ret_holder = 0;
    if (error == 0)
        error = bind_and_listen(listener, &address);
    if (error != 0)
        vine__peer_listener_close(listener);
    return error;
}

void vine__peer_listener_close(struct vine__peer_listener *listener)
{
    /* The name goes first and the lock last, so that a successor never sees our leftovers and
     * never loses its own name. */
    struct stat found;
    if (listener->inode != 0 && lstat(listener->path, &found) == 0 &&
        found.st_dev == listener->device && found.st_ino == listener->inode)
        unlink(listener->path);
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->lock_fd >= 0) {
        char lock_path[sizeof(listener->path) + sizeof(LOCK_SUFFIX)];
        lock_path_of(listener->path, lock_path, sizeof(lock_path));
        vine__lockfile_release(lock_path, listener->lock_fd);
    }
    *listener = (struct vine__peer_listener){.fd = -1, .lock_fd = -1};
}

int vine__peer_listen_again(const struct vine__peer_listener *listener)
{
    if (listen(listener->fd, BACKLOG) != 0)
        return -errno;
    vine__lockfile_say_holder(listener->lock_fd);
    return 0;
}

int vine__peer_listener_take(struct vine__peer_listener *listener,
                             const struct vine__peer_listener *taken, const char *path)
{
    struct sockaddr_un address;
    int listens = 0;
    socklen_t size = sizeof(listens);
    int error = vine__peer_address(path, &address);

    if (error == 0)
        error = vine__peer_check(taken->fd);
    if (error == 0 &&
        (getsockopt(taken->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0))
        error = -EPROTOTYPE;
    if (error == 0)
        error = vine__peer_listen_again(taken);
    if (error != 0)
        return error;
    *listener = *taken;
    memcpy(listener->path, address.sun_path, sizeof(listener->path));
    return 0;
}

void vine__peer_listener_leave(struct vine__peer_listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->lock_fd >= 0)
        close(listener->lock_fd);
    *listener = (struct vine__peer_listener){.fd = -1, .lock_fd = -1};
}

void vine__peer_listener_return(struct vine__peer_listener *listener)
{
    if (listener->lock_fd >= 0)
        vine__lockfile_say_let_go(listener->lock_fd);
    vine__peer_listener_leave(listener);
}

bool vine__peer_listener_is_free(const struct vine__peer_listener *listener, pid_t former)
{
    struct vine__peer_credentials last;
    struct stat found;
    int pidfd;

    /* Of a socket that listens the kernel tells who made it do so last. */
    if (vine__peer_credentials(listener->fd, &last) != 0)
        return false;
    if (last.pid == getpid())
        return true;
    if (lstat(listener->path, &found) != 0 || found.st_dev != listener->device ||
        found.st_ino != listener->inode)
        return false;
    if (vine__lockfile_is_let_go(listener->lock_fd))
        return true;

    const int error = vine__peer_pidfd(listener->fd, &pidfd);

    if (error == 0)
        close(pidfd);
    /* Of one that the kernel does not let us see all that is known is that it has hung up. */
    return error == -VINE_EPEERLOST || (error == -ENOSYS && last.pid == former);
}

int vine__peer_accept(int listen_fd, uint64_t timeout_ns, int *ret_fd)
{
    const uint64_t deadline_ns = vine__peer_deadline(timeout_ns);
    for (;;) {
        const int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            *ret_fd = fd;
            return 0;
        }
        /* ECONNABORTED: it left before we took it; the next one may be there. */
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN)
            return -errno;
        const int error = vine__peer_poll(listen_fd, POLLIN, deadline_ns);
        if (error != 0)
            return error;
    }
}

int vine__private_folder(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return -errno;
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat found;
    const int failed = fstat(fd, &found);
    const int error = errno;
    close(fd);
    if (failed != 0)
        return -error;
    return found.st_uid == geteuid() && (found.st_mode & 0077) == 0 ? 0 : -EPERM;
}
