/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_accelerator.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest_cache.h"
#include "message.h"
#include "status.h"

#define PATIENCE_MS  500                      /* before we say what takes so long */
#define TIMEOUT_NS   (5 * VINE_NS_PER_SECOND) /* where KVM boots a guest, it takes one */
#define MEMORY_BYTES (UINT64_C(256) << 20)

struct answer {
    enum vine__accelerator accelerator;
    char why[VINE__PROBE_TEXT_BYTES];
};

_Noreturn static void child_main(const struct guest_accelerator_question *question,
                                 const char *folder, pid_t parent, int fd)
{
    const struct vine__machine_description description = {
        .memory_bytes = MEMORY_BYTES,
        .cpu_count = 1,
        .kernel = question->kernel,
        .initrd = question->initrd,
    };
    const struct vine__probe_options options = {
        .description = &description,
        .folder = folder,
        .timeout_ns = TIMEOUT_NS,
        .asks_anew = question->asks_anew,
    };
    struct answer answer = {0};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(STATUS_FAILED);
    answer.accelerator = vine__probe_accelerator(&options, answer.why);
    (void)!write(fd, &answer, sizeof(answer));
    _exit(STATUS_DONE);
}

/* Returns a status. */
static int wait_for(int fd, int stop_fd, struct answer *ret_answer)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
    int count = poll(fds, 2, PATIENCE_MS);

    if (count == 0)
        message_note("trying whether KVM boots this guest, for five seconds at most; the answer is "
                     "kept");
    while (count == 0 || (count < 0 && errno == EINTR))
        count = poll(fds, 2, -1);
    if (fds[1].revents != 0)
        return STATUS_INTERRUPTED;
    return read(fd, ret_answer, sizeof(*ret_answer)) == (ssize_t)sizeof(*ret_answer)
               ? STATUS_DONE
               : STATUS_FAILED;
}

/* What one that was killed could not take away. */
static void clean_up(const char *folder, pid_t pid)
{
    char path[4096 + 32];

    snprintf(path, sizeof(path), "%s/probe-%d.qmp", folder, (int)pid);
    (void)unlink(path);
}

int guest_accelerator_ask(const struct guest_accelerator_question *question,
                          enum vine__accelerator *ret_accelerator,
                          char ret_why[VINE__PROBE_TEXT_BYTES])
{
    const pid_t self = getpid();
    struct answer answer = {.accelerator = VINE__ACCELERATOR_TCG};
    char folder[GUEST_CACHE_FOLDER_BYTES];
    int ends[2], status = guest_cache_find(folder);

    if (status != STATUS_DONE)
        return status;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        message_error("cannot try KVM: %m");
        return STATUS_FAILED;
    }
    fflush(NULL);
    const pid_t pid = fork();

    if (pid == 0)
        child_main(question, folder, self, ends[1]);
    (void)close(ends[1]);
    status = pid > 0 ? wait_for(ends[0], question->stop_fd, &answer) : STATUS_FAILED;
    (void)close(ends[0]);
    if (pid > 0 && status != STATUS_DONE)
        (void)kill(pid, SIGKILL);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    if (pid > 0 && status != STATUS_DONE)
        clean_up(folder, pid);
    if (status == STATUS_FAILED)
        message_error("cannot try whether KVM boots a guest");
    *ret_accelerator = answer.accelerator;
    snprintf(ret_why, VINE__PROBE_TEXT_BYTES, "%s", answer.why);
    return status;
}

bool guest_accelerator_latest(enum vine__accelerator *ret_accelerator,
                              char ret_why[VINE__PROBE_TEXT_BYTES])
{
    char folder[GUEST_CACHE_FOLDER_BYTES];

    return guest_cache_name(folder) == 0 && vine__probe_latest(folder, ret_accelerator, ret_why);
}
