/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/poll/poll.h"

#include "arch/clock/clock.h"
#include "arch/poll/poll_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_DEPTH_DEFAULT 256U
#define QUEUE_DEPTH_MAX     32768U

/* How long destroying waits before it asks again for the end of what is pending: something may have
 * been out of reach of the first request, between two of the kernel's queues. */
#define DESTROY_STEP_NS (10 * 1000 * 1000ULL)

int vine__poller_create(struct vine__poller **ret_poller,
                        const struct vine__poller_options *options)
{
    static const struct vine__poller_options defaults;
    char why[VINE__POLL_WHY_BYTES] = "";
    int error;

    if (options == NULL)
        options = &defaults;
    const uint32_t depth = options->queue_depth == 0 ? QUEUE_DEPTH_DEFAULT : options->queue_depth;

    if (depth > QUEUE_DEPTH_MAX || options->backend > VINE__POLL_BACKEND_EPOLL)
        return -EINVAL;
    if (options->backend == VINE__POLL_BACKEND_EPOLL) {
        (void)snprintf(why, sizeof(why), "epoll was asked for");
        error = vine__poll_epoll_create(ret_poller);
    } else {
        error = vine__poll_uring_create(ret_poller, depth, why);
        if (error != 0 && options->backend == VINE__POLL_BACKEND_ANY)
            error = vine__poll_epoll_create(ret_poller);
    }
    if (options->ret_why != NULL)
        memcpy(options->ret_why, why, sizeof(why));
    return error;
}

void vine__poller_destroy(struct vine__poller *poller)
{
    if (poller == NULL)
        return;
    VINE_ASSERT(!poller->is_handing_out);
    poller->is_closing = true;
    while (poller->pending > 0) {
        vine__workers_cancel_all(poller);
        poller->backend->cancel_all(poller);
        (void)vine__poller_sleep(poller, UINT32_MAX, DESTROY_STEP_NS);
    }
    for (uint32_t i = 0; i < VINE__POLL_GROUPS_MAX; i++)
        if (poller->groups[i] != NULL)
            vine__poller_buffers_destroy(poller, poller->groups[i]);
    poller->backend->destroy(poller);
}

const char *vine__poller_name(const struct vine__poller *poller)
{
    return poller->backend->name;
}

void vine__poller_begin(struct vine__poller *poller, struct vine__operation *operation)
{
    VINE_ASSERT(operation->fn != NULL && operation->kind < VINE__POLL_KIND_COUNT);
    VINE_ASSERT(operation->state == VINE__POLL_STATE_IDLE);
    poller->pending++;
    if (VINE__UNLIKELY(operation->kind == VINE__POLL_NOTHING || poller->is_closing))
        vine__poll_ended(poller, operation, poller->is_closing ? -ECANCELED : 0);
    else
        poller->backend->begin(poller, operation);
}

void vine__poller_cancel(struct vine__poller *poller, struct vine__operation *operation)
{
    VINE_ASSERT(operation->state != VINE__POLL_STATE_IDLE);
    if (operation->state == VINE__POLL_STATE_WORKER)
        vine__workers_cancel(poller, operation);
    else if (operation->state == VINE__POLL_STATE_WAITING)
        operation->state = VINE__POLL_STATE_CANCELLED;
    else if (operation->state == VINE__POLL_STATE_KERNEL)
        poller->backend->cancel(poller, operation);
    /* Else it has been cancelled, or has ended and only waits to be handed out. */
}

uint32_t vine__poller_pending(const struct vine__poller *poller)
{
    return poller->pending;
}

bool vine__poller_flush(struct vine__poller *poller)
{
    return poller->backend->flush(poller);
}

bool vine__poller_has_news(const struct vine__poller *poller)
{
    return poller->backend->has_news != NULL && poller->backend->has_news(poller);
}

uint32_t vine__poller_poll(struct vine__poller *poller, uint32_t count_max)
{
    VINE_ASSERT(!poller->is_handing_out);
    poller->is_handing_out = true;
    const uint32_t count = poller->backend->poll(poller, count_max);

    poller->is_handing_out = false;
    return count;
}

void vine__poller_fetch_after_sleep(struct vine__poller *poller, const void *const *addresses,
                                    uint32_t count)
{
    VINE_ASSERT(count <= VINE__POLL_FETCHED_MAX);
    memset(poller->fetched, 0, sizeof(poller->fetched));
    memcpy(poller->fetched, addresses, count * sizeof(*addresses));
}

uint32_t vine__poller_sleep(struct vine__poller *poller, uint32_t count_max, uint64_t timeout_ns)
{
    const bool is_timed = timeout_ns != 0 && timeout_ns != VINE_FOREVER;
    const uint64_t start_ns = is_timed ? vine__clock_now_ns() : 0;
    uint64_t left_ns = timeout_ns;
    bool is_over = false;
    uint32_t count;

    VINE_ASSERT(!poller->is_handing_out);
    poller->is_handing_out = true;
    /* What ends a wait in the kernel may be nothing to us: the signal of a worker or a waker whose
     * news we had before it, or an interruption, of which io_uring makes some of its own. */
    for (;;) {
        count = poller->backend->wait(poller, count_max, left_ns, &is_over);
        if (count > 0 || is_over || left_ns == 0)
            break;
        if (is_timed) {
            const uint64_t slept_ns = vine__clock_now_ns() - start_ns;

            left_ns = slept_ns < timeout_ns ? timeout_ns - slept_ns : 0;
        }
    }
    poller->is_handing_out = false;
    return count;
}

void vine__poller_wake(struct vine__poller *poller)
{
    const int saved_errno = errno;

    /* W1 pairs with W2: what the waker did before is seen by whoever takes the wake. Who finds the
     * word set leaves the system call to the one that set it, which makes it without fail. */
    if (vine__exchange_acq_rel_u32(&poller->is_woken, 1) == 0)
        vine__poll_signal(poller);
    errno = saved_errno;
}

bool vine__poll_take_wake(struct vine__poller *poller)
{
    if (VINE__LIKELY(vine__load_relaxed_u32(&poller->is_woken) == 0))
        return false;
    /* W2 pairs with W1. */
    return vine__exchange_acq_rel_u32(&poller->is_woken, 0) != 0;
}

int32_t vine__poll_cancelled(const struct vine__operation *operation)
{
    const bool has_count =
        operation->kind == VINE__POLL_SEND || operation->kind == VINE__POLL_RECEIVE;

    return has_count && operation->result > 0 ? operation->result : -ECANCELED;
}

uint32_t vine__poll_hand_out_ended(struct vine__poller *poller, uint32_t count_max)
{
    struct vine_fifo now = poller->ended;
    uint32_t count = 0;

    /* What functions add has to wait for the next poll. */
    vine_fifo_init(&poller->ended);
    while (count < count_max) {
        struct vine__operation *operation = vine__poll_pop(&now);

        if (operation == NULL)
            return count;
        count++;
        vine__poll_hand_out(poller, operation, operation->result, 0);
    }
    vine_fifo_append(&now, &poller->ended);
    poller->ended = now;
    return count;
}

int vine__poll_init(struct vine__poller *poller, const struct vine__poll_backend_table *backend)
{
    poller->backend = backend;
    return vine__eventfd_create(&poller->wake_fd);
}

void vine__poll_fini(struct vine__poller *poller)
{
    vine__workers_destroy(poller);
    if (poller->wake_fd >= 0)
        (void)close(poller->wake_fd);
    poller->wake_fd = -1;
}

/* ---- registered files and buffers ------------------------------------------------------------ */

int vine__poller_register_file(struct vine__poller *poller, int fd, uint32_t *ret_index)
{
    return poller->backend->register_file == NULL
               ? -ENOSYS
               : poller->backend->register_file(poller, fd, ret_index);
}

void vine__poller_unregister_file(struct vine__poller *poller, uint32_t index)
{
    VINE_ASSERT(poller->backend->unregister_file != NULL);
    poller->backend->unregister_file(poller, index);
}

int vine__poller_register_buffers(struct vine__poller *poller, const struct iovec *buffers,
                                  uint32_t count)
{
    return poller->backend->register_buffers == NULL
               ? -ENOSYS
               : poller->backend->register_buffers(poller, buffers, count);
}
