/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include "bench.h"

#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool find(const char *program, char *path, size_t size)
{
    char self[4096] = "";

    if (strchr(program, '/') != NULL)
        return snprintf(path, size, "%s", program) < (int)size && access(path, X_OK) == 0;
    return readlink("/proc/self/exe", self, sizeof(self) - 1) > 0 &&
           snprintf(path, size, "%s/%s", dirname(self), program) < (int)size &&
           access(path, X_OK) == 0;
}

#define ARGUMENTS_MAX 16

bool bench_peer_start_on(struct bench_peer *peer, const char *program,
                         const char *const arguments[], int which)
{
    char path[8192];
    char *all[ARGUMENTS_MAX] = {path};
    int to[2];
    int from[2];

    for (int i = 0; i < ARGUMENTS_MAX - 2 && arguments[i] != NULL; i++)
        all[i + 1] = (char *)(uintptr_t)arguments[i];
    *peer = (struct bench_peer){.pid = 0};
    if (!find(program, path, sizeof(path)))
        return false;
    bench_require(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0, "pipe2");
    (void)fflush(stdout);
    peer->pid = fork();
    bench_require(peer->pid >= 0, "fork");
    if (peer->pid == 0) {
        (void)dup2(to[0], STDIN_FILENO);
        (void)dup2(from[1], STDOUT_FILENO);
        if (which >= 0)
            bench_pin(which);
        (void)execv(path, all);
        _exit(127);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    peer->to = fdopen(to[1], "w");
    peer->from = fdopen(from[0], "r");
    bench_require(peer->to != NULL && peer->from != NULL, "fdopen");
    return true;
}

bool bench_peer_start(struct bench_peer *peer, const char *program, const char *argument)
{
    const char *const arguments[] = {argument, NULL};

    return bench_peer_start_on(peer, program, arguments, -1);
}

void bench_peer_stop(struct bench_peer *peer)
{
    if (peer->pid == 0)
        return;
    (void)fclose(peer->to);
    (void)fclose(peer->from);
    (void)waitpid(peer->pid, NULL, 0);
    peer->pid = 0;
}
