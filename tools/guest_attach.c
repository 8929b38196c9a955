/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "message.h"
#include "status.h"

#define ESCAPE 0x1d /* Ctrl-] */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        const int error = errno;

        (void)close(fd);
        errno = error;
        fd = -1;
    }
    return fd;
}

int guest_attach_begin(struct guest_attach *attach, const char *path)
{
    struct termios raw;
    const int fd = connect_to(path);

    if (fd < 0) {
        message_error("cannot reach the console: %m");
        return STATUS_FAILED;
    }
    guest_attach_end(attach); /* of a machine that was started before */
    attach->fd = fd;
    attach->has_input = attach->shows = true;
    attach->pending_size = 0;
    attach->is_typed = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &attach->before) == 0;
    if (attach->is_typed) {
        message_note("Ctrl-] leaves the console; the machines go on");
        raw = attach->before;
        cfmakeraw(&raw);
        raw.c_oflag = attach->before.c_oflag; /* our own lines still begin at the left */
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    return STATUS_DONE;
}

struct pollfd guest_attach_input(const struct guest_attach *attach)
{
    return (struct pollfd){
        .fd = attach->fd >= 0 && attach->has_input && attach->pending_size == 0 ? STDIN_FILENO : -1,
        .events = POLLIN,
    };
}

struct pollfd guest_attach_console(const struct guest_attach *attach)
{
    return (struct pollfd){
        .fd = attach->fd,
        .events = (short)(POLLIN | (attach->pending_size > 0 ? POLLOUT : 0)),
    };
}

void guest_attach_send(struct guest_attach *attach)
{
    const ssize_t sent =
        attach->pending_size > 0
            ? send(attach->fd, attach->pending, attach->pending_size, MSG_DONTWAIT | MSG_NOSIGNAL)
            : 0;

    if (sent > 0) {
        attach->pending_size -= (size_t)sent;
        memmove(attach->pending, attach->pending + sent, attach->pending_size);
    } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        attach->pending_size = 0; /* nobody is there to take it */
        attach->has_input = false;
    }
}

void guest_attach_take(struct guest_attach *attach)
{
    const ssize_t got = read(STDIN_FILENO, attach->pending, sizeof(attach->pending));
    const char *escape = NULL;

    if (got <= 0) {
        attach->has_input = got < 0 && (errno == EAGAIN || errno == EINTR);
        return;
    }
    if (attach->is_typed)
        escape = memchr(attach->pending, ESCAPE, (size_t)got);
    attach->pending_size = escape != NULL ? (size_t)(escape - attach->pending) : (size_t)got;
    guest_attach_send(attach);
    if (escape != NULL)
        guest_attach_leave(attach);
}

void guest_attach_leave(struct guest_attach *attach)
{
    if (attach->is_typed) {
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &attach->before);
        fputs("\r\n", stdout);
        fflush(stdout);
    }
    attach->is_typed = attach->has_input = attach->shows = false;
}

void guest_attach_end(struct guest_attach *attach)
{
    guest_attach_leave(attach);
    if (attach->fd >= 0)
        (void)close(attach->fd);
    attach->fd = -1;
}
