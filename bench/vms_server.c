/* SPDX-License-Identifier: Apache-2.0 */
#include "vms_server.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_BYTES 160

static char folder[] = "/tmp/vine-bench-XXXXXX";
static pid_t server;

void vms_begin(void)
{
    /* root's QEMU is another user */
    bench_require(mkdtemp(folder) != NULL && chmod(folder, 0711) == 0, "a folder");
}

const char *vms_folder(void)
{
    return folder;
}

const char *vms_at(const char *name)
{
    static _Thread_local char paths[4][PATH_BYTES];
    static _Thread_local int next;
    char *const path = paths[next++ % 4];

    (void)snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    return path;
}

static void configure(const char *qemu, const char *pool, uint32_t connections)
{
    FILE *const file = fopen(vms_at("conf"), "w");

    bench_require(file != NULL, "the configuration");
    (void)fprintf(file,
                  "{\"version\": 1, \"accelerator\": \"tcg\", \"console_links\": \"runtime\", "
                  "\"connections\": %u, \"qemu\": \"%s\", \"pools\": [\"%s\"]}",
                  connections, qemu, vms_at(pool));
    (void)fclose(file);
}

void vms_start(const char *pool, uint32_t connections)
{
    char self[PATH_BYTES], program[PATH_BYTES + 32];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    bench_require(length > 0, "the program's own path");
    self[length] = '\0';
    configure(self, pool, connections);
    *strrchr(self, '/') = '\0';
    (void)snprintf(program, sizeof(program), "%s/../vine-server", self);
    server = fork();
    bench_require(server >= 0, "fork");
    if (server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)execl(program, program, "--quiet", "--config", vms_at("conf"), "--state",
                    vms_at("state"), "--runtime", vms_at("run"), (char *)NULL);
        perror(program);
        _exit(1);
    }
}

pid_t vms_server(void)
{
    return server;
}

int vms_reach(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", vms_at(name));
    for (int tries = 0; connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0;) {
        bench_require(++tries < 6000 && waitpid(server, NULL, WNOHANG) != server, "the server");
        (void)poll(NULL, 0, 10);
    }
    return fd;
}

/* What is answered begins with the request's line and the status line of success; a failure has no
 * more than those two. */
static bool is_well(const char *answer, size_t size)
{
    const char *const status = memchr(answer, '\n', size);

    return status != NULL && size - (size_t)(status - answer) >= 3 &&
           strncmp(status, "\n0\n", 3) == 0;
}

const char *vms_ask(int fd, const char *request, int line_count)
{
    static _Thread_local char answer[VMS_ANSWER_BYTES + 1];
    size_t size = 0;
    int lines = 0;

    bench_require(write(fd, request, strlen(request)) == (ssize_t)strlen(request), "a request");
    while (lines < line_count && (lines < 2 || is_well(answer, size))) {
        const ssize_t got = read(fd, answer + size, VMS_ANSWER_BYTES - size);

        bench_require(got > 0, "an answer");
        for (ssize_t i = 0; i < got; i++)
            lines += answer[size++] == '\n';
    }
    if (!is_well(answer, size)) {
        (void)fprintf(stderr, "`%s` was answered with `%.*s`\n", request, (int)size, answer);
        exit(1);
    }
    answer[size] = '\0';
    return answer;
}

void vms_end(void)
{
    char command[PATH_BYTES];

    (void)kill(server, SIGTERM);
    (void)waitpid(server, NULL, 0);
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    bench_require(system(command) == 0, "the folder's removal");
}
