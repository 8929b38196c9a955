/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/errand.c - see errand.h. */

#include "vmm/server/errand.h"

#include "arch/thread/thread.h"
#include "utils/assert.h"
#include "utils/container_of.h"

#include <vine/reactor.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* In the order in which they came. */
struct queue {
    struct vine__errand *first, **end;
};

struct vine__errands {
    pthread_mutex_t lock; /* of what follows, until... */
    struct queue to_thread, to_core;
    bool is_closed; /* nothing is sent any more */
    bool is_called; /* core 0 is on its way to look at to_core ...here */
    int fd;
    struct vine__thread thread;
    void (*loop)(void *context);
    void *context;
    struct vine__errand last; /* of the thread */
    void (*closed)(void *context);
    void *closed_context;
};

/* ---- queues ---------------------------------------------------------------------------------- */

static void put(struct queue *queue, struct vine__errand *errand, vine__errand_fn fn)
{
    errand->fn = fn;
    errand->next = NULL;
    *queue->end = errand;
    queue->end = &errand->next;
}

static struct vine__errand *take_all(struct queue *queue)
{
    struct vine__errand *const first = queue->first;

    queue->first = NULL;
    queue->end = &queue->first;
    return first;
}

static void call_all(struct vine__errand *errand)
{
    while (errand != NULL) {
        struct vine__errand *const next = errand->next;

        errand->fn(errand); /* which may have freed it */
        errand = next;
    }
}

/* ---- to the thread --------------------------------------------------------------------------- */

static void ring(const struct vine__errands *errands)
{
    const uint64_t one = 1;

    /* It fails where the bell rings already. */
    (void)!write(errands->fd, &one, sizeof(one));
}

void vine__errands_send(struct vine__errands *errands, struct vine__errand *errand,
                        vine__errand_fn fn)
{
    (void)pthread_mutex_lock(&errands->lock);
    VINE_ASSERT(!errands->is_closed);
    put(&errands->to_thread, errand, fn);
    (void)pthread_mutex_unlock(&errands->lock);
    ring(errands);
}

void vine__errands_again(struct vine__errands *errands, struct vine__errand *errand,
                         vine__errand_fn fn)
{
    (void)pthread_mutex_lock(&errands->lock);
    put(&errands->to_thread, errand, fn);
    (void)pthread_mutex_unlock(&errands->lock);
    ring(errands);
}

bool vine__errands_run(struct vine__errands *errands, bool waits)
{
    struct pollfd bell = {.fd = errands->fd, .events = POLLIN};
    struct vine__errand *first;
    uint64_t count;
    bool is_over;

    while (waits && poll(&bell, 1, -1) < 0 && errno == EINTR)
        ;
    /* The bell first: what is sent behind it rings again. */
    (void)!read(errands->fd, &count, sizeof(count));
    (void)pthread_mutex_lock(&errands->lock);
    first = take_all(&errands->to_thread);
    (void)pthread_mutex_unlock(&errands->lock);
    call_all(first);
    (void)pthread_mutex_lock(&errands->lock);
    is_over = errands->is_closed && errands->to_thread.first == NULL;
    (void)pthread_mutex_unlock(&errands->lock);
    return !is_over;
}

int vine__errands_fd(const struct vine__errands *errands)
{
    return errands->fd;
}

/* ---- to core 0 ------------------------------------------------------------------------------- */

static int64_t deliver(void *argument)
{
    struct vine__errands *const errands = argument;
    struct vine__errand *first;

    (void)pthread_mutex_lock(&errands->lock);
    first = take_all(&errands->to_core);
    errands->is_called = false;
    (void)pthread_mutex_unlock(&errands->lock);
    call_all(first);
    return 0;
}

void vine__errands_return(struct vine__errands *errands, struct vine__errand *errand,
                          vine__errand_fn fn)
{
    bool is_called;

    (void)pthread_mutex_lock(&errands->lock);
    put(&errands->to_core, errand, fn);
    is_called = errands->is_called;
    errands->is_called = true;
    (void)pthread_mutex_unlock(&errands->lock);
    /* A call needs some bytes of memory, which there will be again. */
    while (!is_called && vine_alien_submit_to(0, deliver, errands) == -ENOMEM)
        (void)poll(NULL, 0, 10);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void gone(struct vine__errand *last)
{
    struct vine__errands *const errands = VINE_CONTAINER_OF(last, struct vine__errands, last);
    void (*const closed)(void *) = errands->closed;
    void *const context = errands->closed_context;

    vine__thread_join(&errands->thread);
    (void)close(errands->fd);
    (void)pthread_mutex_destroy(&errands->lock);
    free(errands);
    closed(context);
}

static void run_thread(void *argument)
{
    struct vine__errands *const errands = argument;

    vine__thread_use_noted_places();
    if (errands->loop != NULL)
        errands->loop(errands->context);
    else
        while (vine__errands_run(errands, true))
            ;
    vine__errands_return(errands, &errands->last, gone);
}

int vine__errands_open(const char *name, void (*loop)(void *context), void *context,
                       struct vine__errands **ret_errands)
{
    struct vine__errands *const errands = calloc(1, sizeof(*errands));
    int error = 0;

    if (errands == NULL)
        return -ENOMEM;
    errands->loop = loop;
    errands->context = context;
    (void)take_all(&errands->to_thread);
    (void)take_all(&errands->to_core);
    errands->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (errands->fd < 0)
        error = -errno;
    else
        error = -pthread_mutex_init(&errands->lock, NULL);
    if (error == 0) {
        *ret_errands = errands; /* its loop asks for it at once */
        error = vine__thread_start(&errands->thread, name, run_thread, errands);
    }
    if (error == 0)
        return 0;
    *ret_errands = NULL;
    if (errands->fd >= 0)
        (void)close(errands->fd);
    free(errands);
    return error;
}

void vine__errands_close(struct vine__errands *errands, void (*closed)(void *context),
                         void *context)
{
    errands->closed = closed;
    errands->closed_context = context;
    (void)pthread_mutex_lock(&errands->lock);
    errands->is_closed = true;
    (void)pthread_mutex_unlock(&errands->lock);
    ring(errands);
}
