/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/peer/peer.h"
#include "utils/runtime_folder.h"

#include "agent.h"
#include "keys_shut.h"
#include "message.h"
#include "own.h"
#include "status.h"

#define READY_TIMEOUT_MS 20000
#define THREADS_MAX      1024 /* of vine-keys */

struct keys {
    struct agent agent;
    pid_t pid;
    int life_fd; /* the other process ends when this is closed; -1: there is none */
    int stop_fd; /* eventfd: the watcher is to end */
    pthread_t watcher;
    bool has_watcher;
    bool has_agent;
    char folder[PATH_MAX]; /* of the socket; empty: there is none */
    char address[PATH_MAX + 16];
};

/* ---- the process ----------------------------------------------------------------------------- */

static int make_folder(struct keys *keys)
{
    char runtime[PATH_MAX];
    int error = vine__runtime_folder(runtime, sizeof(runtime));

    if (error == 0)
        error = vine__private_folder(runtime);
    if (error == 0 && (size_t)snprintf(keys->folder, sizeof(keys->folder), "%s/keys-XXXXXX",
                                       runtime) >= sizeof(keys->folder))
        error = -ENAMETOOLONG;
    if (error == 0 && mkdtemp(keys->folder) == NULL)
        error = -errno;
    if (error < 0) {
        keys->folder[0] = '\0';
        message_error("cannot make a folder for the socket of the keys: %s", strerror(-error));
        return status_of_error(error);
    }
    snprintf(keys->address, sizeof(keys->address), "%s/socket", keys->folder);
    return STATUS_DONE;
}

static void remove_folder(const struct keys *keys)
{
    char path[sizeof(keys->address) + 8];

    if (keys->folder[0] == '\0')
        return;
    (void)unlink(keys->address);
    snprintf(path, sizeof(path), "%s.lock", keys->address);
    (void)unlink(path);
    (void)rmdir(keys->folder);
}

/* Nothing of our environment decides what it loads; but what sanitizers are told. */
static void keep_environment(char **ret_environment, size_t room)
{
    static const char *const kept[] = {"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS="};
    size_t count = 0;

    for (char **one = environ; *one != NULL; one++)
        for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
            if (strncmp(*one, kept[i], strlen(kept[i])) == 0 && count + 1 < room)
                ret_environment[count++] = *one;
    ret_environment[count] = NULL;
}

/* It finds its two descriptors at 3 and 4, wherever they are here. Returns 0 or a negated errno. */
static int spawn(struct keys *keys, char *const *argv, int report_fd, int life_fd)
{
    char *environment[8];
    const int report = fcntl(report_fd, F_DUPFD_CLOEXEC, 5);
    const int life = fcntl(life_fd, F_DUPFD_CLOEXEC, 5);
    posix_spawn_file_actions_t actions;
    int error = report < 0 || life < 0 ? EMFILE : 0;

    keep_environment(environment, sizeof(environment) / sizeof(environment[0]));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, report, 3);
    posix_spawn_file_actions_adddup2(&actions, life, 4);
    if (error == 0)
        error = posix_spawn(&keys->pid, argv[0], &actions, NULL, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    if (report >= 0)
        close(report);
    if (life >= 0)
        close(life);
    return -error;
}

static int wait_for_end(struct keys *keys)
{
    int status = 0;

    while (waitpid(keys->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    keys->pid = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : STATUS_FAILED;
}

/* For its empty line, or for the reason why it ends. */
static int wait_until_ready(struct keys *keys, int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char said[2 * PATH_MAX];
    const int count = poll(&ready, 1, READY_TIMEOUT_MS);
    const ssize_t size = count > 0 ? read(fd, said, sizeof(said) - 1) : 0;

    if (size > 0 && said[0] == '\n')
        return STATUS_DONE;
    if (size > 0) {
        said[size] = '\0';
        message_error("keys: %s", message_escape(said));
        return wait_for_end(keys); /* which comes by itself */
    }
    if (count > 0) {
        message_error("keys: their process has ended before it was ready");
    } else {
        message_error("keys: their process does not get ready");
    }
    close(keys->life_fd);
    keys->life_fd = -1;
    return wait_for_end(keys);
}

static int start(struct keys *keys, const char *folder, uint32_t threads)
{
    char program[PATH_MAX], count[16];
    int report[2] = {-1, -1}, life[2] = {-1, -1};
    int status = own_find("vine-keys", program, sizeof(program));

    if (status != STATUS_DONE)
        return status;
    snprintf(count, sizeof(count), "%u", threads < THREADS_MAX ? threads : THREADS_MAX);
    const char *const argv[] = {program, folder, keys->address, count, NULL};
    int error = pipe2(report, O_CLOEXEC) != 0 || pipe2(life, O_CLOEXEC) != 0 ? -errno : 0;
    if (error == 0)
        error = spawn(keys, (char *const *)argv, report[1], life[0]);
    if (report[1] >= 0)
        close(report[1]);
    if (life[0] >= 0)
        close(life[0]);
    keys->life_fd = life[1];
    if (error < 0) {
        message_error("cannot start %s: %s", program, strerror(-error));
        status = STATUS_FAILED;
    } else {
        status = wait_until_ready(keys, report[0]);
    }
    if (report[0] >= 0)
        close(report[0]);
    return status;
}

/* ---- the folder ------------------------------------------------------------------------------ */

/* Whether `inner` is `outer`, or below it. */
static bool is_below(const char *inner, const char *outer)
{
    char *one = realpath(inner, NULL), *other = realpath(outer, NULL);
    const size_t length = other != NULL ? strlen(other) : 0;
    const bool is = one != NULL && other != NULL && strncmp(one, other, length) == 0 &&
                    (one[length] == '/' || one[length] == '\0' || length == 1);

    free(one);
    free(other);
    return is;
}

static int shut(const char *folder, bool has_libraries)
{
    const int error = keys_shut(folder);

    if (error == 0)
        return STATUS_DONE;
    if (error != -EOPNOTSUPP) {
        message_error("cannot close %s to ourselves: %s", message_escape(folder), strerror(-error));
        return STATUS_FAILED;
    }
    if (has_libraries)
        message_warning("this kernel has no Landlock: procedure libraries can read %s themselves",
                        message_escape(folder));
    return STATUS_DONE;
}

int keys_start(const char *folder, const char *libraries, uint32_t threads, struct keys **ret_keys)
{
    struct keys *keys;

    if (libraries != NULL && is_below(folder, libraries)) {
        message_error("the folder of keys may not be in that of the procedure libraries");
        return STATUS_USAGE;
    }
    keys = calloc(1, sizeof(*keys));
    if (keys == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    keys->life_fd = -1;
    keys->stop_fd = -1;

    int status = make_folder(keys);
    if (status == STATUS_DONE)
        status = start(keys, folder, threads);
    if (status == STATUS_DONE)
        status = shut(folder, libraries != NULL);
    if (status != STATUS_DONE) {
        keys_close(keys);
        return status;
    }
    *ret_keys = keys;
    return STATUS_DONE;
}

/* ---- the pipe -------------------------------------------------------------------------------- */

static void *watcher_main(void *context)
{
    struct keys *keys = context;
    struct serve_source *source = &keys->agent.source;
    struct pollfd fds[2] = {{.fd = keys->stop_fd, .events = POLLIN},
                            {.fd = source->fd, .events = POLLIN}};

    do {
        const int wait_ms = source->look(source);

        while (poll(fds, 2, wait_ms) < 0 && errno == EINTR)
            continue;
    } while (fds[0].revents == 0);
    return NULL;
}

/* Signals go to the thread that serves. */
static int start_watcher(struct keys *keys)
{
    sigset_t all, before;

    keys->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (keys->stop_fd < 0)
        return -errno;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&keys->watcher, NULL, watcher_main, keys);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    keys->has_watcher = error == 0;
    return -error;
}

int keys_attach(struct keys *keys, struct vine_appliance *appliance)
{
    struct serve_source *source = &keys->agent.source;

    agent_init(&keys->agent, keys->address);
    keys->agent.is_beside = true;
    keys->has_agent = true;

    int error = source->open(source, appliance);
    if (error == 0) {
        error = start_watcher(keys);
        if (error < 0)
            message_error("cannot start a thread: %s", strerror(-error));
    }
    return error;
}

void keys_detach(struct keys *keys)
{
    const uint64_t stop = 1;

    if (keys == NULL || !keys->has_watcher)
        return;
    (void)!write(keys->stop_fd, &stop, sizeof(stop));
    pthread_join(keys->watcher, NULL);
    keys->has_watcher = false;
}

void keys_close(struct keys *keys)
{
    if (keys == NULL)
        return;
    keys_detach(keys);
    if (keys->has_agent)
        keys->agent.source.close(&keys->agent.source);
    if (keys->stop_fd >= 0)
        close(keys->stop_fd);
    if (keys->life_fd >= 0)
        close(keys->life_fd);
    if (keys->pid > 0)
        (void)wait_for_end(keys);
    remove_folder(keys);
    free(keys);
}
