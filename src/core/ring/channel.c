/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/channel.h>

#include "core/ring/deadline.h"
#include "core/ring/spsc_inline.h"
#include "core/ring/wait_inline.h"
#include "utils/assert.h"
#include "utils/bits.h"

#define SLOTS_DEFAULT 256

VINE_STATIC_ASSERT(VINE_SPSC_BYTES == VINE_MPMC_BYTES, "one message size for both kinds");
VINE_STATIC_ASSERT(VINE_CHANNEL_BYTES + 8 == VINE_SPSC_BYTES, "an operation's id fits beside");
VINE_STATIC_ASSERT(sizeof(struct vine_channel_side) == 256, "layout");
VINE_STATIC_ASSERT(offsetof(struct vine_channel_side, consumed) == 0, "layout");
VINE_STATIC_ASSERT(offsetof(struct vine_channel_side, for_message) == 64, "a line of its own");
VINE_STATIC_ASSERT(offsetof(struct vine_channel_side, for_space) == 128, "a line of its own");

size_t vine_channel_side_size(uint32_t slot_count)
{
    if (slot_count < VINE_SPSC_SLOTS_MIN || slot_count > VINE_SPSC_SLOTS_MAX ||
        !vine__is_power_of_two_u64(slot_count))
        return 0;
    return sizeof(struct vine_channel_side) + slot_count * sizeof(struct vine_slot);
}

/* ---- sending --------------------------------------------------------------------------------- */

int vine_sender_send(struct vine_sender *sender, const void *bytes, size_t size)
{
    if (sender->kind == VINE_RING_SPSC) {
        const int error = vine__spsc_push(&sender->ring.spsc, bytes, size);

        if (VINE__LIKELY(error == 0))
            vine__wake_consumer(&sender->waker, &sender->ring.spsc);
        return error;
    }

    const int error = vine_mpmc_push(&sender->ring.mpmc, bytes, size);

    if (error == 0)
        vine_mpmc_wake_consumers(&sender->ring.mpmc, 1);
    return error;
}

int vine_sender_send_burst(struct vine_sender *sender, const void *messages, size_t size,
                           uint32_t count)
{
    int pushed;

    if (sender->kind == VINE_RING_SPSC) {
        pushed = vine_spsc_push_burst(&sender->ring.spsc, messages, size, count);
        if (pushed > 0)
            vine__wake_consumer(&sender->waker, &sender->ring.spsc);
    } else {
        pushed = vine_mpmc_push_burst(&sender->ring.mpmc, messages, size, count);
        if (pushed > 0)
            vine_mpmc_wake_consumers(&sender->ring.mpmc, (uint32_t)pushed);
    }
    return pushed;
}

static int wait_for_room(struct vine_sender *sender, uint64_t timeout_ns)
{
    if (sender->kind == VINE_RING_SPSC)
        return vine_wait_space(&sender->waiter, &sender->ring.spsc, timeout_ns);
    return vine_mpmc_wait_space(&sender->ring.mpmc, &sender->waiter, timeout_ns);
}

int vine_sender_send_wait(struct vine_sender *sender, const void *bytes, size_t size,
                          uint64_t timeout_ns)
{
    struct vine__deadline deadline = vine__deadline_after(timeout_ns);

    for (;;) {
        int error = vine_sender_send(sender, bytes, size);

        if (error != -EAGAIN)
            return error;
        if (deadline.is_over)
            return -ETIMEDOUT;
        error = wait_for_room(sender, vine__deadline_left(&deadline));
        if (error)
            return error;
    }
}

int vine_sender_notify_eventfd(struct vine_sender *sender, int fd)
{
    if (sender->kind != VINE_RING_SPSC || fd < 0)
        return -EINVAL;
    vine_waker_use_eventfd(&sender->waker, fd);
    return 0;
}

int vine_sender_notify_call(struct vine_sender *sender, vine_wake_fn call, void *context)
{
    if (sender->kind != VINE_RING_SPSC || !call)
        return -EINVAL;
    vine_waker_use_call(&sender->waker, call, context);
    return 0;
}

/* ---- receiving ------------------------------------------------------------------------------- */

int vine_receiver_receive(struct vine_receiver *receiver, void *ret_bytes)
{
    if (receiver->kind == VINE_RING_SPSC) {
        const int error = vine__spsc_pop(&receiver->ring.spsc, ret_bytes);

        vine__wake_producer(&receiver->waker, &receiver->ring.spsc);
        return error;
    }

    const int error = vine_mpmc_pop(&receiver->ring.mpmc, ret_bytes);

    if (error == 0)
        vine_mpmc_wake_producers(&receiver->ring.mpmc, 1);
    return error;
}

int vine_receiver_receive_burst(struct vine_receiver *receiver, void *ret_messages,
                                uint32_t count_max)
{
    int popped;

    if (receiver->kind == VINE_RING_SPSC) {
        popped = vine_spsc_pop_burst(&receiver->ring.spsc, ret_messages, count_max);
        vine__wake_producer(&receiver->waker, &receiver->ring.spsc);
    } else {
        popped = vine_mpmc_pop_burst(&receiver->ring.mpmc, ret_messages, count_max);
        if (popped > 0)
            vine_mpmc_wake_producers(&receiver->ring.mpmc, (uint32_t)popped);
    }
    return popped;
}

static int wait_for_message(struct vine_receiver *receiver, uint64_t timeout_ns)
{
    if (receiver->kind == VINE_RING_SPSC)
        return vine_wait_message(&receiver->waiter, &receiver->ring.spsc, timeout_ns);
    return vine_mpmc_wait_message(&receiver->ring.mpmc, &receiver->waiter, timeout_ns);
}

int vine_receiver_receive_wait(struct vine_receiver *receiver, void *ret_bytes, uint64_t timeout_ns)
{
    struct vine__deadline deadline = vine__deadline_after(timeout_ns);

    for (;;) {
        int error = vine_receiver_receive(receiver, ret_bytes);

        if (error != -EAGAIN)
            return error;
        if (deadline.is_over)
            return -ETIMEDOUT;
        error = wait_for_message(receiver, vine__deadline_left(&deadline));
        if (error)
            return error;
    }
}

int vine_receiver_arm(struct vine_receiver *receiver)
{
    if (receiver->kind != VINE_RING_SPSC)
        return -EINVAL;

    const int error = vine_wait_arm_message(&receiver->waiter, &receiver->ring.spsc);

    /* Arming publishes our position. */
    vine__wake_producer(&receiver->waker, &receiver->ring.spsc);
    return error;
}

void vine_receiver_disarm(struct vine_receiver *receiver)
{
    if (receiver->kind == VINE_RING_SPSC)
        vine_wait_disarm(&receiver->waiter);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static int take_options(const struct vine_channel_options *options,
                        struct vine_channel_options *ret_options)
{
    struct vine_channel_options chosen = {.size_bytes = sizeof(chosen)};

    if (options) {
        if (options->size_bytes != sizeof(chosen))
            return -EINVAL;
        chosen = *options;
    }
    if (chosen.submission_slots == 0)
        chosen.submission_slots = SLOTS_DEFAULT;
    if (chosen.completion_slots == 0)
        chosen.completion_slots = chosen.submission_slots;
    /* Nested options that nobody touched have no size yet. */
    if (chosen.wait.size_bytes == 0)
        chosen.wait.size_bytes = sizeof(chosen.wait);
    *ret_options = chosen;
    return 0;
}

/* Both rings of one side: `ours` has the slots that we fill, `theirs` those that we empty. */
static int init_rings(struct vine_sender *out, struct vine_receiver *in,
                      struct vine_channel_side *ours, const struct vine_channel_side *theirs,
                      const struct vine_channel_options *options)
{
    int error;

    if (!ours || !theirs)
        return -EINVAL;
    out->kind = VINE_RING_SPSC;
    in->kind = VINE_RING_SPSC;
    error = vine_spsc_producer_init(&out->ring.spsc, (struct vine_slot *)(ours + 1),
                                    options->submission_slots, &theirs->consumed.value);
    if (error)
        return error;
    error = vine_spsc_consumer_init(&in->ring.spsc, (const struct vine_slot *)(theirs + 1),
                                    options->completion_slots, &ours->consumed.value);
    if (error)
        return error;
    error = vine_waiter_init(&out->waiter, &ours->for_space, &options->wait);
    if (error)
        return error;
    error = vine_waiter_init(&in->waiter, &ours->for_message, &options->wait);
    if (error)
        return error;
    error = vine_waker_init(&out->waker, &theirs->for_message, options->wait.mode);
    if (error)
        return error;
    return vine_waker_init(&in->waker, &theirs->for_space, options->wait.mode);
}

int vine_submitter_init(struct vine_submitter *submitter, struct vine_channel_side *ours,
                        const struct vine_channel_side *theirs,
                        const struct vine_channel_options *options)
{
    struct vine_submitter made = {.in_flight = 0};
    struct vine_channel_options chosen;
    int error = take_options(options, &chosen);

    if (error)
        return error;
    error = init_rings(&made.out, &made.in, ours, theirs, &chosen);
    if (error)
        return error;
    made.in_flight_max = chosen.completion_slots;
    *submitter = made;
    return 0;
}

int vine_completer_init(struct vine_completer *completer, struct vine_channel_side *ours,
                        const struct vine_channel_side *theirs,
                        const struct vine_channel_options *options)
{
    struct vine_completer made = {.in.kind = VINE_RING_SPSC};
    struct vine_channel_options chosen;
    int error = take_options(options, &chosen);

    if (error)
        return error;

    /* What we fill are the completions. */
    const uint32_t submission_slots = chosen.submission_slots;

    chosen.submission_slots = chosen.completion_slots;
    chosen.completion_slots = submission_slots;
    error = init_rings(&made.out, &made.in, ours, theirs, &chosen);
    if (error)
        return error;
    *completer = made;
    return 0;
}

static int init_queues(struct vine_sender *out, struct vine_receiver *in,
                       const struct vine_mpmc *filled, const struct vine_mpmc *emptied,
                       const struct vine_wait_options *wait)
{
    const int error = vine_mpmc_waiter_init(&out->waiter, wait);

    if (error)
        return error;
    out->kind = VINE_RING_MPMC;
    in->kind = VINE_RING_MPMC;
    in->waiter = out->waiter;
    vine_mpmc_clone(&out->ring.mpmc, filled);
    vine_mpmc_clone(&in->ring.mpmc, emptied);
    return 0;
}

int vine_submitter_init_mpmc(struct vine_submitter *submitter, const struct vine_mpmc *submissions,
                             const struct vine_mpmc *completions,
                             const struct vine_wait_options *wait)
{
    struct vine_submitter made = {.in_flight_max = UINT32_MAX};
    const int error = init_queues(&made.out, &made.in, submissions, completions, wait);

    if (error == 0)
        *submitter = made;
    return error;
}

int vine_completer_init_mpmc(struct vine_completer *completer, const struct vine_mpmc *submissions,
                             const struct vine_mpmc *completions,
                             const struct vine_wait_options *wait)
{
    struct vine_completer made = {.in.kind = VINE_RING_MPMC};
    const int error = init_queues(&made.out, &made.in, completions, submissions, wait);

    if (error == 0)
        *completer = made;
    return error;
}

int vine_sender_clone(struct vine_sender *clone, const struct vine_sender *sender)
{
    if (sender->kind != VINE_RING_MPMC)
        return -EINVAL;
    *clone = *sender;
    vine_mpmc_clone(&clone->ring.mpmc, &sender->ring.mpmc);
    return 0;
}

int vine_receiver_clone(struct vine_receiver *clone, const struct vine_receiver *receiver)
{
    if (receiver->kind != VINE_RING_MPMC)
        return -EINVAL;
    *clone = *receiver;
    vine_mpmc_clone(&clone->ring.mpmc, &receiver->ring.mpmc);
    return 0;
}

int vine_submitter_clone(struct vine_submitter *clone, const struct vine_submitter *submitter)
{
    struct vine_submitter made = {.in_flight_max = submitter->in_flight_max};
    int error = vine_sender_clone(&made.out, &submitter->out);

    if (!error)
        error = vine_receiver_clone(&made.in, &submitter->in);
    if (!error)
        *clone = made;
    return error;
}

int vine_completer_clone(struct vine_completer *clone, const struct vine_completer *completer)
{
    struct vine_completer made = {.in.kind = VINE_RING_MPMC};
    int error = vine_receiver_clone(&made.in, &completer->in);

    if (!error)
        error = vine_sender_clone(&made.out, &completer->out);
    if (!error)
        *clone = made;
    return error;
}

int vine_submitter_split(const struct vine_submitter *submitter, struct vine_sender *ret_sender,
                         struct vine_receiver *ret_receiver, uint32_t *ret_in_flight_max)
{
    if (submitter->in_flight != 0)
        return -EBUSY;
    *ret_sender = submitter->out;
    *ret_receiver = submitter->in;
    *ret_in_flight_max = submitter->in.kind == VINE_RING_SPSC
                             ? submitter->in_flight_max
                             : (uint32_t)submitter->in.ring.mpmc.slot_count;
    return 0;
}

/* ---- what is in flight ----------------------------------------------------------------------- */

/* Over mpmc queues somebody else's completions come to us, too, so nothing is counted. */
static bool is_counted(const struct vine_submitter *submitter)
{
    return submitter->out.kind == VINE_RING_SPSC;
}

static uint32_t room_in_flight(const struct vine_submitter *submitter)
{
    return is_counted(submitter) ? submitter->in_flight_max - submitter->in_flight : UINT32_MAX;
}

static void count_submitted(struct vine_submitter *submitter, uint32_t count)
{
    if (is_counted(submitter))
        submitter->in_flight += count;
}

/* A completer that completes more than was submitted has broken the protocol; its surplus messages
 * are the bridge's to refuse, and our count stays at zero. */
static void count_received(struct vine_submitter *submitter, uint32_t count)
{
    if (is_counted(submitter))
        submitter->in_flight -= count < submitter->in_flight ? count : submitter->in_flight;
}

int vine_submitter_submit(struct vine_submitter *submitter, const void *bytes, size_t size)
{
    if (room_in_flight(submitter) == 0)
        return -EAGAIN;

    const int error = vine_sender_send(&submitter->out, bytes, size);

    if (error == 0)
        count_submitted(submitter, 1);
    return error;
}

int vine_submitter_submit_burst(struct vine_submitter *submitter, const void *messages, size_t size,
                                uint32_t count)
{
    const uint32_t room = room_in_flight(submitter);
    const int pushed =
        vine_sender_send_burst(&submitter->out, messages, size, count < room ? count : room);

    if (pushed > 0)
        count_submitted(submitter, (uint32_t)pushed);
    return pushed;
}

int vine_submitter_submit_wait(struct vine_submitter *submitter, const void *bytes, size_t size,
                               uint64_t timeout_ns)
{
    if (room_in_flight(submitter) == 0)
        return -EAGAIN;

    const int error = vine_sender_send_wait(&submitter->out, bytes, size, timeout_ns);

    if (error == 0)
        count_submitted(submitter, 1);
    return error;
}

int vine_submitter_receive(struct vine_submitter *submitter, void *ret_bytes)
{
    const int error = vine_receiver_receive(&submitter->in, ret_bytes);

    if (error == 0)
        count_received(submitter, 1);
    return error;
}

int vine_submitter_receive_burst(struct vine_submitter *submitter, void *ret_messages,
                                 uint32_t count_max)
{
    const int popped = vine_receiver_receive_burst(&submitter->in, ret_messages, count_max);

    if (popped > 0)
        count_received(submitter, (uint32_t)popped);
    return popped;
}

int vine_submitter_receive_wait(struct vine_submitter *submitter, void *ret_bytes,
                                uint64_t timeout_ns)
{
    const int error = vine_receiver_receive_wait(&submitter->in, ret_bytes, timeout_ns);

    if (error == 0)
        count_received(submitter, 1);
    return error;
}

/* ---- asynchronous ends ----------------------------------------------------------------------- */

int vine_submitter_arm(struct vine_submitter *submitter)
{
    return vine_receiver_arm(&submitter->in);
}

void vine_submitter_disarm(struct vine_submitter *submitter)
{
    vine_receiver_disarm(&submitter->in);
}

int vine_submitter_notify_eventfd(struct vine_submitter *submitter, int fd)
{
    return vine_sender_notify_eventfd(&submitter->out, fd);
}

int vine_submitter_notify_call(struct vine_submitter *submitter, vine_wake_fn call, void *context)
{
    return vine_sender_notify_call(&submitter->out, call, context);
}

int vine_completer_arm(struct vine_completer *completer)
{
    return vine_receiver_arm(&completer->in);
}

void vine_completer_disarm(struct vine_completer *completer)
{
    vine_receiver_disarm(&completer->in);
}

int vine_completer_notify_eventfd(struct vine_completer *completer, int fd)
{
    return vine_sender_notify_eventfd(&completer->out, fd);
}

int vine_completer_notify_call(struct vine_completer *completer, vine_wake_fn call, void *context)
{
    return vine_sender_notify_call(&completer->out, call, context);
}
