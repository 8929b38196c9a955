/* SPDX-License-Identifier: Apache-2.0 */
#include "subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The environment with messages that we can read. Shares the texts; the array is for free(). */
static char **plain_environment(void)
{
    size_t count = 0, kept = 0;

    while (environ[count] != NULL)
        count++;
    char **environment = calloc(count + 2, sizeof(environment[0]));
    if (environment == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "LC_ALL=", 7) != 0 && strncmp(environ[i], "LANGUAGE=", 9) != 0)
            environment[kept++] = environ[i];
    environment[kept] = "LC_ALL=C";
    return environment;
}

/* Returns a pid or a negated errno. */
static int start(const char *const *argv, const char *directory, int output, int errors)
{
    char **environment = plain_environment();
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults, none;
    pid_t pid = 0;

    if (environment == NULL)
        return -ENOMEM;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE); /* which we ignore */
    sigaddset(&defaults, SIGXFSZ);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    sigemptyset(&none); /* what we block, and read from a signalfd, ends it */
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    if (directory != NULL)
        posix_spawn_file_actions_addchdir_np(&actions, directory);
    const int error =
        posix_spawnp(&pid, argv[0], &actions, &attributes, (char *const *)argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(environment);
    return error != 0 ? -error : pid;
}

/* Map what a descriptor holds, with a zero behind it. */
static int map(int fd, char **ret_text, size_t *ret_size)
{
    struct stat status;

    if (fstat(fd, &status) < 0 || ftruncate(fd, status.st_size + 1) < 0)
        return -errno;
    void *text = mmap(NULL, (size_t)status.st_size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (text == MAP_FAILED)
        return -errno;
    *ret_text = text;
    *ret_size = (size_t)status.st_size;
    return 0;
}

static void keep_last_line(int fd, struct subprocess *subprocess)
{
    char *text;
    size_t size;

    if (map(fd, &text, &size) < 0)
        return;
    size_t end = size;
    while (end > 0 && text[end - 1] == '\n')
        end--;
    size_t begin = end;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    if (end - begin >= sizeof(subprocess->said))
        end = begin + sizeof(subprocess->said) - 1;
    memcpy(subprocess->said, text + begin, end - begin);
    munmap(text, size + 1);
}

int subprocess_run(const char *const *argv, const char *directory,
                   struct subprocess *ret_subprocess)
{
    const int output = memfd_create("output", MFD_CLOEXEC);
    const int errors = memfd_create("errors", MFD_CLOEXEC);
    struct subprocess subprocess = {0};
    int error = output < 0 || errors < 0 ? -errno : 0;
    int status;

    if (error == 0) {
        const int pid = start(argv, directory, output, errors);
        if (pid < 0)
            error = pid;
        else
            while (waitpid(pid, &status, 0) < 0)
                continue;
    }
    if (error == 0) {
        subprocess.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        error = map(output, &subprocess.output, &subprocess.size);
    }
    if (error == 0) {
        keep_last_line(errors, &subprocess);
        *ret_subprocess = subprocess;
    }
    if (output >= 0)
        close(output);
    if (errors >= 0)
        close(errors);
    return error;
}

void subprocess_free(struct subprocess *subprocess)
{
    if (subprocess->output != NULL)
        munmap(subprocess->output, subprocess->size + 1);
    *subprocess = (struct subprocess){0};
}
