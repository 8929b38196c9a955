/* SPDX-License-Identifier: Apache-2.0 */
/* One process of a service: started, heard, ended. */
#include "core/supervise/supervise_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/log.h>

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "utils/assert.h"

#define READS_MAX 64 /* a turn: who says more waits */

/* ---- the environment ------------------------------------------------------------------------- */

#define VARIABLES_OURS 4
#define VARIABLE_BYTES 96

struct environment {
    char **all;
    char fds[VARIABLE_BYTES];
    char pid[VARIABLE_BYTES];
    char supervised[VARIABLE_BYTES];
    char *names;
    char *numbers[3]; /* where the process writes its own number */
};

static bool is_ours(const char *variable)
{
    static const char *const names[] = {
        "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=", STATUS_VARIABLE "="};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static char *join_names(const struct listeners *listeners)
{
    static const char prefix[] = "LISTEN_FDNAMES=";
    size_t size = sizeof(prefix) + listeners->count;

    for (uint32_t i = 0; i < listeners->count; i++)
        size += strlen(listeners->all[i].name);
    char *const text = malloc(size);
    size_t length = sizeof(prefix) - 1;

    if (text == NULL)
        return NULL;
    memcpy(text, prefix, length);
    for (uint32_t i = 0; i < listeners->count; i++) {
        const size_t name_length = strlen(listeners->all[i].name);

        if (i > 0)
            text[length++] = ':';
        memcpy(text + length, listeners->all[i].name, name_length);
        length += name_length;
    }
    text[length] = '\0';
    return text;
}

static int environment_init(struct environment *environment, const struct supervisor *supervisor,
                            uint32_t index)
{
    const uint32_t count = supervisor->listeners.count;
    size_t length = 0, kept = 0;

    while (environ[length] != NULL)
        length++;
    *environment = (struct environment){
        .all = calloc(length + VARIABLES_OURS + 1, sizeof(environment->all[0])),
        .names = join_names(&supervisor->listeners),
    };
    if (environment->all == NULL || environment->names == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < length; i++)
        if (!is_ours(environ[i]))
            environment->all[kept++] = environ[i];
    (void)snprintf(environment->fds, VARIABLE_BYTES, "LISTEN_FDS=%u", count);
    const int pid_at = snprintf(environment->pid, VARIABLE_BYTES, "LISTEN_PID=");
    const int supervised_at =
        snprintf(environment->supervised, VARIABLE_BYTES, STATUS_VARIABLE "=%u %u %u ", index,
                 supervisor->place_count, STATUS_FIRST_FD + count);

    VINE_ASSERT(pid_at + VINE__SPAWN_NUMBER_BYTES <= VARIABLE_BYTES);
    VINE_ASSERT(supervised_at + VINE__SPAWN_NUMBER_BYTES <= VARIABLE_BYTES);
    environment->numbers[0] = environment->pid + pid_at;
    environment->numbers[1] = environment->supervised + supervised_at;
    environment->all[kept++] = environment->fds;
    environment->all[kept++] = environment->pid;
    environment->all[kept++] = environment->supervised;
    environment->all[kept++] = environment->names;
    return 0;
}

static void environment_fini(struct environment *environment)
{
    free(environment->all);
    free(environment->names);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static int spawn(const struct supervisor *supervisor, struct process *process, int status_fd)
{
    int descriptors[VINE_SUPERVISE_LISTENERS_MAX + 1];
    struct environment environment;
    int error = environment_init(&environment, supervisor, process->place->index);

    VINE_STATIC_ASSERT(VINE_SUPERVISE_LISTENERS_MAX + 1 <= VINE__SPAWN_DESCRIPTORS_MAX,
                       "all sockets and the pipe");
    for (uint32_t i = 0; i < supervisor->listeners.count; i++)
        descriptors[i] = supervisor->listeners.all[i].fd;
    descriptors[supervisor->listeners.count] = status_fd;

    const struct vine__spawn_options options = {
        .path = supervisor->path,
        .other = "/proc/self/exe",
        .argv = supervisor->argv,
        .environment = environment.all,
        .descriptors = descriptors,
        .descriptor_count = supervisor->listeners.count + 1,
        .numbers = environment.numbers,
    };

    if (error == 0)
        error = vine__spawn(&options, &process->spawned);
    environment_fini(&environment);
    return error;
}

static int watch(const struct supervisor *supervisor, struct process *process)
{
    process->life = (struct watched){.kind = WATCHED_LIFE, .process = process};
    process->status = (struct watched){.kind = WATCHED_STATUS, .process = process};
    int error = vine__epoll_add(supervisor->epoll_fd, process->spawned.pidfd, &process->life);

    if (error == 0)
        error = vine__epoll_add(supervisor->epoll_fd, process->status_fd, &process->status);
    return error;
}

static int start(struct supervisor *supervisor, struct process *process)
{
    int status_fd;
    int error = vine__pipe_create(&process->status_fd, &status_fd);

    if (error != 0)
        return error;
    error = spawn(supervisor, process, status_fd);
    (void)close(status_fd);
    return error != 0 ? error : watch(supervisor, process);
}

/* It was never among the others. */
static void undo(struct process *process)
{
    if (process->spawned.pid != 0)
        vine__spawned_kill(&process->spawned);
    if (process->status_fd >= 0)
        (void)close(process->status_fd);
    free(process);
}

int vine__member_start(struct supervisor *supervisor, struct place *place)
{
    struct process *const process = calloc(1, sizeof(*process));
    int error = process == NULL ? -ENOMEM : 0;

    if (error == 0) {
        process->place = place;
        process->status_fd = -1;
        process->started_ns = vine__clock_now_ns();
        process->deadline_ns = process->started_ns + supervisor->options.start_ns;
        error = start(supervisor, process);
        if (error != 0)
            undo(process);
    }
    if (error != 0) {
        vine_log(SUPERVISE_LOG, VINE_LOG_ERROR, "process %u cannot be started: %s", place->index,
                 vine_error_text(error));
        return error;
    }
    vine__list_push_back(&supervisor->processes, &process->link);
    supervisor->process_count++;
    if (place->current == NULL)
        place->current = process;
    else
        place->coming = process;
    return 0;
}

/* ---- what it says ---------------------------------------------------------------------------- */

static bool take_line(struct process *process)
{
    const size_t words_at = strlen(STATUS_WORDS);
    const size_t length = process->line_length;

    if (length == strlen(STATUS_READY) && memcmp(process->line, STATUS_READY, length) == 0) {
        const bool is_news = !process->is_ready;

        process->is_ready = true;
        return is_news;
    }
    if (length > words_at && memcmp(process->line, STATUS_WORDS, words_at) == 0) {
        const size_t kept = length - words_at < VINE_SUPERVISED_WORDS_BYTES
                                ? length - words_at
                                : VINE_SUPERVISED_WORDS_BYTES;

        memcpy(process->words, process->line + words_at, kept);
        process->words[kept] = '\0';
    }
    return false; /* whatever else it may be means nothing */
}

static bool take_bytes(struct process *process, const char *bytes, size_t size)
{
    bool is_ready_now = false;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            is_ready_now |= take_line(process);
            process->line_length = 0;
        } else if (process->line_length < sizeof(process->line)) {
            process->line[process->line_length++] = bytes[i];
        }
    }
    return is_ready_now;
}

bool vine__member_hear(struct supervisor *supervisor, struct process *process)
{
    bool is_ready_now = false;
    char bytes[1024];

    for (int i = 0; i < READS_MAX && process->status_fd >= 0; i++) {
        const ssize_t size = read(process->status_fd, bytes, sizeof(bytes));

        if (size > 0) {
            is_ready_now |= take_bytes(process, bytes, (size_t)size);
        } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
            vine__epoll_remove(supervisor->epoll_fd, process->status_fd);
            (void)close(process->status_fd);
            process->status_fd = -1;
        } else if (errno == EAGAIN) {
            break;
        }
    }
    return is_ready_now;
}

/* ---- what is said of it, and its end --------------------------------------------------------- */

void vine__member_log(enum vine_log_level level, const struct process *process, const char *what)
{
    vine_log(SUPERVISE_LOG, level, "process %u (pid %d) %s", process->place->index,
             (int)process->spawned.pid, what);
}

void vine__member_leave(struct process *process, uint64_t now_ns, uint64_t patience_ns)
{
    const bool has_less = process->is_leaving && process->deadline_ns < now_ns + patience_ns;

    vine__spawned_signal(&process->spawned, SIGTERM);
    process->is_leaving = true;
    if (!has_less)
        process->deadline_ns = now_ns + patience_ns;
}

void vine__member_kill(struct process *process)
{
    process->is_killed = true;
    process->deadline_ns = VINE_FOREVER;
    vine__spawned_signal(&process->spawned, SIGKILL);
}

void vine__member_free(struct supervisor *supervisor, struct process *process)
{
    vine__list_remove(&process->link);
    supervisor->process_count--;
    if (process->status_fd >= 0)
        (void)close(process->status_fd);
    vine__spawned_close(&process->spawned);
    free(process);
}
