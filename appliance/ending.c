/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that runs reactors takes signals as events, on core 0. Here a thread takes them as
 * well, by a descriptor of its own: the kernel gives each to whoever reads it first, and what core
 * 0 gets it passes on.
 */
#include "ending.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <vine/signal.h>

#include "arch/clock/clock.h"

#define ORDER_STOP 1ULL /* as often as it is added */
#define ORDER_END  0x100000000ULL

#define WAIT_MS_MAX 1000000 /* at a time */

static struct {
    const struct server *server;
    int order_fd, signal_fd;
    pthread_t thread;
    bool has_thread;
    struct vine_signal_handler term, interrupt, hangup;
    /* The thread's. */
    uint32_t stops;
    uint64_t limit_ns; /* on the clock; 0: none */
} ending = {.order_fd = -1, .signal_fd = -1};

static void stop_once(void)
{
    const uint32_t drain_seconds = ending.server->options->drain_seconds;

    vine_appliance_stop(ending.server->appliance);
    ending.stops++;
    const uint64_t seconds = ending.stops == 1 ? drain_seconds : SERVER_LAST_SECONDS;
    ending.limit_ns = seconds != 0 ? vine__clock_now_ns() + seconds * VINE_NS_PER_SECOND : 0;
}

static void see_limit(void)
{
    if (ending.limit_ns == 0 || vine__clock_now_ns() < ending.limit_ns)
        return;
    /* A handler that never returns holds its thread for ever; none can be taken away from it. */
    if (ending.stops > 1)
        server_go_without(ending.server);
    stop_once();
}

static int wait_ms(void)
{
    const uint64_t now_ns = vine__clock_now_ns();

    if (ending.limit_ns == 0)
        return -1;
    const uint64_t left_ms = ending.limit_ns > now_ns ? (ending.limit_ns - now_ns) / 1000000 : 0;
    return left_ms < WAIT_MS_MAX ? (int)left_ms + 1 : WAIT_MS_MAX;
}

static void take_signals(void)
{
    struct signalfd_siginfo taken;

    while (read(ending.signal_fd, &taken, sizeof taken) == sizeof taken)
        if (taken.ssi_signo == SIGHUP)
            server_look_again(ending.server);
        else
            stop_once();
}

static void *main_of_thread(void *nothing)
{
    struct pollfd fds[2] = {{.fd = ending.order_fd, .events = POLLIN},
                            {.fd = ending.signal_fd, .events = POLLIN}};

    for (;;) {
        uint64_t orders = 0;

        (void)poll(fds, 2, wait_ms());
        if (read(ending.order_fd, &orders, sizeof orders) == sizeof orders && orders >= ORDER_END)
            return nothing;
        for (; orders > 0; orders -= ORDER_STOP)
            stop_once();
        take_signals();
        see_limit();
    }
}

static void order(uint64_t what)
{
    (void)!write(ending.order_fd, &what, sizeof what);
}

static void pass_on_stop(struct vine_signal_handler *handler)
{
    (void)handler;
    order(ORDER_STOP);
}

static void look_again(struct vine_signal_handler *handler)
{
    (void)handler;
    server_look_again(ending.server);
}

int ending_begin(const struct server *server)
{
    sigset_t ours;
    int error;

    serve_signals(&ours);
    ending.server = server;
    ending.order_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ending.signal_fd = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    if (ending.order_fd < 0 || ending.signal_fd < 0)
        return -errno;
    error = vine_signal_handle(&ending.term, SIGTERM, pass_on_stop);
    if (error == 0)
        error = vine_signal_handle(&ending.interrupt, SIGINT, pass_on_stop);
    if (error == 0)
        error = vine_signal_handle(&ending.hangup, SIGHUP, look_again);
    if (error == 0)
        error = server_start_thread(&ending.thread, main_of_thread, NULL);
    ending.has_thread = error == 0;
    return error;
}

/* Signals that come from here on are core 0's, whose handlers do nothing: it goes down already. */
void ending_end(void)
{
    if (ending.has_thread) {
        order(ORDER_END);
        pthread_join(ending.thread, NULL);
        ending.has_thread = false;
    }
}
