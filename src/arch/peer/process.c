/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/process.h"

#include "arch/peer/peer_internal.h"
#include "utils/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void vine__process_folder(pid_t pid, char *path, size_t size_bytes)
{
    const int length = snprintf(path, size_bytes, "/proc/%d", (int)pid);
    VINE_ASSERT(length > 0 && (size_t)length < size_bytes);
}

int vine__process_pidfd(pid_t pid, int *ret_pidfd)
{
    if (pid <= 0)
        return -ESRCH;
    const long fd = syscall(SYS_pidfd_open, pid, 0);
    if (fd >= 0) {
        *ret_pidfd = (int)fd;
        return 0;
    }
    /* EPERM is the answer of filters that are older than the call; the call has no other use for
     * it. EINVAL: a thread's id and no process's. */
    return errno == EPERM ? -ENOSYS : -errno;
}

int vine__peer_is_dead(int pidfd)
{
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
    for (;;) {
        const int ready = poll(&poll_fd, 1, 0);
        if (ready >= 0)
            return (poll_fd.revents & POLLNVAL) != 0 ? -EBADF : ready;
        if (errno != EINTR)
            return -errno;
    }
}

int vine__process_signal(int pidfd, int number)
{
    return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) == 0 ? 0 : -errno;
}

/* Field 22 of /proc/PID/stat. The second field is the program's name in parentheses, which may
 * hold blanks and parentheses: counting begins behind the last one. The state is that of the first
 * thread, which may have ended while others run on; field 20 counts those, and it. */
static int parse_stat(const char *text, uint64_t *ret_ticks)
{
    const char *field = strrchr(text, ')');
    if (field == NULL || field[1] != ' ')
        return -EIO;
    field += 2; /* the third: the state */
    const bool is_zombie = *field == 'Z';
    if (*field == 'X' || *field == 'x')
        return -ESRCH;
    for (int number = 3; number < 22; number++) {
        if (number == 20 && is_zombie && strtoul(field, NULL, 10) <= 1)
            return -ESRCH;
        field = strchr(field, ' ');
        if (field == NULL)
            return -EIO;
        field++;
    }
    char *end;
    errno = 0;
    const unsigned long long ticks = strtoull(field, &end, 10);
    if (end == field || errno != 0)
        return -EIO;
    *ret_ticks = ticks;
    return 0;
}

int vine__process_start_time(pid_t pid, uint64_t *ret_ticks)
{
    if (pid <= 0)
        return -ESRCH;
    char path[32];
    char text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno != ENOENT)
            return -errno;
        /* No such process, or no /proc. */
        return kill(pid, 0) < 0 && errno == ESRCH ? -ESRCH : -ENOENT;
    }
    const ssize_t size = read(fd, text, sizeof(text) - 1);
    const int error = errno;
    close(fd);
    if (size < 0)
        return -error; /* ESRCH: it ended in between */
    text[size] = '\0';
    return parse_stat(text, ret_ticks);
}

bool vine__process_is_alive(pid_t pid, uint64_t start_ticks)
{
    uint64_t now_ticks;
    const int error = vine__process_start_time(pid, &now_ticks);
    if (error == 0)
        return now_ticks == start_ticks;
    return error != -ESRCH;
}
