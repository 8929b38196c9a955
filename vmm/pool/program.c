/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/program_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Messages that we can pass on, and no settings of whoever calls us. */
static char *const environment[] = {(char[]){"LC_ALL=C"},
                                    (char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, NULL};

static int spawn(const char *path, const char *const *words, int said, const int *kept_fds,
                 pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, said, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, said, STDERR_FILENO);
    for (; kept_fds != NULL && *kept_fds >= 0; kept_fds++) /* onto itself: exec does not close it */
        posix_spawn_file_actions_adddup2(&actions, *kept_fds, *kept_fds);
    const int error = posix_spawn(ret_pid, path, &actions, &attributes,
                                  (char *const *)(uintptr_t)words, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -error;
}

static int spawn_found(const char *const *words, int said, const int *kept_fds, pid_t *ret_pid)
{
    static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin"};
    char path[64];
    int error = -ENOENT;

    for (size_t i = 0; error == -ENOENT && i < sizeof(folders) / sizeof(folders[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folders[i], words[0]);
        error = spawn(path, words, said, kept_fds, ret_pid);
    }
    return error;
}

/* The last line of what was said, printable, without those that are indented, which only add to it,
 * as mount(8) says where else one may look. */
static void keep_last_line(int said, char ret_said[VINE__PROGRAM_SAID_BYTES])
{
    char text[2048];
    struct stat status;
    off_t from = 0;

    ret_said[0] = '\0';
    if (fstat(said, &status) == 0 && status.st_size > (off_t)sizeof(text))
        from = status.st_size - (off_t)sizeof(text);
    const ssize_t got = pread(said, text, sizeof(text), from);
    size_t end = got > 0 ? (size_t)got : 0;
    while (end > 0 && text[end - 1] == '\n')
        end--;
    size_t begin = end;
    while (begin > 0 && (text[begin - 1] != '\n' || text[begin] == ' ')) {
        begin--;
        if (text[begin] == '\n')
            end = begin;
    }
    size_t size = 0;
    for (size_t i = begin; i < end && size < VINE__PROGRAM_SAID_BYTES - 1; i++)
        ret_said[size++] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : ' ');
    ret_said[size] = '\0';
}

int vine__program_run(const char *const *words, const int *kept_fds,
                      char ret_said[VINE__PROGRAM_SAID_BYTES])
{
    const int said = memfd_create("said", MFD_CLOEXEC);
    pid_t pid = 0;
    int status = 0;
    int result = said < 0 ? -errno : spawn_found(words, said, kept_fds, &pid);

    if (result == 0) {
        while (waitpid(pid, &status, 0) < 0)
            if (errno != EINTR) {
                result = -errno;
                break;
            }
        keep_last_line(said, ret_said);
        if (result == 0)
            result = WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
    }
    if (said >= 0)
        (void)close(said);
    return result;
}
