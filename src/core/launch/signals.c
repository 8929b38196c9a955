/* SPDX-License-Identifier: Apache-2.0 */
#include "core/launch/signals.h"

#include <vine/reactor.h>
#include <vine/signal.h>
#include <vine/supervise.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "arch/thread/thread.h"
#include "core/reactor/reactor.h"
#include "utils/assert.h"
#include "utils/atomic.h"

#define SIGNALS_MAX 65

/* A process has one set of signals, and its runtime one place for them: core 0's memory. */
static struct signals {
    struct vine__operation ready;
    struct vine_work work;
    struct vine_signal_handler *handlers;
    struct vine_signal_handler *next; /* to be called next, where one forgets another */
    int fd;
    bool is_open;
    bool is_stopping;
    uint32_t user_handlers; /* atomic, in no order with anything: those of SIGUSR1 */
} signals = {.fd = -1};

static void count_user_handler(const struct vine_signal_handler *handler, int by)
{
    if (handler->number == SIGUSR1)
        vine__store_relaxed_u32(&signals.user_handlers, signals.user_handlers + (uint32_t)by);
}

int vine_signal_handle(struct vine_signal_handler *handler, int number, vine_signal_fn fn)
{
    VINE_ASSERT(vine_core() == 0);
    if (!vine__signal_is_event(number) || fn == NULL)
        return -EINVAL;
    *handler = (struct vine_signal_handler){.next = signals.handlers, .fn = fn, .number = number};
    signals.handlers = handler;
    count_user_handler(handler, 1);
    return 0;
}

void vine_signal_forget(struct vine_signal_handler *handler)
{
    VINE_ASSERT(vine_core() == 0);
    if (signals.next == handler)
        signals.next = handler->next;
    for (struct vine_signal_handler **link = &signals.handlers; *link != NULL;
         link = &(*link)->next) {
        if (*link == handler) {
            *link = handler->next;
            count_user_handler(handler, -1);
            return;
        }
    }
}

/* What happens if the program does not say otherwise. */
static void handle_by_default(int number)
{
    if (number != SIGINT && number != SIGTERM)
        return;
    /* Whoever says it twice means it; but what was said to a whole service has been said to its
     * supervisor, too, which says it again, and knows when it has waited for long enough. */
    if (signals.is_stopping && vine_supervised() != NULL)
        return;
    if (signals.is_stopping)
        vine__signals_die_of(number);
    signals.is_stopping = true;
    vine_stop(0);
}

static void handle(int number)
{
    bool is_handled = false;

    for (struct vine_signal_handler *handler = signals.handlers; handler != NULL;
         handler = signals.next) {
        signals.next = handler->next;
        if (handler->number != number)
            continue;
        is_handled = true;
        handler->fn(handler);
    }
    signals.next = NULL;
    if (!is_handled)
        handle_by_default(number);
}

static void take(struct vine_work *work)
{
    int number;

    (void)work;
    for (int i = 0; i < SIGNALS_MAX && vine__signals_read(signals.fd, &number) == 0; i++)
        handle(number);
    if (signals.is_open)
        vine__reactor_begin(&signals.ready);
}

static int64_t handle_user(void *nothing)
{
    (void)nothing;
    handle(SIGUSR1);
    return 0;
}

bool vine__launch_signals_take_user(void)
{
    return vine__load_relaxed_u32(&signals.user_handlers) > 0 &&
           vine_alien_submit_to(0, handle_user, NULL) == 0;
}

static void hear(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    (void)operation;
    (void)flags;
    if (result >= 0 && signals.is_open)
        vine_work_post(&signals.work);
}

int vine__launch_signals_open(void)
{
    int numbers[SIGNALS_MAX];
    uint32_t count = 0;

    for (int number = 1; number < SIGNALS_MAX; number++)
        if (vine__signal_is_event(number) && number != SIGUSR1)
            numbers[count++] = number;
    const int error = vine__signals_open(numbers, count, &signals.fd);

    if (error != 0)
        return error;
    signals.is_open = true;
    signals.is_stopping = false;
    vine_work_init(&signals.work, take);
    signals.ready = (struct vine__operation){
        .fn = hear, .kind = VINE__POLL_READY, .fd = signals.fd, .flags = POLLIN};
    vine__reactor_begin(&signals.ready);
    return 0;
}

static bool is_handled(int number)
{
    for (const struct vine_signal_handler *handler = signals.handlers; handler != NULL;
         handler = handler->next)
        if (handler->number == number)
            return true;
    return false;
}

/* The loop is over and takes no signal any more, but what it began may hold up the end. */
void vine__launch_signals_close(void)
{
    static const int stopping[] = {SIGINT, SIGTERM};
    int number;

    if (!signals.is_open)
        return;
    signals.is_open = false;
    for (int i = 0; i < SIGNALS_MAX && vine__signals_read(signals.fd, &number) == 0; i++)
        if (!is_handled(number) && (number == SIGINT || number == SIGTERM)) {
            if (signals.is_stopping)
                vine__signals_die_of(number);
            signals.is_stopping = true;
        }
    for (size_t i = 0; i < sizeof(stopping) / sizeof(stopping[0]); i++)
        if (!is_handled(stopping[i]))
            vine__signal_let_through(stopping[i]);
}

void vine__launch_signals_fini(void)
{
    if (signals.fd >= 0)
        (void)close(signals.fd);
    signals.fd = -1;
    signals.handlers = NULL;
    signals.user_handlers = 0;
}
