/* SPDX-License-Identifier: Apache-2.0 */
#include "embedded.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "utils/tables.h"

#include "message.h"
#include "processors.h"
#include "serve.h"
#include "status.h"

#define READY_TIMEOUT_MS 10000
#define STOP_TIMEOUT_MS  5000

/* ---- its folder ------------------------------------------------------------------------------ */

static int make_folder(struct embedded *embedded)
{
    const char *const places[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};

    for (unsigned i = 0; i < VINE_ARRAY_COUNT(places); i++) {
        if (places[i] == NULL || places[i][0] != '/')
            continue;
        const int length = snprintf(embedded->folder, sizeof(embedded->folder),
                                    "%s/vine-embedded-XXXXXX", places[i]);
        if ((size_t)length >= sizeof(embedded->folder) || mkdtemp(embedded->folder) == NULL)
            continue;
        snprintf(embedded->address, sizeof(embedded->address), "%s/socket", embedded->folder);
        return STATUS_DONE;
    }
    embedded->folder[0] = '\0';
    message_error("cannot make a folder for an appliance of one's own: %m");
    return STATUS_FAILED;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    (void)remove(path); /* the other process may have */
    return 0;
}

/* Also what an appliance that was killed has left in it. */
static void remove_folder(struct embedded *embedded)
{
    if (embedded->folder[0] != '\0')
        (void)nftw(embedded->folder, remove_one, 4, FTW_DEPTH | FTW_PHYS);
    embedded->folder[0] = '\0';
}

/* ---- its life -------------------------------------------------------------------------------- */

/* What ends us waits from the making of the folder until there is somebody to take it away: in the
 * child until it serves, in the parent until the child does. */
static void hold_signals(sigset_t *ret_before)
{
    sigset_t held;

    serve_signals(&held);
    sigprocmask(SIG_BLOCK, &held, ret_before);
}

/* The child: no more than an appliance. It does not hold the command's standard input and output
 * open, is out of reach of the terminal's Ctrl-C (the command handles that), and cannot outlive
 * it. */
static int child_main(const struct embedded *embedded, uint32_t workers, pid_t parent, int ready_fd)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        return STATUS_FAILED;
    setpgid(0, 0);
    prctl(PR_SET_NAME, "vine-appliance");
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        close(null);
    }
    if (embedded->is_apart)
        processors_keep_to(PROCESSORS_OTHERS);
    message_set_verb("appliance");
    const struct serve_options options = {
        .address = embedded->address,
        .workers = workers > 0 ? workers : processors_count(),
        .drain_seconds = STOP_TIMEOUT_MS / 1000,
        .ready_fd = ready_fd,
        .is_embedded = true,
    };
    return serve(&options);
}

/* What the child has told of why it cannot serve, to the parent, which has to say it as JSON. */
static void pass_on_error(int fd)
{
    const char *why = message_last_error();

    (void)!write(fd, why, strlen(why));
}

/* Wait for the child's empty line, or for why it ends, or for its end. */
static int wait_until_ready(struct embedded *embedded, int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char said[PIPE_BUF];
    int status = 0;

    const int count = poll(&ready, 1, READY_TIMEOUT_MS);
    const ssize_t size = count > 0 ? read(fd, said, sizeof(said) - 1) : 0;
    if (size > 0 && said[0] == '\n')
        return STATUS_DONE;
    if (size > 0) {
        said[size] = '\0';
        message_take_error(said);
    } else if (count > 0) {
        message_error("the embedded appliance has ended before it was ready");
    } else {
        message_error("the embedded appliance does not get ready");
        kill(embedded->pid, SIGKILL);
    }
    while (waitpid(embedded->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    embedded->pid = 0;
    return count > 0 && WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status)
                                                                      : STATUS_NO_APPLIANCE;
}

static int start(struct embedded *embedded, uint32_t workers)
{
    const pid_t parent = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) {
        message_error("cannot start an appliance: %m");
        return STATUS_FAILED;
    }
    fflush(stdout);
    fflush(stderr);
    embedded->pid = fork();
    if (embedded->pid == 0) {
        close(ends[0]);
        const int why_fd = fcntl(ends[1], F_DUPFD_CLOEXEC, 0); /* serve closes the other one */
        const int status = child_main(embedded, workers, parent, ends[1]);
        if (status != STATUS_DONE)
            pass_on_error(why_fd);
        remove_folder(embedded);
        fflush(stderr);
        _exit(status);
    }
    close(ends[1]);
    if (embedded->pid < 0) {
        close(ends[0]);
        embedded->pid = 0;
        message_error("cannot start an appliance: %m");
        return STATUS_FAILED;
    }
    const int status = wait_until_ready(embedded, ends[0]);
    close(ends[0]);
    return status;
}

int embedded_start(struct embedded *embedded, uint32_t workers)
{
    sigset_t before;

    hold_signals(&before);
    int status = make_folder(embedded);
    if (status == STATUS_DONE)
        status = start(embedded, workers);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}

/* Wait for the child's end, at most so long; by its pidfd where there is one, so that it is noticed
 * at once. Returns whether it has ended. */
static bool wait_for_end(struct embedded *embedded, int timeout_ms)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, embedded->pid, 0), .events = POLLIN};
    pid_t ended = 0;

    for (int waited = 0; waited <= timeout_ms && ended == 0; waited += 10) {
        /* Without a pidfd (-1, which poll passes over), this looks every 10 ms. */
        if (end.fd >= 0)
            poll(&end, 1, timeout_ms);
        ended = waitpid(embedded->pid, NULL, WNOHANG);
        if (ended == 0 && end.fd < 0)
            poll(&end, 1, 10);
        else if (ended == 0)
            break;
    }
    if (end.fd >= 0)
        close(end.fd);
    return ended != 0; /* the child, or an error: there is none any more */
}

void embedded_stop(struct embedded *embedded)
{
    /* A second SIGTERM makes it give up what still runs; SIGKILL ends what does not do that. */
    static const int signals[] = {SIGTERM, SIGTERM, SIGKILL};

    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]) && embedded->pid > 0; i++) {
        kill(embedded->pid, signals[i]);
        if (wait_for_end(embedded, STOP_TIMEOUT_MS))
            embedded->pid = 0;
    }
    remove_folder(embedded);
}
