/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/peer/process.h"
#include "utils/assert.h"

#define FIRST_DESCRIPTOR 3

/* ---- between fork and exec ------------------------------------------------------------------- */

static int set_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL); /* not for SIGKILL, SIGSTOP and libc's own */
    (void)sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* First all of them go out of the way of where they shall be, `answer_fd` too. */
static int set_descriptors(const struct vine__spawn_options *options, int *answer_fd)
{
    const int end = FIRST_DESCRIPTOR + (int)options->descriptor_count;
    int moved[VINE__SPAWN_DESCRIPTORS_MAX];
    const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
        return -1;
    *answer_fd = fcntl(*answer_fd, F_DUPFD_CLOEXEC, end);
    if (*answer_fd < 0)
        return -1;
    for (uint32_t i = 0; i < options->descriptor_count; i++) {
        moved[i] = fcntl(options->descriptors[i], F_DUPFD_CLOEXEC, end);
        if (moved[i] < 0)
            return -1;
    }
    for (uint32_t i = 0; i < options->descriptor_count; i++)
        if (dup2(moved[i], FIRST_DESCRIPTOR + (int)i) < 0)
            return -1;
    return 0;
}

static void write_number(char *text, pid_t number)
{
    char digits[VINE__SPAWN_NUMBER_BYTES];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0)
        *text++ = digits[--count];
    *text = '\0';
}

__attribute__((noreturn)) static void become(const struct vine__spawn_options *options,
                                             int answer_fd, pid_t parent)
{
    int error;

    (void)setpgid(0, 0);
    for (char *const *number = options->numbers; number != NULL && *number != NULL; number++)
        write_number(*number, getpid());
    if (set_signals() == 0 && set_descriptors(options, &answer_fd) == 0 &&
        prctl(PR_SET_PDEATHSIG, SIGKILL) == 0) {
        if (getppid() != parent) /* it has gone already */
            _exit(127);
        (void)execve(options->path, options->argv, options->environment);
        if (errno == ENOENT && options->other != NULL)
            (void)execve(options->other, options->argv, options->environment);
    }
    error = errno;
    (void)!write(answer_fd, &error, sizeof(error));
    _exit(127);
}

/* ---- the parent ------------------------------------------------------------------------------ */

static void reap_now(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* The answer's other end closes when the program is loaded. */
static int hear_answer(pid_t pid, int answer_fd, struct vine__spawned *ret_spawned)
{
    int error = 0;
    ssize_t size;

    do
        size = read(answer_fd, &error, sizeof(error));
    while (size < 0 && errno == EINTR);
    if (size == (ssize_t)sizeof(error)) {
        reap_now(pid);
        return -error;
    }
    error = vine__process_pidfd(pid, &ret_spawned->pidfd);
    if (error != 0) {
        (void)kill(pid, SIGKILL);
        reap_now(pid);
        return error;
    }
    ret_spawned->pid = pid;
    return 0;
}

int vine__spawn(const struct vine__spawn_options *options, struct vine__spawned *ret_spawned)
{
    const pid_t parent = getpid();
    int answer[2];

    VINE_ASSERT(options->descriptor_count <= VINE__SPAWN_DESCRIPTORS_MAX);
    if (pipe2(answer, O_CLOEXEC) != 0)
        return -errno;
    const pid_t pid = fork();

    if (pid == 0)
        become(options, answer[1], parent);
    int error = pid < 0 ? -errno : 0;

    (void)close(answer[1]);
    if (error == 0)
        error = hear_answer(pid, answer[0], ret_spawned);
    (void)close(answer[0]);
    return error;
}

bool vine__spawned_reap(const struct vine__spawned *spawned, int *ret_status)
{
    int status = -1;
    const pid_t found = waitpid(spawned->pid, &status, WNOHANG);

    if (found == 0 || (found < 0 && errno == EINTR))
        return false;
    *ret_status = found < 0 ? -1 : status;
    return true;
}

void vine__spawned_signal(const struct vine__spawned *spawned, int number)
{
    (void)kill(spawned->pid, number); /* its number is its own until it is reaped */
}

void vine__spawned_close(struct vine__spawned *spawned)
{
    (void)close(spawned->pidfd);
    *spawned = (struct vine__spawned){.pidfd = -1};
}

void vine__spawned_kill(struct vine__spawned *spawned)
{
    (void)kill(spawned->pid, SIGKILL);
    reap_now(spawned->pid);
    vine__spawned_close(spawned);
}

void vine__status_print(int status, char ret_text[VINE__STATUS_TEXT_BYTES])
{
    if (status == -1) {
        (void)snprintf(ret_text, VINE__STATUS_TEXT_BYTES, "has ended, and somebody else knows how");
    } else if (WIFSIGNALED(status)) {
        const char *const name = sigabbrev_np(WTERMSIG(status));

        (void)snprintf(ret_text, VINE__STATUS_TEXT_BYTES, "was killed by %s%s%s",
                       name != NULL ? "SIG" : "a signal", name != NULL ? name : "",
                       WCOREDUMP(status) ? " (core dumped)" : "");
    } else {
        (void)snprintf(ret_text, VINE__STATUS_TEXT_BYTES, "ended with the code %d",
                       WEXITSTATUS(status));
    }
}

/* ---- this process ---------------------------------------------------------------------------- */

int vine__program_path(char *ret_path, size_t size_bytes)
{
    const ssize_t length = readlink("/proc/self/exe", ret_path, size_bytes);

    if (length < 0)
        return -errno;
    if ((size_t)length >= size_bytes)
        return -ENAMETOOLONG;
    ret_path[length] = '\0';
    return 0;
}

bool vine__terminal_is_there(void)
{
    const int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return false;
    (void)close(fd);
    return true;
}

bool vine__hangup_is_ignored(void)
{
    struct sigaction action;

    return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int vine__pipe_create(int *ret_read_fd, int *ret_write_fd)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -errno;
    *ret_read_fd = ends[0];
    *ret_write_fd = ends[1];
    return 0;
}
