/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys/main.c - vine-keys: has the keys of `vine appliance --keys`, so that nobody else has.
 *
 *     vine-keys FOLDER SOCKET THREADS 3>REPORT 4<LIFE
 *
 * Two processes. This one knows the folder and no key; it starts the other one, which reads the
 * keys and serves at SOCKET (worker.c), and starts it anew whenever it ends. REPORT gets an empty
 * line when the first one serves, or the reason why it does not. When LIFE comes to its end, so do
 * both: the appliance holds its other end, and signals, which may be meant for a whole group of
 * processes, are not heeded, so that an appliance that drains keeps its keys to the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "confine.h"
#include "keyring.h"
#include "worker.h"

#define REPORT_FD   3
#define LIFE_FD     4
#define THREADS_MAX 1024

/* A worker that has lived so long is started anew at once, any other after a while. */
#define LIVED_MS   100
#define PAUSE_MS   20
#define PAUSES_MAX 6 /* doublings: 1.3 s */

static long long now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void ignore_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};

    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)signal(numbers[i], SIG_IGN);
}

/* Whether the appliance is gone, after at most so long; or, before that, the worker (`pidfd`). */
static bool is_over(int pidfd, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = LIFE_FD, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

    while (poll(fds, 2, timeout_ms) < 0 && errno == EINTR)
        continue;
    return fds[0].revents != 0;
}

/* Until it ends, or has to. Returns whether it has by itself; *ret_status is as waitpid's. */
static bool watch(pid_t pid, int *ret_status)
{
    const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    pid_t ended = 0;
    bool goes_on = true;

    while (ended == 0 && goes_on) {
        /* Without a pidfd: every tenth of a second. */
        goes_on = !is_over(pidfd, pidfd >= 0 ? -1 : 100);
        ended = waitpid(pid, ret_status, WNOHANG);
    }
    if (ended == 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, ret_status, 0);
    }
    if (pidfd >= 0)
        close(pidfd);
    return goes_on || ended != 0;
}

static int supervise(struct worker_options *options)
{
    unsigned pauses = 0;

    for (;;) {
        const long long begun_ms = now_ms();
        const pid_t pid = fork();
        int status = 0;

        if (pid == 0) {
            (void)close(LIFE_FD);
            _exit(worker_run(options));
        }
        if (pid > 0 && !watch(pid, &status))
            return 0;
        /* What is wrong from the beginning is for whoever started us. */
        if (options->is_first && WIFEXITED(status) && WEXITSTATUS(status) != 0)
            return WEXITSTATUS(status);
        options->is_first = false;
        if (now_ms() - begun_ms >= LIVED_MS)
            pauses = 0;
        else if (is_over(-1, PAUSE_MS << pauses))
            return 0;
        else if (pauses < PAUSES_MAX)
            pauses++;
    }
}

/* The appliance may have been killed: then nobody else takes it away. */
static void remove_socket(const char *address)
{
    char path[4096];

    (void)unlink(address);
    if ((size_t)snprintf(path, sizeof(path), "%s.lock", address) < sizeof(path))
        (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s", address);

    char *slash = strrchr(path, '/');

    if (slash != NULL) {
        *slash = '\0';
        (void)rmdir(path); /* unless anything else is in it */
    }
}

/* By numbers that cannot be mistaken for any other. */
static unsigned read_count(const char *text)
{
    char *end;
    const unsigned long count = strtoul(text, &end, 10);

    return *end == '\0' && count > 0 && count <= THREADS_MAX ? (unsigned)count : 0;
}

int main(int argc, char **argv)
{
    char reason[KEYRING_REASON_MAX];
    struct worker_options options = {.is_first = true, .report_fd = REPORT_FD, .parent = getpid()};

    /* First of all: from here on nobody can look into us. */
    const int confined = confine_memory();

    if (argc == 4 && argv[1][0] != '-') {
        options.folder = argv[1];
        options.address = argv[2];
        options.threads = read_count(argv[3]);
    }
    if (options.threads == 0 || fcntl(REPORT_FD, F_GETFD) < 0 || fcntl(LIFE_FD, F_GETFD) < 0) {
        (void)fprintf(stderr, "vine-keys: `vine appliance --keys FOLDER` starts it\n");
        return 2;
    }
    (void)syscall(SYS_close_range, LIFE_FD + 1, ~0U, 0);
    ignore_signals();
    options.folder_fd = open(options.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    int error = confined < 0 ? confined : options.folder_fd < 0 ? -errno : 0;

    if (error < 0)
        snprintf(reason, sizeof(reason), "%s", strerror(-error));
    else
        error = keyring_check_folder(options.folder_fd, reason);
    if (error < 0) {
        (void)dprintf(REPORT_FD, "%s: %s", options.folder, reason);
        return error == -EACCES || error == -EPERM ? 77 : 2;
    }

    const int status = supervise(&options);

    remove_socket(options.address);
    return status;
}
