/* SPDX-License-Identifier: Apache-2.0 */
#include "raw_application.h"

#include <poll.h>
#include <sched.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/ring/spsc_inline.h"
#include "core/talk/message.h"

static struct vine__handshake_wish raw_begin(struct raw_application *raw)
{
    memset(raw, 0, sizeof *raw);
    raw->limit_ns = RAW_LIMIT_NS;
    vine__link_init(&raw->link, &raw->half, &raw->mirror);
    return (struct vine__handshake_wish){
        .name = "raw",
        .timeout_ns = RAW_LIMIT_NS,
        .why = &raw->why,
    };
}

int raw_open(struct raw_application *raw, const char *address)
{
    return raw_open_without(raw, address, 0);
}

int raw_open_without(struct raw_application *raw, const char *address, uint32_t features)
{
    struct vine__handshake_wish wish = raw_begin(raw);
    struct vine__address resolved;
    const int error = vine__address_resolve(address, false, &resolved, &raw->why);

    if (error)
        return error;
    wish.without = features;
    if (resolved.is_link)
        return vine__link_meet(&raw->link, &resolved, &wish, &raw->agreement);
    return resolved.is_named
               ? vine__link_attach(&raw->link, &resolved, &wish, &raw->agreement)
               : vine__link_connect(&raw->link, resolved.text, &wish, &raw->agreement);
}

void raw_close(struct raw_application *raw)
{
    raw->link.operations->close(&raw->link);
    vine__mirror_close(&raw->mirror);
    vine__half_close(&raw->half);
}

/* Of a channel that it does not look at by itself. */
static void tell_appliance(struct raw_channel *channel)
{
    vine__fence_full();
    if (!vine__ready_is_listed(&channel->ready))
        vine__ready_tell(&channel->ready);
}

static void wake_appliance(struct raw_application *raw)
{
    vine__fence_full();
    if (vine__load_relaxed_u32(&raw->mirror.layout->board.sleep_epoch.value) & 1)
        vine__link_wake(&raw->link);
}

int raw_open_channel(struct raw_application *raw)
{
    const uint32_t index = raw->channel_count;
    struct vine_channel_layout *ours = &raw->half.layout->channels[index];
    const struct vine_channel_layout *theirs = &raw->mirror.layout->channels[index];
    struct raw_channel *channel = &raw->channels[index];
    const uint64_t bytes = RAW_SLOTS * sizeof(struct vine_slot);
    const uint64_t start_ns = vine__clock_now_ns();
    struct vine__box box;
    int error = vine__half_alloc(&raw->half, bytes, &box);

    if (error)
        return error;
    memset(box.memory, 0, bytes);
    channel->slots = box.memory;
    vine__ready_init(&channel->ready, raw->agreement.ready, index, raw->half.layout,
                     raw->mirror.layout);
    ours->slot_count = RAW_SLOTS;
    ours->ring_extent = box.extent;
    ours->ring_offset_units = box.offset_units;
    ours->wait_mode = VINE_WAIT_SLEEPY;
    vine__store_release_u32(&ours->state, 1);
    vine__store_release_u32(&raw->half.layout->board.channels.value, ++raw->channel_count);
    wake_appliance(raw);
    while (vine__load_acquire_u32(&theirs->state) != 1) {
        if (vine__clock_now_ns() - start_ns > raw->limit_ns ||
            vine__load_relaxed_u32(&raw->mirror.layout->board.closed.value) != 0)
            return -VINE_EPEERLOST;
        (void)sched_yield();
    }

    const void *slots = vine__mirror_resolve(&raw->mirror, theirs->ring_extent,
                                             theirs->ring_offset_units, bytes, NULL);

    if (slots == NULL) {
        /* In a part of its half that it told us of before. */
        error = raw->link.operations->receive(&raw->link, &raw->why);
        if (error < 0)
            return error;
        slots = vine__mirror_resolve(&raw->mirror, theirs->ring_extent, theirs->ring_offset_units,
                                     bytes, NULL);
    }
    if (slots == NULL)
        return -VINE_EPEERLOST;
    error = vine_spsc_producer_init(&channel->producer, channel->slots, RAW_SLOTS,
                                    &theirs->consumed.value);
    if (!error)
        error =
            vine_spsc_consumer_init(&channel->consumer, slots, RAW_SLOTS, &ours->consumed.value);
    return error;
}

int raw_submit(struct raw_application *raw, uint32_t channel,
               const struct vine_wire_submission *submission)
{
    const int error =
        vine_spsc_push(&raw->channels[channel].producer, submission, sizeof *submission);

    tell_appliance(&raw->channels[channel]);
    wake_appliance(raw);
    return error;
}

/* At a link nobody answers who said on its own board that it has closed. */
static bool has_left(const struct raw_application *raw)
{
    return raw->link.end != NULL &&
           vine__load_relaxed_u32(&raw->half.layout->board.closed.value) != 0;
}

/* Whether the appliance has closed the pipe: it says so on its board, unless we asked for it, and
 * hangs up, or answers somebody else. */
static bool is_closed(struct raw_application *raw)
{
    struct pollfd poll_fd = {.fd = raw->link.socket_fd, .events = POLLRDHUP};

    if (raw->link.end != NULL && (has_left(raw) || raw->link.operations->peer_lost(&raw->link)))
        return true;
    return vine__load_relaxed_u32(&raw->mirror.layout->board.closed.value) != 0 ||
           (poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLRDHUP | POLLHUP)) != 0);
}

int raw_complete(struct raw_application *raw, uint32_t channel,
                 struct vine_wire_completion *ret_completion)
{
    const uint64_t start_ns = vine__clock_now_ns();

    for (uint32_t looks = 1;; looks++) {
        const int error = vine_spsc_pop(&raw->channels[channel].consumer, ret_completion);

        if (error != -EAGAIN)
            return error;
        if (looks % 256 == 0) {
            if (vine__clock_now_ns() - start_ns > raw->limit_ns || is_closed(raw))
                return -VINE_EPEERLOST;
            (void)sched_yield();
        }
        (void)sched_yield();
    }
}

/* Where no message comes. */
static int wait_closed_on_board(struct raw_application *raw)
{
    const uint64_t start_ns = vine__clock_now_ns();

    while (vine__clock_now_ns() - start_ns < raw->limit_ns) {
        const int error = raw->link.operations->receive(&raw->link, &raw->why);

        if (error < 0)
            return -error;
        if (has_left(raw))
            return VINE_ECLOSED;
        if (raw->link.operations->peer_lost(&raw->link))
            return VINE_EPEERLOST;
        (void)sched_yield();
    }
    return 0;
}

int raw_wait_closed(struct raw_application *raw)
{
    if (raw->link.socket_fd < 0)
        return wait_closed_on_board(raw);
    for (;;) {
        union vine__talk_any message;
        int fd = -1;
        const int error =
            vine__talk_receive(raw->link.socket_fd, &message, &fd, RAW_LIMIT_NS, &raw->why);

        if (error)
            return error == -VINE_EPEERLOST ? VINE_EPEERLOST : 0;
        if (message.head.type == VINE_TALK_BYE) {
            memcpy(raw->why.text, message.reason.text, sizeof message.reason.text);
            return (int)message.reason.error;
        }
    }
}

int raw_ping(struct raw_application *raw, uint32_t channel)
{
    struct vine_wire_submission submission = {
        .operation = 0x1122334455667788,
        .procedure = 9999,
        .kind = VINE_WIRE_TASK,
    };
    struct vine_wire_completion completion;
    int error = raw_submit(raw, channel, &submission);

    if (!error)
        error = raw_complete(raw, channel, &completion);
    if (!error &&
        (completion.operation != submission.operation || completion.status != VINE_EPROCEDURE))
        error = -VINE_EPROTOCOL;
    return error;
}
