/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/child.h"

#include "arch/peer/process.h"
#include "utils/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- between fork and exec: nothing that could wait for a lock of another thread ------------- */

static int set_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL); /* not for SIGKILL, SIGSTOP and libc's own */
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_descriptors(const struct vine__child_options *options, int error_fd)
{
    /* Descriptors to keep lie above the standard three: vine__child_start has seen to that. */
    if (!options->keeps_stdio) {
        const int null_fd = open("/dev/null", O_RDWR);

        if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0)
            return -1;
    }
    if (dup2(error_fd, 2) < 0)
        return -1;
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        for (int fd = 3, end = (int)sysconf(_SC_OPEN_MAX); fd < end; fd++)
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    for (uint32_t i = 0; i < options->inherited_count; i++)
        if (fcntl(options->inherited[i], F_SETFD, 0) != 0)
            return -1;
    return 0;
}

static int join_group(const struct vine__child_options *options)
{
    return options->group_fd == 0 || write(options->group_fd, "0", 1) == 1 ? 0 : -1;
}

static int drop_rights(const struct vine__child_options *options)
{
    if (options->user_id == 0)
        return 0;
    if (setgroups(0, NULL) != 0 ||
        setresgid(options->group_id, options->group_id, options->group_id) != 0)
        return -1;
    return setresuid(options->user_id, options->user_id, options->user_id);
}

/* Pipes between parent and child: the one's end to read, the other one's to write. */
struct pipes {
    int said[2];   /* the child's standard error */
    int answer[2]; /* why it could not become what it should; closed by exec */
    int go[2];     /* a byte: it may; none: its parent is gone, or does not want it any more */
};

/* Nobody but the parent has the other end then, so that its end is seen. */
static int wait_for_parent(const struct pipes *pipes)
{
    char byte;

    (void)close(pipes->go[1]);
    if (read(pipes->go[0], &byte, 1) == 1)
        return 0;
    errno = ESRCH;
    return -1;
}

__attribute__((noreturn)) static void become(const struct vine__child_options *options,
                                             const struct pipes *pipes, pid_t parent)
{
    int error;

    (void)setpgid(0, 0);
    /* Signals first: none of them has a handler then that would cut the waiting short. */
    if (set_signals() == 0 && wait_for_parent(pipes) == 0 &&
        set_descriptors(options, pipes->said[1]) == 0 && join_group(options) == 0 &&
        drop_rights(options) == 0) {
        /* After the change of user, which clears it; and if our parent is gone already, so are
         * we. */
        if (options->dies_with_us && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() != parent)
            _exit(127);
        (void)execvp(options->words[0], options->words);
    }
    error = errno;
    (void)!write(pipes->answer[1], &error, sizeof(error));
    _exit(127);
}

/* ---- the parent ------------------------------------------------------------------------------ */

static void close_end(int *end)
{
    if (*end >= 0)
        (void)close(*end);
    *end = -1;
}

static void close_all(struct pipes *pipes)
{
    for (int i = 0; i < 2; i++) {
        close_end(&pipes->said[i]);
        close_end(&pipes->answer[i]);
        close_end(&pipes->go[i]);
    }
}

static int open_all(struct pipes *pipes)
{
    *pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    return pipe2(pipes->said, O_CLOEXEC) != 0 || pipe2(pipes->answer, O_CLOEXEC) != 0 ||
                   pipe2(pipes->go, O_CLOEXEC) != 0 ||
                   fcntl(pipes->said[0], F_SETFL, O_NONBLOCK) != 0
               ? -errno
               : 0;
}

/* Let it go on, and hear what came of it. */
static int let_go(struct pipes *pipes)
{
    int error = 0;
    ssize_t size;

    if (write(pipes->go[1], "", 1) != 1)
        return -errno;
    close_end(&pipes->answer[1]);
    do {
        size = read(pipes->answer[0], &error, sizeof(error));
    } while (size < 0 && errno == EINTR);
    return size == (ssize_t)sizeof(error) ? -error : 0;
}

int vine__child_start(const struct vine__child_options *options, struct vine__child *ret_child)
{
    struct vine__child child = {.pidfd = -1, .error_fd = -1};
    const pid_t parent = getpid();
    struct pipes pipes;
    int error;

    VINE_ASSERT(options->inherited_count <= VINE__CHILD_INHERITED_MAX);
    VINE_ASSERT(options->group_fd == 0 || options->group_fd > 2);
    for (uint32_t i = 0; i < options->inherited_count; i++)
        VINE_ASSERT(options->inherited[i] > 2);
    error = open_all(&pipes);
    if (error == 0) {
        child.pid = fork();
        if (child.pid == 0)
            become(options, &pipes, parent);
        if (child.pid < 0)
            error = -errno;
    }
    if (error == 0)
        error = vine__process_pidfd(child.pid, &child.pidfd);
    if (error == 0 && options->is_there != NULL)
        error = options->is_there(options->context, child.pid);
    if (error == 0)
        error = let_go(&pipes);
    if (error == 0) {
        child.error_fd = pipes.said[0];
        pipes.said[0] = -1;
        *ret_child = child;
    } else if (child.pid > 0) {
        (void)kill(child.pid, SIGKILL);
        (void)waitpid(child.pid, NULL, 0);
        close_end(&child.pidfd);
    }
    close_all(&pipes);
    return error;
}

/* ---- what a child may read ------------------------------------------------------------------- */

/* How much of the path names what is closed to us; 0: nothing is. */
static size_t find_closed(char *path)
{
    for (size_t i = 1; path[i] != '\0'; i++) {
        if (path[i] != '/')
            continue;
        path[i] = '\0';
        if (access(path, X_OK) != 0 && errno == EACCES)
            return i;
        path[i] = '/';
    }
    return access(path, R_OK) != 0 && errno == EACCES ? strlen(path) : 0;
}

struct finding {
    int error;
    size_t closed_bytes;
};

__attribute__((noreturn)) static void look(const struct vine__child_options *options, char *path,
                                           int answer_fd)
{
    struct finding finding = {.error = 0};

    if (set_signals() != 0 || drop_rights(options) != 0)
        finding.error = -errno;
    else
        finding.closed_bytes = find_closed(path);
    (void)!write(answer_fd, &finding, sizeof(finding));
    _exit(0);
}

int vine__child_may_read(uid_t user_id, gid_t group_id, const char *path, char *ret_closed,
                         size_t size)
{
    const struct vine__child_options options = {.user_id = user_id, .group_id = group_id};
    struct finding finding = {.error = -ECHILD};
    char *const copy = strdup(path);
    int answer[2] = {-1, -1};
    pid_t pid = -1;

    if (copy == NULL)
        return -ENOMEM;
    if (pipe2(answer, O_CLOEXEC) == 0)
        pid = fork();
    if (pid == 0)
        look(&options, copy, answer[1]);
    if (pid < 0)
        finding.error = -errno;
    close_end(&answer[1]);
    while (pid > 0 && read(answer[0], &finding, sizeof(finding)) < 0 && errno == EINTR)
        ;
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
    close_end(&answer[0]);
    if (finding.error == 0 && finding.closed_bytes > 0) {
        finding.error = -EACCES;
        (void)snprintf(ret_closed, size, "%.*s", (int)finding.closed_bytes, path);
    }
    free(copy);
    return finding.error;
}

/* ---- those of others ------------------------------------------------------------------------- */

int vine__child_adopt(pid_t pid, uint64_t start_ticks, struct vine__child *ret_child)
{
    struct vine__child child = {
        .pid = pid, .pidfd = -1, .error_fd = -1, .is_adopted = true, .status = -1};
    uint64_t ticks = 0;
    int error = vine__process_pidfd(pid, &child.pidfd);

    /* If it is the right one now, then this descriptor is its. */
    if (error == 0)
        error = vine__process_start_time(pid, &ticks);
    if (error == 0 && ticks != start_ticks)
        error = -ESRCH;
    if (error != 0) {
        vine__child_close(&child);
        return error;
    }
    *ret_child = child;
    return 0;
}

void vine__child_listen(struct vine__child *child)
{
    char bytes[512];

    /* A bound, for it may talk faster than we listen. */
    for (int turn = 0; child->error_fd >= 0 && turn < 64; turn++) {
        const ssize_t size = read(child->error_fd, bytes, sizeof(bytes));

        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN)
            return;
        if (size <= 0) {
            (void)close(child->error_fd);
            child->error_fd = -1;
            return;
        }
        const size_t room = sizeof(child->words) - 1;
        const size_t kept =
            (size_t)size + child->words_size <= room ? child->words_size : room - (size_t)size;

        memmove(child->words, child->words + child->words_size - kept, kept);
        memcpy(child->words + kept, bytes, (size_t)size);
        child->words_size = kept + (size_t)size;
    }
}

const char *vine__child_last_words(struct vine__child *child)
{
    char *last = child->words;
    size_t end = child->words_size;

    while (end > 0 && (unsigned char)child->words[end - 1] <= ' ')
        end--;
    child->words_size = end;
    child->words[end] = '\0';
    for (size_t i = 0; i < end; i++) {
        if (child->words[i] == '\n' || child->words[i] == '\0')
            last = child->words + i + 1;
        else if (child->words[i] < ' ' || child->words[i] > '~')
            child->words[i] = '?';
    }
    return last;
}

bool vine__child_reap(struct vine__child *child)
{
    if (child->pid == 0 || child->has_ended)
        return true;
    if (child->is_adopted) {
        child->has_ended = vine__peer_is_dead(child->pidfd) != 0;
        return child->has_ended;
    }
    const pid_t found = waitpid(child->pid, &child->status, WNOHANG);

    if (found == 0 || (found < 0 && errno == EINTR))
        return false;
    if (found < 0)
        child->status = -1;
    child->has_ended = true;
    return true;
}

void vine__child_signal(struct vine__child *child, int number)
{
    if (child->pid > 0 && !child->has_ended)
        (void)!vine__process_signal(child->pidfd, number);
}

void vine__child_close(struct vine__child *child)
{
    if (child->pidfd >= 0)
        (void)close(child->pidfd);
    if (child->error_fd >= 0)
        (void)close(child->error_fd);
    *child = (struct vine__child){.pidfd = -1, .error_fd = -1};
}
