/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/appliance.h>
#include <vine/error.h>

#include "message.h"
#include "server.h"
#include "status.h"

#define TAKE_OVER_NS (10 * VINE_NS_PER_SECOND) /* until the other one has left its socket */

struct loop {
    struct server server;
    uint32_t worker_count;
    pthread_t workers[SERVER_WORKERS_MAX];
};

/* What the signal handlers reach: one appliance at a time. Set before they are, and while they are
 * never changed. */
static const struct server *signaled;
static sig_atomic_t stops;

/* A handler that never returns holds the loop or a worker for ever, and no thread can be taken away
 * from it: after the second limit the process ends without it. */
static void on_stop(int number)
{
    const int error = errno;

    if (number == SIGALRM && stops > 1)
        server_go_without(signaled);
    vine_appliance_stop(signaled->appliance);
    stops++;
    /* Whoever sends a second signal, or the time, has the running tasks given up. */
    (void)alarm(stops == 1 ? signaled->options->drain_seconds : SERVER_LAST_SECONDS);
    errno = error;
}

static void on_hangup(int number)
{
    const int error = errno;

    (void)number;
    server_look_again(signaled);
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

/* It goes down already, and the object is about to. */
static void pass_over_signals(void)
{
    (void)alarm(0);
    set_handler(SIGALRM, SIG_IGN);
    set_handler(SIGTERM, SIG_IGN);
    set_handler(SIGINT, SIG_IGN);
    set_handler(SIGHUP, SIG_IGN);
}

static void *worker_main(void *context)
{
    struct loop *loop = context;

    vine_appliance_work(loop->server.appliance);
    return NULL;
}

/* Signals go to the thread that serves. */
static int start(struct loop *loop)
{
    const uint32_t workers = server_workers(loop->server.options);
    int error = 0;

    while (error == 0 && loop->worker_count < workers) {
        error = server_start_thread(&loop->workers[loop->worker_count], worker_main, loop);
        loop->worker_count += error == 0;
    }
    if (error == 0)
        error = server_watch(&loop->server);
    if (error < 0)
        message_error("cannot start a thread: %s", strerror(-error));
    return error;
}

static int prepare(struct loop *loop, struct vine_appliance **ret_appliance)
{
    struct vine_appliance_options options;

    server_appliance_options(&loop->server, &options);
    int error = vine_appliance_create(&options, ret_appliance);
    if (error < 0) {
        message_error("cannot make an appliance: %s", vine_error_text(error));
        return error;
    }
    error = server_offer(&loop->server, *ret_appliance);
    if (error < 0)
        return error;
    error =
        loop->server.options->takes_over
            ? vine_appliance_take_over(*ret_appliance, loop->server.options->address, TAKE_OVER_NS)
            : -VINE_ENOAPPLIANCE;
    if (error != -VINE_ENOAPPLIANCE && error != -VINE_EPEERLOST)
        return error; /* logs why not, as what follows does */
    return vine_appliance_listen(*ret_appliance, loop->server.options->address);
}

static int serve_until_stopped(struct loop *loop)
{
    struct server *const server = &loop->server;

    signaled = server;
    stops = 0;
    set_handler(SIGALRM, on_stop);
    take_signals();
    int error = start(loop);
    if (error == 0)
        server_say_ready(server, loop->worker_count, 0);
    else
        vine_appliance_stop(server->appliance);
    const int served = vine_appliance_serve(server->appliance);
    if (error == 0 && served < 0) {
        error = served;
        message_error("stopped: %s", vine_error_text(error));
    }
    for (uint32_t i = 0; i < loop->worker_count; i++)
        pthread_join(loop->workers[i], NULL);
    server_unwatch(server);
    pass_over_signals();
    if (!server->options->is_embedded)
        server_say_what_was_done(server);
    return error;
}

int serve(const struct serve_options *options)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    struct vine_appliance *appliance = NULL;

    if (loop == NULL) {
        message_error("out of memory");
        return STATUS_USAGE;
    }
    int status = server_init(&loop->server, options);
    if (status == STATUS_DONE) {
        int error = prepare(loop, &appliance);

        if (error == 0)
            error = serve_until_stopped(loop);
        status = server_tell_end(&loop->server, error);
        server_unwatch(&loop->server); /* where nothing was started: the keys */
        vine_appliance_destroy(appliance);
        server_close(&loop->server);
    }
    free(loop);
    return status;
}
