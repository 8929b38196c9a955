/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few threads of a poller that do what would block it: VINE__POLL_CALL, and operations on files
 * where the kernel has no other way. They are started one by one when something waits and none of
 * them is free, and stay until the poller goes.
 *
 * One lock guards both queues: an operation here costs a system call that may reach a disk, beside
 * which the lock is nothing, and the condition for idle workers wants one anyway. The poller takes
 * it when it has something for them, and when `has_done` says that they have something for it.
 */
#include "arch/poll/poll_internal.h"

#include <pthread.h>
#include <signal.h>

#include "arch/guard/closed.h"

#define WORKERS_MAX 4U

/* A worker runs calls of others: with what they are used to, but no more than they need. */
#define WORKER_STACK_BYTES (256 * 1024UL)

struct vine__poll_workers {
    struct vine__poller *poller;
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    struct vine_fifo queue; /* under the lock, as is all that follows */
    struct vine_fifo done;
    uint32_t queued;
    uint32_t idle;
    bool is_ending;
    uint32_t thread_count; /* the poller's */
    pthread_t threads[WORKERS_MAX];
};

static void *worker_main(void *argument)
{
    struct vine__poll_workers *workers = argument;
    struct vine__poller *poller = workers->poller;

    (void)pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (vine_fifo_is_empty(&workers->queue) && !workers->is_ending) {
            workers->idle++;
            (void)pthread_cond_wait(&workers->has_work, &workers->lock);
            workers->idle--;
        }
        struct vine__operation *operation = vine__poll_pop(&workers->queue);

        if (operation == NULL)
            break;
        workers->queued--;
        (void)pthread_mutex_unlock(&workers->lock);
        operation->result = vine__poll_run(operation);
        (void)pthread_mutex_lock(&workers->lock);
        vine_fifo_push(&workers->done, &operation->node);
        vine__store_relaxed_u32(&poller->has_done, 1);
        /* Under the lock: the poller cannot go before this call is over. */
        vine__poll_signal(poller);
    }
    (void)pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* Signals are for the threads of the program. */
static int start_worker(struct vine__poll_workers *workers)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int error = pthread_attr_init(&attributes);

    if (error != 0)
        return -error;
    (void)pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error =
        pthread_create(&workers->threads[workers->thread_count], &attributes, worker_main, workers);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (error == 0)
        workers->thread_count++;
    return -error;
}

static struct vine__poll_workers *workers_of(struct vine__poller *poller)
{
    if (poller->workers != NULL)
        return poller->workers;

    struct vine__poll_workers *workers = vine__closed_alloc(sizeof(*workers));
    if (workers == NULL)
        return NULL;
    workers->poller = poller;
    (void)pthread_mutex_init(&workers->lock, NULL);
    (void)pthread_cond_init(&workers->has_work, NULL);
    poller->workers = workers;
    return workers;
}

void vine__workers_begin(struct vine__poller *poller, struct vine__operation *operation)
{
    struct vine__poll_workers *workers = workers_of(poller);

    if (workers == NULL) {
        vine__poll_ended(poller, operation, -ENOMEM);
        return;
    }
    operation->state = VINE__POLL_STATE_WORKER;
    (void)pthread_mutex_lock(&workers->lock);
    vine_fifo_push(&workers->queue, &operation->node);
    const bool are_enough = ++workers->queued <= workers->idle;

    (void)pthread_cond_signal(&workers->has_work);
    (void)pthread_mutex_unlock(&workers->lock);
    if (are_enough || workers->thread_count == WORKERS_MAX)
        return;

    const int error = start_worker(workers);

    if (error == 0 || workers->thread_count > 0)
        return; /* those that there are will come to it */
    (void)vine_fifo_remove(&workers->queue, &operation->node);
    workers->queued--;
    vine__poll_ended(poller, operation, error);
}

void vine__workers_cancel(struct vine__poller *poller, struct vine__operation *operation)
{
    struct vine__poll_workers *workers = poller->workers;

    (void)pthread_mutex_lock(&workers->lock);
    const bool is_queued = vine_fifo_remove(&workers->queue, &operation->node);

    if (is_queued)
        workers->queued--;
    (void)pthread_mutex_unlock(&workers->lock);
    if (is_queued)
        vine__poll_ended(poller, operation, -ECANCELED);
}

void vine__workers_cancel_all(struct vine__poller *poller)
{
    struct vine__poll_workers *workers = poller->workers;
    struct vine_fifo queue;
    struct vine__operation *operation;

    if (workers == NULL)
        return;
    (void)pthread_mutex_lock(&workers->lock);
    queue = workers->queue;
    vine_fifo_init(&workers->queue);
    workers->queued = 0;
    (void)pthread_mutex_unlock(&workers->lock);
    while ((operation = vine__poll_pop(&queue)) != NULL)
        vine__poll_ended(poller, operation, -ECANCELED);
}

void vine__workers_collect(struct vine__poller *poller)
{
    struct vine__poll_workers *workers = poller->workers;
    struct vine_fifo done;
    struct vine__operation *operation;

    (void)pthread_mutex_lock(&workers->lock);
    done = workers->done;
    vine_fifo_init(&workers->done);
    vine__store_relaxed_u32(&poller->has_done, 0);
    (void)pthread_mutex_unlock(&workers->lock);
    while ((operation = vine__poll_pop(&done)) != NULL)
        vine__poll_ended(poller, operation, operation->result);
}

void vine__workers_destroy(struct vine__poller *poller)
{
    struct vine__poll_workers *workers = poller->workers;

    if (workers == NULL)
        return;
    (void)pthread_mutex_lock(&workers->lock);
    workers->is_ending = true;
    (void)pthread_cond_broadcast(&workers->has_work);
    (void)pthread_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < workers->thread_count; i++)
        (void)pthread_join(workers->threads[i], NULL);
    (void)pthread_cond_destroy(&workers->has_work);
    (void)pthread_mutex_destroy(&workers->lock);
    vine__closed_free(workers);
    poller->workers = NULL;
}
