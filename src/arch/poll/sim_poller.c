/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A poller of the simulation. What it has begun lies in one queue in the order in which it began;
 * each operation has a time at which it is tried, which is NEVER while it waits for what another
 * does to its descriptor.
 */
#include "arch/poll/epoll_internal.h" /* which way an operation goes */
#include "arch/poll/sim_internal.h"

#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX

static struct vine__sim_poller *sim_of(struct vine__poller *poller)
{
    return VINE_CONTAINER_OF(poller, struct vine__sim_poller, poller);
}

static uint64_t due_of(const struct vine__operation *operation)
{
    return (uintptr_t)operation->backend;
}

static void set_due(struct vine__operation *operation, uint64_t due_ns)
{
    operation->backend = (void *)(uintptr_t)due_ns;
}

/* ---- what others have done ------------------------------------------------------------------- */

/* Try again who waits at a descriptor that has the flow, or is that one. */
static void retry_if(struct vine__sim *sim, const struct vine__sim_flow *flow,
                     const struct vine__sim_descriptor *descriptor)
{
    for (struct vine__sim_poller *own = sim->pollers; own != NULL; own = own->next)
        VINE__POLL_FOR_EACH(at, &own->held)
        {
            const struct vine__sim_descriptor *its =
                due_of(at) == NEVER ? vine__sim_find(sim, at->fd) : NULL;

            if (its != NULL && (its == descriptor || (flow != NULL && (its->flows.in == flow ||
                                                                       its->flows.out == flow))))
                set_due(at, vine__sim_after_latency(sim));
        }
}

void vine__sim_flow_changed(struct vine__sim *sim, const struct vine__sim_flow *flow)
{
    if (flow != NULL)
        retry_if(sim, flow, NULL);
}

void vine__sim_descriptor_changed(struct vine__sim *sim,
                                  const struct vine__sim_descriptor *descriptor)
{
    retry_if(sim, NULL, descriptor);
}

void vine__sim_descriptor_ends(struct vine__sim *sim, int fd)
{
    for (struct vine__sim_poller *own = sim->pollers; own != NULL; own = own->next)
        VINE__POLL_FOR_EACH(at, &own->held)
        {
            if (at->fd == fd)
                set_due(at, sim->now_ns);
        }
}

/* ---- operations ------------------------------------------------------------------------------ */

/* Whether two go the same way through the same stream, where the first keeps the second waiting. */
static bool is_same_way(const struct vine__sim *sim, const struct vine__operation *a,
                        const struct vine__operation *b)
{
    const struct vine__sim_descriptor *descriptor = vine__sim_find(sim, a->fd);

    return a->fd == b->fd && a->kind != VINE__POLL_CALL && b->kind != VINE__POLL_CALL &&
           descriptor != NULL && descriptor->kind == VINE__SIM_STREAM &&
           a->kind != VINE__POLL_READY && b->kind != VINE__POLL_READY &&
           vine__watch_queue_of(a) == vine__watch_queue_of(b);
}

/* The last of those before `operation` for which it has to wait, or NULL. */
static struct vine__operation *earlier(const struct vine__sim_poller *own,
                                       const struct vine__operation *operation)
{
    struct vine__operation *found = NULL;

    VINE__POLL_FOR_EACH(at, &own->held)
    {
        if (at == operation)
            break;
        if (is_same_way(own->sim, at, operation))
            found = at;
    }
    return found;
}

static void sim_begin(struct vine__poller *poller, struct vine__operation *operation)
{
    struct vine__sim_poller *own = sim_of(poller);
    const struct vine__sim_options *options = &own->sim->options;

    operation->result = 0;
    operation->state = VINE__POLL_STATE_KERNEL;
    if (options->begin != NULL && options->begin(options->context, poller, operation)) {
        vine_fifo_push(&own->taken, &operation->node);
        return;
    }
    set_due(operation, vine__sim_after_latency(own->sim));
    vine_fifo_push(&own->held, &operation->node);
}

/* Out of the queue; who was kept waiting by it alone is tried again. */
static void remove_held(struct vine__sim_poller *own, struct vine__operation *operation)
{
    if (own->cursor == operation)
        own->cursor = vine__poll_next(operation);
    const bool was_held = vine_fifo_remove(&own->held, &operation->node);

    VINE_ASSERT(was_held);
    VINE__POLL_FOR_EACH(at, &own->held)
    {
        if (due_of(at) == NEVER && is_same_way(own->sim, operation, at)) {
            set_due(at, own->sim->now_ns);
            break;
        }
    }
}

static bool is_taken(const struct vine__sim_poller *own, const struct vine__operation *operation)
{
    const struct vine__operation *at = vine__poll_first(&own->taken);

    while (at != NULL && at != operation)
        at = vine__poll_next(at);
    return at != NULL;
}

void vine__sim_tell(struct vine__poller *poller, struct vine__operation *operation, int32_t result,
                    uint32_t flags, uint16_t buffer)
{
    struct vine__sim_poller *own = sim_of(poller);
    struct vine__sim_news *news = malloc(sizeof(*news));

    VINE_ASSERT(news != NULL); /* a simulation has no other way to tell */
    if ((flags & VINE__POLL_MORE) == 0) {
        const bool was_taken = vine_fifo_remove(&own->taken, &operation->node);

        VINE_ASSERT(was_taken);
        operation->state = VINE__POLL_STATE_ENDED;
    }
    *news = (struct vine__sim_news){
        .operation = operation, .result = result, .flags = flags, .buffer = buffer};
    *own->news_last = news;
    own->news_last = &news->next;
}

void vine__sim_end(struct vine__poller *poller, struct vine__operation *operation, int32_t result)
{
    vine__sim_tell(poller, operation, result, 0, 0);
}

bool vine__sim_take_buffer(const struct vine__operation *operation, uint16_t *ret_buffer,
                           unsigned char **ret_bytes, uint32_t *ret_size_bytes)
{
    if (!vine__poll_buffers_take(operation->buffers, ret_buffer))
        return false;
    *ret_bytes = vine__poll_buffer(operation->buffers, *ret_buffer);
    *ret_size_bytes = operation->buffers->size_bytes;
    return true;
}

/* What is told meanwhile waits for the next poll. */
static uint32_t hand_out_news(struct vine__sim_poller *own, uint32_t count_max)
{
    struct vine__sim_news **const end = own->news_last;
    uint32_t count = 0;

    while (own->news_first != NULL && count < count_max) {
        const struct vine__sim_news news = *own->news_first;
        const bool is_last = &own->news_first->next == end;

        free(own->news_first);
        own->news_first = news.next;
        if (news.next == NULL)
            own->news_last = &own->news_first;
        news.operation->buffer = news.buffer;
        vine__poll_hand_out(&own->poller, news.operation, news.result, news.flags);
        count++;
        if (is_last)
            break;
    }
    return count;
}

static void sim_cancel(struct vine__poller *poller, struct vine__operation *operation)
{
    struct vine__sim_poller *own = sim_of(poller);
    const struct vine__sim_options *options = &own->sim->options;

    if (!is_taken(own, operation)) {
        remove_held(own, operation);
        vine__poll_ended(poller, operation, vine__poll_cancelled(operation));
    } else if (options->cancel != NULL) {
        options->cancel(options->context, poller, operation);
    } else {
        vine__sim_end(poller, operation, -ECANCELED);
    }
}

/* At the end what the test has taken ends whether it says so or not. */
static void sim_cancel_all(struct vine__poller *poller)
{
    struct vine__sim_poller *own = sim_of(poller);

    while (!vine_fifo_is_empty(&own->held))
        sim_cancel(poller, vine__poll_first(&own->held));
    while (!vine_fifo_is_empty(&own->taken)) {
        struct vine__operation *operation = vine__poll_first(&own->taken);

        sim_cancel(poller, operation);
        if (vine__poll_first(&own->taken) == operation)
            vine__sim_end(poller, operation, -ECANCELED);
    }
}

static int32_t try_operation(struct vine__sim *sim, struct vine__operation *operation,
                             uint32_t *ret_flags)
{
    *ret_flags = 0;
    switch (operation->kind) {
    case VINE__POLL_CALL:
        return vine__poll_run(operation);
    case VINE__POLL_OPEN:
    case VINE__POLL_STAT:
    case VINE__POLL_RENAME:
    case VINE__POLL_UNLINK:
    case VINE__POLL_MAKE_FOLDER:
        return vine__sim_try_path(sim, operation);
    case VINE__POLL_WORD:
        return -ENOSYS;
    default:
        break;
    }
    struct vine__sim_descriptor *descriptor = vine__sim_find(sim, operation->fd);

    if (descriptor == NULL || operation->is_fixed)
        return -EBADF;
    if (operation->kind == VINE__POLL_CLOSE) {
        vine__sim_close(sim, operation->fd);
        return 0;
    }
    if (descriptor->error_next != 0) {
        const int32_t error = descriptor->error_next;

        descriptor->error_next = 0;
        return error;
    }
    return descriptor->kind == VINE__SIM_FILE
               ? vine__sim_try_file(sim, operation, descriptor)
               : vine__sim_try_stream(sim, operation, descriptor, ret_flags);
}

/* Returns how often its function was called: at most once. */
static uint32_t serve(struct vine__sim_poller *own, struct vine__operation *operation)
{
    const struct vine__operation *before = earlier(own, operation);
    uint32_t flags;

    if (before != NULL) {
        set_due(operation, due_of(before) > own->sim->now_ns ? due_of(before) : NEVER);
        return 0;
    }
    const int32_t result = try_operation(own->sim, operation, &flags);

    if (result == VINE__SIM_NOT_NOW) {
        set_due(operation, NEVER);
        return 0;
    }
    if ((flags & VINE__POLL_MORE) == 0)
        remove_held(own, operation);
    else if (operation->kind == VINE__POLL_READY)
        set_due(operation, NEVER); /* the next change is the next event */
    vine__poll_hand_out(&own->poller, operation, result, flags);
    return 1;
}

static bool sim_flush(struct vine__poller *poller)
{
    (void)poller;
    return false; /* there is nobody to be told */
}

static uint32_t sim_poll(struct vine__poller *poller, uint32_t count_max)
{
    struct vine__sim_poller *own = sim_of(poller);
    uint32_t length = 0;
    uint32_t count = vine__poll_hand_out_ended(poller, count_max);

    count += hand_out_news(own, count_max - count);
    VINE__POLL_FOR_EACH(at, &own->held)
    {
        length++;
    }
    own->cursor = vine__poll_first(&own->held);
    for (; own->cursor != NULL && length > 0 && count < count_max; length--) {
        struct vine__operation *operation = own->cursor;

        own->cursor = vine__poll_next(operation);
        if (due_of(operation) <= own->sim->now_ns)
            count += serve(own, operation);
    }
    own->cursor = NULL;
    return count;
}

static uint32_t sim_wait(struct vine__poller *poller, uint32_t count_max, uint64_t timeout_ns,
                         bool *ret_is_over)
{
    struct vine__sim_poller *own = sim_of(poller);
    const uint64_t now_ns = own->sim->now_ns;
    const uint32_t count = sim_poll(poller, count_max);

    own->sleep_until_ns = timeout_ns > NEVER - now_ns ? NEVER : now_ns + timeout_ns;
    if (vine__poll_take_wake(poller) || count > 0)
        own->sleep_until_ns = now_ns;
    *ret_is_over = true;
    return count;
}

uint64_t vine__sim_sleeps_until(const struct vine__poller *poller)
{
    const struct vine__sim_poller *own = (const void *)poller; /* its first field */
    uint64_t until_ns = own->sleep_until_ns;

    if (vine__load_relaxed_u32(&poller->is_woken) != 0 || !vine_fifo_is_empty(&poller->ended) ||
        own->news_first != NULL)
        return own->sim->now_ns;
    VINE__POLL_FOR_EACH(at, &own->held)
    {
        if (due_of(at) < until_ns)
            until_ns = due_of(at);
    }
    return until_ns < own->sim->now_ns ? own->sim->now_ns : until_ns;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void sim_destroy(struct vine__poller *poller)
{
    struct vine__sim_poller *own = sim_of(poller);
    struct vine__sim_poller **at = &own->sim->pollers;

    while (*at != own)
        at = &(*at)->next;
    *at = own->next;
    vine__poll_fini(poller);
    free(own);
}

static const struct vine__poll_backend_table sim_table = {
    .name = "sim",
    .begin = sim_begin,
    .cancel = sim_cancel,
    .flush = sim_flush,
    .poll = sim_poll,
    .wait = sim_wait,
    .cancel_all = sim_cancel_all,
    .destroy = sim_destroy,
};

int vine__poller_create_sim(struct vine__poller **ret_poller, struct vine__sim *sim)
{
    struct vine__sim_poller *own = aligned_alloc(VINE_CACHE_LINE, sizeof(*own));
    struct vine__sim_poller **at = &sim->pollers;

    if (own == NULL)
        return -ENOMEM;
    memset(own, 0, sizeof(*own));
    own->poller.backend = &sim_table;
    own->poller.wake_fd = -1;
    own->sim = sim;
    own->sleep_until_ns = sim->now_ns;
    own->news_last = &own->news_first;
    while (*at != NULL)
        at = &(*at)->next;
    *at = own;
    *ret_poller = &own->poller;
    return 0;
}
