/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include "bench.h"
#include "loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRIES_MAX 500 /* of a moment, until it listens, and until it has ended */
#define TEXT_MAX  4096
#define LOG_NAME  "log"

static const struct timespec moment = {.tv_nsec = 10000000};

/* ---- texts ----------------------------------------------------------------------------------- */

struct words {
    char port[16];
    char folder[32];
    char beside[PATH_MAX];
    char processes[16];
    char descriptors[16];
};

uint32_t server_raise_descriptors(void)
{
    struct rlimit limit;

    bench_require(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur < UINT32_MAX ? (uint32_t)limit.rlim_cur : UINT32_MAX;
}

static void set_words(struct words *words, const struct server *server, uint32_t processes)
{
    const uint32_t descriptors = server_raise_descriptors();
    char self[PATH_MAX] = "";

    bench_require(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "/proc/self/exe");
    (void)snprintf(words->beside, sizeof(words->beside), "%s", dirname(self));
    (void)snprintf(words->port, sizeof(words->port), "%u", server->port);
    (void)snprintf(words->folder, sizeof(words->folder), "%s", server->folder);
    (void)snprintf(words->processes, sizeof(words->processes), "%u", processes);
    /* Some allot something for each at their start. */
    (void)snprintf(words->descriptors, sizeof(words->descriptors), "%u",
                   descriptors < 65536 ? descriptors : 65536);
}

/* What stands for the word that `text` begins with, or NULL; its length in `ret_size`. */
static const char *word_at(const struct words *words, const char *text, size_t *ret_size)
{
    const struct {
        const char *name;
        const char *value;
    } all[] = {
        {"{port}", words->port},
        {"{folder}", words->folder},
        {"{beside}", words->beside},
        {"{processes}", words->processes},
        {"{descriptors}", words->descriptors},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strncmp(text, all[i].name, strlen(all[i].name)) == 0) {
            *ret_size = strlen(all[i].name);
            return all[i].value;
        }
    return NULL;
}

static void expand(const struct words *words, const char *text, char *ret_text, size_t size)
{
    size_t used = 0;

    while (*text != '\0') {
        size_t taken = 1;
        const char *const value = word_at(words, text, &taken);
        const size_t length = value != NULL ? strlen(value) : 1;

        bench_require(used + length < size, "a server's text is too long");
        memcpy(ret_text + used, value != NULL ? value : text, length);
        used += length;
        text += taken;
    }
    ret_text[used] = '\0';
}

/* ---- its folder ------------------------------------------------------------------------------ */

static FILE *create(const struct server *server, const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", server->folder, name);
    FILE *const file = fopen(path, "we");

    bench_require(file != NULL, path);
    return file;
}

static void write_files(const struct server *server, const struct words *words)
{
    static const unsigned char zeros[4096];
    /* Of a file that has just been written a server may say so, and for a second alone. */
    const struct timespec earlier[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
    FILE *file = create(server, SERVER_FILE_NAME);

    for (size_t i = 0; i < SERVER_FILE_BYTES / sizeof(zeros); i++)
        bench_require(fwrite(zeros, sizeof(zeros), 1, file) == 1, "the file to be served");
    bench_require(fflush(file) == 0 && futimens(fileno(file), earlier) == 0 && fclose(file) == 0,
                  "the file to be served");
    if (server->kind->file_name == NULL)
        return;
    char text[TEXT_MAX];

    expand(words, server->kind->file_text, text, sizeof(text));
    file = create(server, server->kind->file_name);
    bench_require(fputs(text, file) >= 0 && fclose(file) == 0, server->kind->file_name);
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *where)
{
    (void)status;
    (void)flag;
    (void)where;
    return remove(path);
}

static void remove_folder(const struct server *server)
{
    (void)nftw(server->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The last line with anything in it of what the server said. */
static void read_reason(struct server *server, int status)
{
    char path[PATH_MAX];
    char line[sizeof(server->reason)];

    (void)snprintf(server->reason, sizeof(server->reason), "it ended at once, with status %d",
                   WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    (void)snprintf(path, sizeof(path), "%s/" LOG_NAME, server->folder);
    FILE *const file = fopen(path, "re");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0')
            memcpy(server->reason, line, sizeof(line));
    }
    if (file != NULL)
        (void)fclose(file);
}

/* ---- its process ----------------------------------------------------------------------------- */

/* Whether it answers, be it that it does not understand: a supervisor's socket accepts before
 * anybody serves there. */
static bool answers(uint32_t port)
{
    static const char question[] = "PING\r\n\r\n";
    const struct timeval patience = {.tv_usec = 200000};
    const int fd = loopback_connect(port);
    char byte;
    bool is_there;

    if (fd < 0)
        return false;
    is_there = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
               send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) > 0 &&
               recv(fd, &byte, 1, 0) >= 0;
    (void)close(fd);
    return is_there;
}

static bool wait_until_it_answers(struct server *server)
{
    int status;

    for (int tries = 0; tries < TRIES_MAX; tries++) {
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            read_reason(server, status);
            server->pid = 0;
            return false;
        }
        if (answers(server->port))
            return true;
        (void)nanosleep(&moment, NULL);
    }
    (void)snprintf(server->reason, sizeof(server->reason), "it does not answer");
    return false;
}

static _Noreturn void become(const struct server *server, const char *program, char **arguments)
{
    const int nothing = open("/dev/null", O_RDONLY);

    /* A group of its own, so that all of it is stopped; and it does not outlive us. */
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(server->folder) != 0)
        _exit(127);
    const int log = open(LOG_NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(log, STDOUT_FILENO);
    (void)dup2(log, STDERR_FILENO);
    bench_pin(0);
    (void)execv(program, arguments);
    _exit(127);
}

static void start_process(struct server *server, const struct words *words, const char *program)
{
    char texts[SERVER_ARGUMENTS_MAX][PATH_MAX];
    char *arguments[SERVER_ARGUMENTS_MAX + 2] = {(char *)(uintptr_t)program};

    for (size_t i = 0; i < SERVER_ARGUMENTS_MAX && server->kind->arguments[i] != NULL; i++) {
        expand(words, server->kind->arguments[i], texts[i], sizeof(texts[i]));
        arguments[i + 1] = texts[i];
    }
    (void)fflush(stdout);
    server->pid = fork();
    bench_require(server->pid >= 0, "fork");
    if (server->pid == 0)
        become(server, program, arguments);
    (void)setpgid(server->pid, server->pid);
}

bool server_start(struct server *server, const struct server_kind *kind, uint32_t processes)
{
    char program[PATH_MAX];
    struct words words;

    *server = (struct server){
        .kind = kind, .port = loopback_find_port(), .folder = "/tmp/vine-bench-XXXXXX"};
    set_words(&words, server, processes);
    expand(&words, kind->program, program, sizeof(program));
    if (access(program, X_OK) != 0) {
        (void)snprintf(server->reason, sizeof(server->reason), "it is not here; it comes with %s",
                       kind->from);
        return false;
    }
    bench_require(mkdtemp(server->folder) != NULL, server->folder);
    set_words(&words, server, processes);
    write_files(server, &words);
    start_process(server, &words, program);
    if (wait_until_it_answers(server))
        return true;
    server_stop(server);
    return false;
}

void server_stop(struct server *server)
{
    if (server->pid != 0) {
        pid_t ended = 0;

        (void)kill(-server->pid, SIGTERM);
        for (int tries = 0; ended == 0 && tries < TRIES_MAX / 5; tries++) {
            ended = waitpid(server->pid, NULL, WNOHANG);
            if (ended == 0)
                (void)nanosleep(&moment, NULL);
        }
        (void)kill(-server->pid, SIGKILL);
        if (ended == 0)
            (void)waitpid(server->pid, NULL, 0);
        server->pid = 0;
    }
    remove_folder(server);
}
