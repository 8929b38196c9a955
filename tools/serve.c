/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vine/appliance.h>
#include <vine/error.h>

#include "../procedures/procedures.h"

#include "descriptors.h"
#include "events.h"
#include "keys.h"
#include "library.h"
#include "message.h"
#include "processors.h"
#include "serve_progress.h"
#include "status.h"

#define WORKERS_MAX  1024
#define PIPES        4096 /* served at once */
#define LAST_SECONDS 3    /* between giving up what runs and ending without it */

struct server {
    struct vine_appliance *appliance;
    struct vine_library_set *libraries;
    struct serve_source *source; /* or NULL */
    struct keys *keys;           /* or NULL */
    bool is_behind_missing;      /* the source could not reach what it is the source of */
    bool is_verbose;
    uint64_t spin_ns;
    bool is_embedded;
    bool json;
    uint32_t worker_count;
    pthread_t workers[WORKERS_MAX];
    pthread_t watcher;
    bool has_watcher;
    struct serve_progress progress;
};

/* What the signal handlers reach: one appliance at a time. Set before they are, and while they are
 * never changed. */
static struct vine_appliance *signaled_appliance;
static int watch_fd = -1; /* eventfd: 1 look at the libraries again, WATCH_STOP end the watcher */
#define WATCH_STOP 0x100000000ULL

static unsigned drain_seconds;
static sig_atomic_t stops;
static char gone_text[96]; /* made before a handler needs it */

/* A handler that never returns holds the loop or a worker for ever, and no thread can be taken away
 * from it: after the second limit the process ends without it. */
static void on_stop(int number)
{
    const int error = errno;

    if (number == SIGALRM && stops > 1) {
        (void)!write(STDERR_FILENO, gone_text, strlen(gone_text));
        _exit(STATUS_FAILED);
    }
    vine_appliance_stop(signaled_appliance);
    stops++;
    /* Whoever sends a second signal, or the time, has the running tasks given up. */
    (void)alarm(stops == 1 ? drain_seconds : LAST_SECONDS);
    errno = error;
}

static void on_hangup(int number)
{
    const int error = errno;
    const uint64_t again = 1;

    (void)number;
    if (watch_fd >= 0)
        (void)!write(watch_fd, &again, sizeof(again));
    errno = error;
}

static void set_handler(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler}; /* a sleep is to end */

    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void serve_signals(sigset_t *ret_signals)
{
    sigemptyset(ret_signals);
    sigaddset(ret_signals, SIGTERM);
    sigaddset(ret_signals, SIGINT);
    sigaddset(ret_signals, SIGHUP);
}

/* Who started us may have held them back until now (embedded.c). */
static void take_signals(void)
{
    sigset_t ours;

    set_handler(SIGTERM, on_stop);
    set_handler(SIGINT, on_stop);
    set_handler(SIGHUP, on_hangup);
    serve_signals(&ours);
    pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
}

static void *worker_main(void *context)
{
    struct server *server = context;

    vine_appliance_work(server->appliance);
    return NULL;
}

/* Look for news of procedures. Returns after how many milliseconds to look again, if nothing calls
 * for it before; -1: never. */
static int look(struct server *server)
{
    if (server->source != NULL)
        return server->source->look(server->source);
    vine_library_rescan(server->libraries);
    /* Where the kernel gives no descriptor: once a second. */
    return vine_library_fd(server->libraries) < 0 ? 1000 : -1;
}

/* Waits for the directory, or what else procedures come from, to change, or for SIGHUP. */
static void *watcher_main(void *context)
{
    struct server *server = context;
    const int fd = server->source != NULL ? server->source->fd : vine_library_fd(server->libraries);
    struct pollfd fds[2] = {{.fd = watch_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    int wait_ms = look(server);

    for (;;) {
        uint64_t events = 0;

        if (poll(fds, 2, wait_ms) < 0 && errno != EINTR) /* it passes over -1 */
            break;
        if (fds[0].revents != 0 && read(watch_fd, &events, sizeof(events)) == sizeof(events) &&
            events >= WATCH_STOP)
            break;
        wait_ms = look(server);
    }
    return NULL;
}

/* Signals go to the thread that serves. */
static int start_thread(pthread_t *thread, void *(*main)(void *), struct server *server)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(thread, NULL, main, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

static int register_all(struct server *server)
{
    for (size_t i = 0; i < vine_shipped_procedure_count; i++) {
        const int error = vine_appliance_register(server->appliance, vine_shipped_procedures[i]);
        if (error < 0) {
            message_error("procedure %s: %s", vine_shipped_procedures[i]->name,
                          vine_error_text(error));
            return error;
        }
    }
    return 0;
}

static int start(struct server *server, const struct serve_options *options)
{
    const uint32_t processors = processors_count();
    uint32_t workers = options->workers;
    int error = 0;

    if (workers == 0)
        workers = processors > 1 ? processors - 1 : 1;
    while (error == 0 && server->worker_count < workers) {
        error = start_thread(&server->workers[server->worker_count], worker_main, server);
        server->worker_count += error == 0;
    }
    if (error == 0 && (server->libraries != NULL || server->source != NULL)) {
        error = start_thread(&server->watcher, watcher_main, server);
        server->has_watcher = error == 0;
    }
    if (error == 0 && options->shows_progress)
        error = serve_progress_begin(&server->progress, server->appliance);
    if (error < 0)
        message_error("cannot start a thread: %s", strerror(-error));
    return error;
}

static void log_library(void *context, enum vine_log_level level, const char *text)
{
    struct server *server = context;

    message_log(&server->is_verbose, level, text);
}

static void tell_library(void *context, const struct vine_library_news *news)
{
    const struct server *server = context;

    if (server->json)
        events_library(news);
}

static const char *called(const struct serve_options *options)
{
    return options->source != NULL ? options->source->verb : "appliance";
}

static void say_ready(const struct server *server, const struct serve_options *options)
{
    if (!options->is_embedded) {
        const struct serve_source *source = server->source;

        fprintf(stderr, "vine %s: ready at %s (%s%s%s%u worker%s)\n", called(options),
                vine_appliance_address(server->appliance), source != NULL ? "for " : "",
                source != NULL ? source->behind : "", source != NULL ? ", " : "",
                server->worker_count, server->worker_count == 1 ? "" : "s");
        fflush(stderr);
    }
    if (server->json)
        events_listening(server->appliance, server->worker_count,
                         server->source != NULL ? server->source->behind : NULL);
    if (options->ready_fd >= 0) {
        (void)!write(options->ready_fd, "\n", 1);
        close(options->ready_fd);
    }
}

static void stop_threads(struct server *server)
{
    const uint64_t stop = WATCH_STOP;

    for (uint32_t i = 0; i < server->worker_count; i++)
        pthread_join(server->workers[i], NULL);
    if (server->has_watcher) {
        (void)!write(watch_fd, &stop, sizeof(stop));
        pthread_join(server->watcher, NULL);
    }
    keys_detach(server->keys);
    serve_progress_end(&server->progress);
}

/* Append ", 3 pipes lost", unless there are none. */
static void add_count(char *text, size_t size, uint64_t count, const char *thing, const char *what)
{
    const size_t length = strlen(text);

    if (count > 0)
        snprintf(text + length, size - length, ", %llu %s%s %s", (unsigned long long)count, thing,
                 count == 1 ? "" : "s", what);
}

static void say_what_was_done(struct server *server)
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

static int prepare(struct server *server, const struct serve_options *options)
{
    const struct vine_appliance_options appliance_options = {
        .size_bytes = sizeof(appliance_options),
        .pipes_max = PIPES,
        .spin_ns = server->spin_ns,
        .log = message_log,
        .log_context = &server->is_verbose,
        .event = server->json ? events_appliance : NULL,
        .running_max = server->source != NULL ? server->source->running_max : 0,
        .sessions_max = server->source != NULL ? server->source->sessions_max
                        : server->keys != NULL ? KEYS_SESSIONS_MAX
                                               : 0,
    };
    const struct vine_library_watcher watcher = {
        .log = log_library, .news = tell_library, .context = server};
    int error = vine_appliance_create(&appliance_options, &server->appliance);

    if (error < 0) {
        message_error("cannot make an appliance: %s", vine_error_text(error));
        return error;
    }
    if (server->source != NULL) {
        error = server->source->open(server->source, server->appliance);
        server->is_behind_missing = error < 0;
    } else {
        error = register_all(server);
        if (error == 0 && server->keys != NULL)
            error = keys_attach(server->keys, server->appliance);
    }
    if (error == 0 && options->libraries != NULL) {
        error =
            vine_library_open(options->libraries, server->appliance, &watcher, &server->libraries);
        if (error == -ENOMEM) /* all else is told where it happens */
            message_error("out of memory");
    }
    if (error < 0)
        return error;
    return vine_appliance_listen(server->appliance, options->address); /* logs why not */
}

static void destroy(struct server *server)
{
    keys_detach(server->keys); /* it registers procedures; where nothing was started */
    vine_appliance_destroy(server->appliance);
    vine_library_close(server->libraries); /* the appliance uses their definitions to its end */
    if (server->source != NULL)
        server->source->close(server->source);
    if (watch_fd >= 0)
        close(watch_fd);
    watch_fd = -1;
    free(server);
}

static int status_of_serving(int error)
{
    return error == -EADDRINUSE     ? STATUS_TRY_AGAIN
           : error == -VINE_ECONFIG ? STATUS_USAGE
                                    : status_of_error(error);
}

static int serve_until_stopped(struct server *server, const struct serve_options *options,
                               uint64_t descriptors)
{
    signaled_appliance = server->appliance;
    drain_seconds = options->drain_seconds;
    stops = 0;
    snprintf(gone_text, sizeof(gone_text),
             "vine %s: what still runs does not end; gone without it\n", called(options));
    set_handler(SIGALRM, on_stop);
    take_signals();
    int error = start(server, options);
    if (error == 0)
        say_ready(server, options);
    if (error == 0 && !options->is_embedded)
        descriptors_say_if_few(descriptors, PIPES);
    if (error < 0)
        vine_appliance_stop(server->appliance);
    const int served = vine_appliance_serve(server->appliance);
    if (error == 0 && served < 0) {
        error = served;
        message_error("stopped: %s", vine_error_text(error));
    }
    stop_threads(server);
    (void)alarm(0);
    set_handler(SIGALRM, SIG_IGN);
    set_handler(SIGTERM, SIG_IGN); /* it goes down already, and the object is about to */
    set_handler(SIGINT, SIG_IGN);
    set_handler(SIGHUP, SIG_IGN);
    if (!server->is_embedded)
        say_what_was_done(server);
    return error;
}

int serve(const struct serve_options *options)
{
    struct server *server = calloc(1, sizeof(*server));

    if (server == NULL || options->workers > WORKERS_MAX) {
        message_error(server == NULL ? "out of memory" : "at most %d workers", WORKERS_MAX);
        free(server);
        return STATUS_USAGE;
    }
    server->source = options->source;
    server->keys = options->keys;
    server->is_verbose = options->is_verbose;
    server->spin_ns = options->spin_ns;
    server->is_embedded = options->is_embedded;
    server->json = options->json;
    const uint64_t descriptors = descriptors_raise();

    watch_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = prepare(server, options);
    if (error == 0)
        error = serve_until_stopped(server, options, descriptors);
    const int status =
        server->is_behind_missing ? status_of_connect(error) : status_of_serving(error);
    if (server->json)
        events_stopped(server->appliance, error, message_last_error(), status);
    destroy(server);
    return status;
}
