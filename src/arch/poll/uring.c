/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The io_uring backend: an operation is a submission whose `user_data` is the operation's address,
 * and a completion is a call of its function.
 *
 * The submission queue is as long as `queue_depth`; what does not fit waits in `waiting`, in order,
 * and goes in as the kernel takes what is before it. While anything waits nothing is put into the
 * queue but from there. Completions that do not fit their queue the kernel keeps, and gives back
 * when it is entered.
 *
 * A wake is a write to the eventfd that the ring polls, once and for all (multishot). Nobody reads
 * the eventfd: each write is an event of its own.
 */
#include "arch/guard/closed.h"
#include "arch/poll/uring_internal.h"
#include "arch/wake/eventfd.h"

#include <poll.h>
#include <string.h>

static struct vine__uring *uring_of(struct vine__poller *poller)
{
    return VINE_CONTAINER_OF(poller, struct vine__uring, poller);
}

/* ---- submissions ----------------------------------------------------------------------------- */

static bool has_backlog(const struct vine__uring *uring)
{
    return !vine_fifo_is_empty(&uring->waiting) || uring->cancels != NULL || !uring->is_wake_armed;
}

static void prepare_cancel(struct io_uring_sqe *sqe, const struct vine__operation *operation)
{
    io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)operation, 0);
    io_uring_sqe_set_data64(sqe, VINE__URING_NOBODY);
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
}

static void add_to_cancels(struct vine__uring *uring, struct vine__operation *operation)
{
    operation->state = VINE__POLL_STATE_CANCELLING;
    operation->backend = NULL;
    operation->node.next = uring->cancels != NULL ? &uring->cancels->node : NULL;
    if (uring->cancels != NULL)
        uring->cancels->backend = operation;
    uring->cancels = operation;
}

static void remove_from_cancels(struct vine__uring *uring, struct vine__operation *operation)
{
    struct vine__operation *before = operation->backend;
    struct vine__operation *after = vine__poll_next(operation);

    if (before == NULL)
        uring->cancels = after;
    else
        before->node.next = operation->node.next;
    if (after != NULL)
        after->backend = before;
    operation->state = VINE__POLL_STATE_KERNEL;
}

/* Put as much as there is room for into the submission queue. */
static void fill(struct vine__uring *uring)
{
    struct io_uring_sqe *sqe;

    if (!uring->is_wake_armed && (sqe = io_uring_get_sqe(&uring->ring)) != NULL) {
        io_uring_prep_poll_multishot(sqe, uring->poller.wake_fd, POLLIN);
        io_uring_sqe_set_data64(sqe, VINE__URING_WAKE);
        uring->is_wake_armed = true;
    }
    while (uring->cancels != NULL && (sqe = io_uring_get_sqe(&uring->ring)) != NULL) {
        struct vine__operation *operation = uring->cancels;

        remove_from_cancels(uring, operation);
        prepare_cancel(sqe, operation);
    }
    for (;;) {
        struct vine__operation *operation = vine__poll_first(&uring->waiting);

        if (operation == NULL)
            break;
        if (operation->state == VINE__POLL_STATE_CANCELLED) {
            (void)vine_fifo_pop(&uring->waiting);
            vine__poll_ended(&uring->poller, operation, -ECANCELED);
            continue;
        }
        sqe = io_uring_get_sqe(&uring->ring);
        if (sqe == NULL)
            break;
        (void)vine_fifo_pop(&uring->waiting);
        operation->state = VINE__POLL_STATE_KERNEL;
        vine__uring_prepare(sqe, operation, uring->abilities.has_receive_limit);
    }
}

/* How many submissions the kernel has not taken yet. */
static uint32_t unsubmitted(const struct vine__uring *uring)
{
    return uring->ring.sq.sqe_tail - vine__load_relaxed_u32(uring->ring.sq.khead);
}

static int enter(struct vine__uring *uring, uint32_t count, uint32_t wait_count, uint32_t flags,
                 struct __kernel_timespec *timeout)
{
    struct io_uring_getevents_arg argument = {.ts = (uint64_t)(uintptr_t)timeout};
    const bool has_argument = timeout != NULL;

    if ((uring->ring.int_flags & 1U) != 0) /* liburing's INT_FLAG_REG_RING */
        flags |= IORING_ENTER_REGISTERED_RING;
    if (has_argument)
        flags |= IORING_ENTER_EXT_ARG;
    return io_uring_enter2((unsigned int)uring->ring.enter_ring_fd, count, wait_count, flags,
                           has_argument ? (sigset_t *)(void *)&argument : NULL,
                           has_argument ? sizeof(argument) : 0);
}

/*
 * Hand over all that there is. With `wait_count` wait for that many completions, unless something
 * could not be handed over: then there are completions to be taken first, or no memory. Returns
 * what the kernel said last.
 */
static int submit(struct vine__uring *uring, uint32_t wait_count, uint32_t flags,
                  struct __kernel_timespec *timeout)
{
    for (;;) {
        if (VINE__UNLIKELY(has_backlog(uring)))
            fill(uring);
        const uint32_t count = unsubmitted(uring);
        const bool is_last = vine_fifo_is_empty(&uring->waiting) && uring->cancels == NULL;
        /* What was cancelled as it waited has ended just now: nothing to wait for. */
        const uint32_t wait_now =
            is_last && vine_fifo_is_empty(&uring->poller.ended) ? wait_count : 0;

        /* Pairs with the kernel's acquire of the tail: the entries before their position. */
        vine__store_release_u32(uring->ring.sq.ktail, uring->ring.sq.sqe_tail);
        if (count == 0 && wait_now == 0 && flags == 0)
            return 0;
        const int taken = enter(uring, count, wait_now, flags, timeout);

        if (is_last || taken <= 0)
            return taken;
    }
}

static void uring_begin(struct vine__poller *poller, struct vine__operation *operation)
{
    struct vine__uring *uring = uring_of(poller);

    if (VINE__UNLIKELY(
            operation->kind == VINE__POLL_CALL ||
            (operation->kind == VINE__POLL_TRUNCATE && !uring->abilities.has_truncate))) {
        vine__workers_begin(poller, operation);
        return;
    }
    if (VINE__UNLIKELY(operation->kind == VINE__POLL_WORD && !uring->abilities.has_word)) {
        vine__poll_ended(poller, operation, -ENOSYS);
        return;
    }
    struct io_uring_sqe *sqe =
        vine_fifo_is_empty(&uring->waiting) ? io_uring_get_sqe(&uring->ring) : NULL;

    if (VINE__UNLIKELY(sqe == NULL)) {
        operation->state = VINE__POLL_STATE_WAITING;
        vine_fifo_push(&uring->waiting, &operation->node);
        return;
    }
    operation->state = VINE__POLL_STATE_KERNEL;
    vine__uring_prepare(sqe, operation, uring->abilities.has_receive_limit);
}

static void uring_cancel(struct vine__poller *poller, struct vine__operation *operation)
{
    struct vine__uring *uring = uring_of(poller);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

    if (sqe != NULL)
        prepare_cancel(sqe, operation);
    else
        add_to_cancels(uring, operation);
}

static bool uring_flush(struct vine__poller *poller)
{
    struct vine__uring *uring = uring_of(poller);

    if (unsubmitted(uring) == 0 && !has_backlog(uring))
        return false;
    (void)submit(uring, 0, 0, NULL);
    return true;
}

/* ---- completions ----------------------------------------------------------------------------- */

static uint32_t completions(const struct vine__uring *uring)
{
    return vine__load_relaxed_u32(uring->ring.cq.ktail) - *uring->ring.cq.khead;
}

static bool has_completions(const struct vine__uring *uring)
{
    return completions(uring) != 0;
}

/* A completion that is nobody's. */
static void take_own(struct vine__uring *uring, uint64_t user_data, uint32_t flags)
{
    uint64_t count;

    if (user_data != VINE__URING_WAKE || (flags & IORING_CQE_F_MORE) != 0)
        return;
    /* The kernel had no room for an event of it, or it was cancelled with all others at the end.
     * What was counted until now has woken us; armed with it, it would wake us once more. */
    const int error = vine__eventfd_drain(uring->poller.wake_fd, &count);

    VINE_ASSERT(error == 0 || error == -EAGAIN);
    uring->is_wake_armed = uring->poller.is_closing;
}

/*
 * What cannot be done at once on a file a thread of the kernel's does, which may have the rights to
 * key 0 alone, where the caller's memory has another one. A thread of ours does that then, for the
 * kernel has done nothing of it. Not at the end, when what goes is waited for; and not with a
 * registered buffer, which is open to the kernel, and so was a wrong one.
 */
static bool is_for_a_worker(const struct vine__poller *poller,
                            const struct vine__operation *operation)
{
    return ((operation->kind >= VINE__POLL_READ && operation->kind <= VINE__POLL_WRITEV) ||
            operation->kind == VINE__POLL_STAT) &&
           !operation->is_fixed && operation->buffer_index == 0 && !poller->is_closing &&
           operation->state == VINE__POLL_STATE_KERNEL;
}

VINE_STATIC_ASSERT(VINE__POLL_MORE << 1 == IORING_CQE_F_MORE, "translated by a shift");
VINE_STATIC_ASSERT(VINE__POLL_BUFFER >> 1 == IORING_CQE_F_BUFFER, "translated by a shift");

/* Call the functions of at most `count_max`, of those that are there now. */
static uint32_t take(struct vine__uring *uring, uint32_t count_max)
{
    struct io_uring_cq *queue = &uring->ring.cq;
    uint32_t head = *queue->khead;
    /* Pairs with the kernel's release of the tail: it has written what lies before it. */
    const uint32_t tail = vine__load_acquire_u32(queue->ktail);
    uint32_t count = 0;

    while (head != tail && count < count_max) {
        const struct io_uring_cqe *cqe = &queue->cqes[head++ & queue->ring_mask];
        const uint64_t user_data = cqe->user_data;
        const int32_t result = cqe->res;
        const uint32_t flags = cqe->flags;

        if (VINE__UNLIKELY(user_data <= VINE__URING_WAKE)) {
            take_own(uring, user_data, flags);
            continue;
        }
        struct vine__operation *operation = (void *)(uintptr_t)user_data;

        if ((flags & IORING_CQE_F_BUFFER) != 0)
            operation->buffer = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
        if (VINE__UNLIKELY(operation->state == VINE__POLL_STATE_CANCELLING) &&
            (flags & IORING_CQE_F_MORE) == 0)
            remove_from_cancels(uring, operation);
        count++;
        if (VINE__UNLIKELY(result == -EFAULT) && is_for_a_worker(&uring->poller, operation)) {
            vine__workers_begin(&uring->poller, operation);
            continue;
        }
        vine__poll_hand_out(&uring->poller, operation, result,
                            (flags & IORING_CQE_F_MORE) >> 1 | (flags & IORING_CQE_F_BUFFER) << 1);
    }
    uring->heard_since_asked += count;
    /* Pairs with the kernel's acquire of the head: we have read what lies before it. */
    vine__store_release_u32(queue->khead, head);
    return count;
}

static uint32_t hand_out(struct vine__uring *uring, uint32_t count_max)
{
    struct vine__poller *poller = &uring->poller;
    uint32_t count = 0;

    if (VINE__UNLIKELY(vine__load_relaxed_u32(&poller->has_done) != 0))
        vine__workers_collect(poller);
    if (VINE__UNLIKELY(!vine_fifo_is_empty(&poller->ended)))
        /* Who always has some that have ended leaves a part for the kernel's. */
        count = vine__poll_hand_out_ended(poller, has_completions(uring) ? count_max - count_max / 2
                                                                         : count_max);
    return count + take(uring, count_max - count);
}

/* Completions that the kernel will bring when it is entered. */
static bool is_called_for(const struct vine__uring *uring)
{
    return (vine__load_relaxed_u32(uring->ring.sq.kflags) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static bool uring_has_news(const struct vine__poller *poller)
{
    const struct vine__uring *uring = VINE_CONTAINER_OF(poller, const struct vine__uring, poller);

    return has_completions(uring) || is_called_for(uring);
}

/* Each time that it is asked the kernel adds some; and in a queue that is full receives end that go
 * on otherwise, only to be begun anew, which makes it fuller. So who has much to hear asks for more
 * when it has heard as much as the queue holds. */
static bool may_ask(struct vine__uring *uring)
{
    const uint32_t room = uring->ring.cq.ring_entries;

    if (VINE__UNLIKELY(completions(uring) >= room / 4 && uring->heard_since_asked < room))
        return false;
    uring->heard_since_asked = 0;
    return true;
}

static uint32_t uring_poll(struct vine__poller *poller, uint32_t count_max)
{
    struct vine__uring *uring = uring_of(poller);

    if (unsubmitted(uring) != 0 || has_backlog(uring))
        (void)submit(uring, 0, may_ask(uring) ? IORING_ENTER_GETEVENTS : 0, NULL);
    else if (!has_completions(uring) && is_called_for(uring))
        (void)enter(uring, 0, 0, IORING_ENTER_GETEVENTS, NULL);
    return hand_out(uring, count_max);
}

static uint32_t uring_wait(struct vine__poller *poller, uint32_t count_max, uint64_t timeout_ns,
                           bool *ret_is_over)
{
    struct vine__uring *uring = uring_of(poller);
    struct __kernel_timespec timeout = {.tv_sec = (int64_t)(timeout_ns / VINE_NS_PER_SECOND),
                                        .tv_nsec = (int64_t)(timeout_ns % VINE_NS_PER_SECOND)};

    *ret_is_over = vine__poll_take_wake(poller);
    if (*ret_is_over || timeout_ns == 0 || !vine_fifo_is_empty(&poller->ended) ||
        has_completions(uring) || vine__load_relaxed_u32(&poller->has_done) != 0)
        return uring_poll(poller, count_max);
    const int result =
        submit(uring, 1, IORING_ENTER_GETEVENTS, timeout_ns == VINE_FOREVER ? NULL : &timeout);

    vine__poll_fetch(poller);
    const uint32_t count = hand_out(uring, count_max);

    *ret_is_over =
        vine__poll_take_wake(poller) || (result < 0 && result != -EINTR && result != -ETIME);
    return count;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void uring_cancel_all(struct vine__poller *poller)
{
    struct vine__uring *uring = uring_of(poller);

    VINE__POLL_FOR_EACH(at, &uring->waiting)
    {
        at->state = VINE__POLL_STATE_CANCELLED;
    }
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

    if (sqe == NULL)
        return; /* room for the next time */
    io_uring_prep_cancel64(sqe, 0, (int)(IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL));
    io_uring_sqe_set_data64(sqe, VINE__URING_NOBODY);
}

static void uring_destroy(struct vine__poller *poller)
{
    struct vine__uring *uring = uring_of(poller);

    vine__uring_files_fini(uring);
    io_uring_queue_exit(&uring->ring);
    vine__poll_fini(poller);
    vine__closed_free(uring);
}

static const struct vine__poll_backend_table uring_table = {
    .name = "io_uring",
    .begin = uring_begin,
    .cancel = uring_cancel,
    .flush = uring_flush,
    .has_news = uring_has_news,
    .poll = uring_poll,
    .wait = uring_wait,
    .cancel_all = uring_cancel_all,
    .destroy = uring_destroy,
    .buffers_register = vine__uring_buffers_register,
    .buffers_unregister = vine__uring_buffers_unregister,
    .register_file = vine__uring_register_file,
    .unregister_file = vine__uring_unregister_file,
    .register_buffers = vine__uring_register_buffers,
};

int vine__poll_uring_create(struct vine__poller **ret_poller, uint32_t queue_depth, char *ret_why)
{
    struct vine__uring *uring = vine__closed_alloc_lines(sizeof(*uring));

    if (uring == NULL)
        return -ENOMEM;
    int error = vine__uring_setup(&uring->ring, queue_depth, &uring->abilities, ret_why);

    if (error != 0) {
        vine__closed_free(uring);
        return error;
    }
    error = vine__poll_init(&uring->poller, &uring_table);
    if (error != 0) {
        io_uring_queue_exit(&uring->ring);
        vine__closed_free(uring);
        return error;
    }
    *ret_poller = &uring->poller;
    return 0;
}
