/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vine/error.h>

#include "../procedures/procedures.h"

#include "descriptors.h"
#include "events.h"
#include "keys.h"
#include "message.h"
#include "processors.h"
#include "shares.h"
#include "status.h"

#define WATCH_AGAIN 1ULL
#define WATCH_STOP  0x100000000ULL

static const char *called(const struct serve_options *options)
{
    return options->source != NULL ? options->source->verb : "appliance";
}

int server_init(struct server *server, const struct serve_options *options)
{
    *server = (struct server){.options = options, .watch_fd = -1};
    if (options->workers > SERVER_WORKERS_MAX) {
        message_error("at most %d workers", SERVER_WORKERS_MAX);
        return STATUS_USAGE;
    }
    snprintf(server->gone_text, sizeof(server->gone_text),
             "vine %s: what still runs does not end; gone without it\n", called(options));
    server->descriptors = descriptors_raise();
    server->watch_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return STATUS_DONE;
}

uint32_t server_workers(const struct serve_options *options)
{
    const uint32_t processors = processors_count();

    if (options->workers != 0)
        return options->workers;
    return processors > 1 ? processors - 1 : 1;
}

/* ---- what it offers -------------------------------------------------------------------------- */

void server_appliance_options(struct server *server, struct vine_appliance_options *ret_options)
{
    const struct serve_options *const options = server->options;
    const struct serve_source *const source = options->source;

    *ret_options = (struct vine_appliance_options){
        .size_bytes = sizeof(*ret_options),
        .pipes_max = SERVER_PIPES,
        .spin_ns = options->spin_ns,
        .log = message_log,
        .log_context = (void *)(uintptr_t)&options->is_verbose,
        .event = options->json ? events_appliance : NULL,
        .leaves = true,
        .shares = options->shares != NULL && options->shares->count > 0 ? shares_of : NULL,
        .shares_context = options->shares,
        .dispatch_max_ns = options->dispatch_max_ns,
        .leave_ns = options->leave_ns,
        .running_max = source != NULL ? source->running_max : 0,
        .sessions_max = source != NULL          ? source->sessions_max
                        : options->keys != NULL ? KEYS_SESSIONS_MAX
                                                : 0,
    };
}

static int register_all(struct server *server)
{
    for (size_t i = 0; i < vine_shipped_procedure_count; i++) {
        const struct vine_procedure_definition *const plain = vine_shipped_procedures[i];
        const int error = vine_appliance_register(
            server->appliance,
            server->options->offered != NULL ? server->options->offered(plain) : plain);
        if (error < 0) {
            message_error("procedure %s: %s", vine_shipped_procedures[i]->name,
                          vine_error_text(error));
            return error;
        }
    }
    return 0;
}

static void log_library(void *context, enum vine_log_level level, const char *text)
{
    const struct server *server = context;

    message_log((void *)(uintptr_t)&server->options->is_verbose, level, text);
}

static void tell_library(void *context, const struct vine_library_news *news)
{
    const struct server *server = context;

    if (server->options->json)
        events_library(news);
}

int server_offer(struct server *server, struct vine_appliance *appliance)
{
    const struct serve_options *const options = server->options;
    const struct vine_library_watcher watcher = {
        .log = log_library, .news = tell_library, .context = server};
    int error;

    server->appliance = appliance;
    if (options->source != NULL) {
        error = options->source->open(options->source, appliance);
        server->is_behind_missing = error < 0;
    } else {
        error = register_all(server);
        if (error == 0 && options->keys != NULL)
            error = keys_attach(options->keys, appliance);
    }
    if (error == 0 && options->libraries != NULL) {
        error = vine_library_open(options->libraries, appliance, &watcher, &server->libraries);
        if (error == -ENOMEM) /* all else is told where it happens */
            message_error("out of memory");
    }
    return error;
}

/* ---- looking for news of it ------------------------------------------------------------------ */

/* Look for news of procedures. Returns after how many milliseconds to look again, if nothing calls
 * for it before; -1: never. */
static int look(struct server *server)
{
    struct serve_source *const source = server->options->source;

    if (source != NULL)
        return source->look(source);
    vine_library_rescan(server->libraries);
    /* Where the kernel gives no descriptor: once a second. */
    return vine_library_fd(server->libraries) < 0 ? 1000 : -1;
}

/* Waits for the directory, or what else procedures come from, to change, or for SIGHUP. */
static void *watcher_main(void *context)
{
    struct server *server = context;
    const struct serve_source *const source = server->options->source;
    struct pollfd fds[2] = {
        {.fd = server->watch_fd, .events = POLLIN},
        {.fd = source != NULL ? source->fd : vine_library_fd(server->libraries), .events = POLLIN}};
    int wait_ms = look(server);

    for (;;) {
        uint64_t events = 0;

        if (poll(fds, 2, wait_ms) < 0 && errno != EINTR) /* it passes over -1 */
            break;
        if (fds[0].revents != 0 &&
            read(server->watch_fd, &events, sizeof(events)) == sizeof(events) &&
            events >= WATCH_STOP)
            break;
        wait_ms = look(server);
    }
    return NULL;
}

int server_start_thread(pthread_t *thread, void *(*main)(void *), void *context)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(thread, NULL, main, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

int server_watch(struct server *server)
{
    int error = 0;

    if (server->libraries != NULL || server->options->source != NULL) {
        error = server_start_thread(&server->watcher, watcher_main, server);
        server->has_watcher = error == 0;
    }
    if (error == 0 && server->options->shows_progress)
        error = serve_progress_begin(&server->progress, server->appliance);
    return error;
}

static void order(const struct server *server, uint64_t what)
{
    if (server->watch_fd >= 0)
        (void)!write(server->watch_fd, &what, sizeof(what));
}

void server_look_again(const struct server *server)
{
    order(server, WATCH_AGAIN);
}

void server_unwatch(struct server *server)
{
    if (server->has_watcher) {
        order(server, WATCH_STOP);
        pthread_join(server->watcher, NULL);
        server->has_watcher = false;
    }
    keys_detach(server->options->keys); /* it registers procedures */
    serve_progress_end(&server->progress);
}

/* ---- what it says ---------------------------------------------------------------------------- */

void server_say_ready(struct server *server, uint32_t workers, uint32_t cores)
{
    const struct serve_options *const options = server->options;
    const char *const behind = options->source != NULL ? options->source->behind : NULL;
    char on[48] = "";

    if (cores != 0)
        snprintf(on, sizeof(on), "%u core%s, ", cores, cores == 1 ? "" : "s");
    if (!options->is_embedded) {
        fprintf(stderr, "vine %s: ready at %s (%s%s%s%s%u worker%s)\n", called(options),
                vine_appliance_address(server->appliance), behind != NULL ? "for " : "",
                behind != NULL ? behind : "", behind != NULL ? ", " : "", on, workers,
                workers == 1 ? "" : "s");
        fflush(stderr);
    }
    if (options->json)
        events_listening(server->appliance, workers, cores, behind);
    if (options->ready_fd >= 0) {
        (void)!write(options->ready_fd, "\n", 1);
        close(options->ready_fd);
    }
    if (!options->is_embedded)
        descriptors_say_if_few(server->descriptors, SERVER_PIPES);
}

/* Append ", 3 pipes lost", unless there are none. */
static void add_count(char *text, size_t size, uint64_t count, const char *thing, const char *what)
{
    const size_t length = strlen(text);

    if (count > 0)
        snprintf(text + length, size - length, ", %llu %s%s %s", (unsigned long long)count, thing,
                 count == 1 ? "" : "s", what);
}

void server_say_what_was_done(const struct server *server)
{
    struct vine_appliance_stats stats;
    char text[256] = "";

    vine_appliance_get_stats(server->appliance, &stats);
    add_count(text, sizeof(text), stats.pipes_accepted, "pipe", "served");
    add_count(text, sizeof(text), stats.tasks_done, "task", "done");
    add_count(text, sizeof(text), stats.tasks_failed, "task", "failed");
    add_count(text, sizeof(text), stats.pipes_lost, "pipe", "lost");
    add_count(text, sizeof(text), stats.pipes_broken, "pipe", "closed for breaking the protocol");
    message_note("stopped; %s", text[0] != '\0' ? text + 2 : "nobody came");
}

static int status_of_serving(int error)
{
    return error == -EADDRINUSE     ? STATUS_TRY_AGAIN
           : error == -VINE_ECONFIG ? STATUS_USAGE
                                    : status_of_error(error);
}

int server_tell_end(const struct server *server, int error)
{
    const int status =
        server->is_behind_missing ? status_of_connect(error) : status_of_serving(error);

    if (server->options->json)
        events_stopped(server->appliance, error, message_last_error(), status);
    return status;
}

void server_go_without(const struct server *server)
{
    (void)!write(STDERR_FILENO, server->gone_text, strlen(server->gone_text));
    _exit(STATUS_FAILED);
}

void server_close(struct server *server)
{
    vine_library_close(server->libraries); /* the appliance used their definitions to its end */
    server->libraries = NULL;
    if (server->options->source != NULL)
        server->options->source->close(server->options->source);
    if (server->watch_fd >= 0)
        close(server->watch_fd);
    server->watch_fd = -1;
}
