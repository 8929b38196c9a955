/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe's life on the appliance's side: opened, its channels opened, ended for a reason. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/wake/epoll.h"
#include "arch/wake/futex.h"
#include "core/talk/message.h"
#include "core/talk/served_internal.h"
#include "utils/assert.h"
#include "utils/bits.h"
#include "utils/container_of.h"

struct vine__served *vine__served_create(struct vine_appliance *appliance)
{
    struct vine__served *pipe = aligned_alloc(VINE_CACHE_LINE, sizeof *pipe);

    if (pipe == NULL)
        return NULL;
    memset(pipe, 0, sizeof *pipe);
    pipe->magic = VINE__SERVED_MAGIC;
    pipe->appliance = appliance;
    pipe->number = vine__fetch_add_acq_rel_u64(&appliance->common->pipe_numbers, 1) + 1;
    vine__pipe_counted(appliance, 1);
    vine__link_init(&pipe->link_to, &pipe->half, &pipe->mirror);
    vine__list_init(&pipe->active);
    vine__list_init(&pipe->ready);
    vine__list_init(&pipe->lingering);
    pipe->turn.shares = VINE_APPLIANCE_SHARES;
    vine__list_init(&pipe->growing);
    vine__list_init(&pipe->mover);
    vine__list_init(&pipe->rolled.link);
    vine__list_push_back(&appliance->strangers, &pipe->link);
    appliance->stranger_count++;
    return pipe;
}

void vine__served_await(struct vine__served *pipe)
{
    VINE_ASSERT(pipe->state == VINE__SERVED_HANDSHAKE);
    pipe->is_awaited = true;
    pipe->appliance->stranger_count--;
    vine__list_remove(&pipe->link);
    vine__list_push_back(&pipe->appliance->awaited, &pipe->link);
}

void vine__served_discard(struct vine__served *pipe)
{
    VINE_ASSERT(pipe->magic == VINE__SERVED_MAGIC && pipe->jobs_taken == 0);
    (void)vine__fetch_sub_acq_rel_u64(&pipe->appliance->common->pipe_numbers, 1);
    pipe->appliance->stranger_count--;
    vine__pipe_counted(pipe->appliance, -1);
    vine__list_remove(&pipe->link);
    pipe->magic = 0;
    free(pipe);
}

static void tell_opened(const struct vine__served *pipe)
{
    const struct vine__agreement *agreement = &pipe->agreement;

    if (agreement->peer_uid == VINE__UID_UNKNOWN)
        vine__appliance_log(pipe->appliance, VINE_LOG_INFO, "pipe %llu (%s, pid %d): opened",
                            (unsigned long long)pipe->number, agreement->peer_name,
                            pipe->link_to.peer_pid);
    else
        vine__appliance_log(pipe->appliance, VINE_LOG_INFO,
                            "pipe %llu (%s, pid %d, uid %u): opened",
                            (unsigned long long)pipe->number, agreement->peer_name,
                            pipe->link_to.peer_pid, agreement->peer_uid);
    vine__appliance_tell(pipe->appliance, VINE_APPLIANCE_PIPE_OPENED, pipe, 0, NULL);
}

int vine__served_open(struct vine__served *pipe)
{
    const struct vine_appliance_options *options = &pipe->appliance->options;
    const uint64_t tasks = (uint64_t)pipe->agreement.channels_max * pipe->agreement.tasks_max;
    const bool is_fixed = pipe->link_to.is_fixed;

    VINE_ASSERT(pipe->state == VINE__SERVED_HANDSHAKE);
    VINE_ASSERT(pipe->is_awaited || pipe->appliance->stranger_count > 0);
    pipe->accelerators = calloc(options->accelerators_max, sizeof *pipe->accelerators);
    pipe->sessions = calloc(VINE_WIRE_SESSION_PLACES, sizeof(struct vine__session *));
    if (pipe->accelerators == NULL || pipe->sessions == NULL)
        return -ENOMEM;
    /* A named segment is the appliance's own, whoever comes to it, and devices are the host's: they
     * do not count. */
    pipe->quota.bytes_max =
        is_fixed ? options->memory_max_bytes + pipe->half.size_bytes
                 : pipe->agreement.memory_max_bytes + vine__beside_halves(pipe->appliance);
    vine__quota_add(&pipe->quota, sizeof *pipe +
                                      options->accelerators_max * sizeof *pipe->accelerators +
                                      VINE_WIRE_SESSION_PLACES * sizeof(struct vine__session *));
    vine__half_charge(&pipe->half, &pipe->quota);
    if (!is_fixed)
        vine__mirror_charge(&pipe->mirror, &pipe->quota);
    pipe->half.in_steps = true;
    pipe->mirror.in_steps = true;
    pipe->accelerators[0] = (struct vine__virtual_accelerator){.is_used = true, .is_ordered = true};
    vine__op_cache_init(&pipe->jobs, sizeof(struct vine_call),
                        (uint32_t)vine__min_u64(tasks, VINE__OPS_MAX));
    /* Asleep, until it is activated. */
    pipe->sleep_epoch = 1;
    vine__store_relaxed_u32(&pipe->half.layout->board.sleep_epoch.value, pipe->sleep_epoch);
    pipe->state = VINE__SERVED_OPEN;
    vine__loop_set_shares(pipe, vine__appliance_shares(pipe));
    pipe->appliance->stranger_count -= !pipe->is_awaited;
    pipe->is_awaited = false;
    vine__list_remove(&pipe->link);
    vine__list_push_back(&pipe->appliance->pipes, &pipe->link);
    vine__store_relaxed_u64(&pipe->appliance->pipes_accepted, pipe->appliance->pipes_accepted + 1);
    (void)vine__fetch_add_acq_rel_u32(&pipe->appliance->common->pipes_open, 1);
    vine__roll_open(&pipe->appliance->common->roll, pipe);
    tell_opened(pipe);
    return 0;
}

/* The application's ring of a channel, as it was found good. */
struct found_ring {
    uint32_t slot_count;
    uint64_t bytes;
    const void *slots;
};

/* Check what the application says of its ring. */
static int find_ring(struct vine__served *pipe, uint32_t index, struct found_ring *ret_ring)
{
    const struct vine_channel_layout *theirs = &pipe->mirror.layout->channels[index];
    const uint32_t slot_count = vine__load_relaxed_u32(&theirs->slot_count);
    const uint32_t extent = vine__load_relaxed_u32(&theirs->ring_extent);
    const uint32_t offset = vine__load_relaxed_u32(&theirs->ring_offset_units);
    struct found_ring ring = {slot_count, (uint64_t)slot_count * sizeof(struct vine_slot), NULL};

    if (!vine__is_power_of_two_u64(slot_count) || slot_count < VINE_SPSC_SLOTS_MIN ||
        slot_count > vine__ring_slots(pipe->agreement.tasks_max)) {
        vine__why_say(&pipe->why, "channel %u with %u slots for %u tasks", index, slot_count,
                      pipe->agreement.tasks_max);
        return -VINE_EPROTOCOL;
    }
    if (extent >= VINE_TALK_EXTENTS_MAX) {
        vine__why_say(&pipe->why, "channel %u's ring in extent %u", index, extent);
        return -VINE_EPROTOCOL;
    }

    const struct vine_token token = {
        .extent = (uint16_t)extent,
        .offset_units = offset,
        .length = (uint32_t)ring.bytes,
    };
    const int error = vine__served_resolve(pipe, &token, &ring.slots);

    if (error > 0)
        vine__why_say(&pipe->why, "no memory is left for channel %u's ring", index);
    if (error)
        return error > 0 ? -error : error;
    *ret_ring = ring;
    return 0;
}

/* Our end of a channel: a ring of our own, and positions in both. */
static int make_channel(struct vine__served *pipe, uint32_t index, const struct found_ring *ring,
                        struct vine__served_channel **ret_channel)
{
    const struct vine_channel_layout *theirs = &pipe->mirror.layout->channels[index];
    struct vine_channel_layout *ours = &pipe->half.layout->channels[index];
    const uint32_t lane_count = pipe->appliance->options.accelerators_max;
    struct vine__served_channel *channel = calloc(1, sizeof *channel);
    struct vine__box box;
    int error = channel == NULL ? -ENOMEM : 0;

    if (!error) {
        channel->lanes = calloc(lane_count, sizeof *channel->lanes);
        error = channel->lanes == NULL ? -ENOMEM : vine__half_alloc(&pipe->half, ring->bytes, &box);
    }
    if (!error) {
        memset(box.memory, 0, ring->bytes);
        error = vine_spsc_producer_init(&channel->completions, box.memory, ring->slot_count,
                                        &theirs->consumed.value);
    }
    if (!error)
        error = vine_spsc_consumer_init(&channel->submissions, ring->slots, ring->slot_count,
                                        &ours->consumed.value);
    if (error) {
        if (error != VINE__HELD)
            vine__why_say(&pipe->why, "channel %u cannot be opened: %s", index,
                          vine_error_text(error));
        if (channel != NULL)
            free(channel->lanes);
        free(channel);
        return error;
    }
    /* Few, as granted: room or not. */
    vine__quota_add(&pipe->quota, sizeof *channel + lane_count * sizeof *channel->lanes);
    for (uint32_t i = 0; i < lane_count; i++)
        vine__list_init(&channel->lanes[i].jobs);
    channel->pipe = pipe;
    channel->peer_epoch = &pipe->mirror.layout->board.sleep_epoch.value;
    channel->peer_sleeping = &theirs->sleeping.value;
    channel->rung = pipe->link_to.operations->rest != NULL ? &pipe->link_to : NULL;
    ours->slot_count = ring->slot_count;
    ours->ring_extent = box.extent;
    ours->ring_offset_units = box.offset_units;
    *ret_channel = channel;
    return 0;
}

static int open_channel(struct vine__served *pipe, uint32_t index)
{
    const struct vine_channel_layout *theirs = &pipe->mirror.layout->channels[index];
    struct vine_channel_layout *ours = &pipe->half.layout->channels[index];
    struct vine__served_channel *channel = NULL;
    struct found_ring ring = {0};

    VINE_ASSERT(pipe->channels[index] == NULL);

    int error = find_ring(pipe, index, &ring);

    if (!error)
        error = make_channel(pipe, index, &ring, &channel);
    if (error)
        return error;
    channel->is_stream =
        vine__load_relaxed_u32(&theirs->wait_mode) == VINE_WAIT_STREAM && pipe->agreement.stream;
    channel->is_open = true;
    pipe->channels[index] = channel;
    ours->wait_mode = channel->is_stream ? VINE_WAIT_STREAM : VINE_WAIT_SLEEPY;
    /* B3 pairs with B4: the record before the state that shows it. */
    vine__store_release_u32(&ours->state, 1);
    if (channel->rung != NULL)
        vine__link_wake(channel->rung);
    else
        (void)!vine__futex_wake(&ours->state, INT32_MAX);
    return 0;
}

int vine__served_open_channels(struct vine__served *pipe)
{
    /* B2 pairs with B1. */
    const uint32_t count = vine__load_acquire_u32(&pipe->mirror.layout->board.channels.value);

    if (count < pipe->channel_count || count > pipe->agreement.channels_max) {
        vine__why_say(&pipe->why, "%u channels, after %u, of at most %u", count,
                      pipe->channel_count, pipe->agreement.channels_max);
        return -VINE_EPROTOCOL;
    }
    while (pipe->channel_count < count) {
        const int error = open_channel(pipe, pipe->channel_count);

        if (error)
            return error == VINE__HELD ? 0 : error;
        vine__store_relaxed_u32(&pipe->channel_count, pipe->channel_count + 1);
        vine__served_enlist(pipe, pipe->channel_count - 1);
    }
    return 0;
}

static void count_end(struct vine__served *pipe, int error)
{
    struct vine_appliance *appliance = pipe->appliance;

    if (pipe->state == VINE__SERVED_HANDSHAKE) {
        VINE_ASSERT(pipe->is_awaited || appliance->stranger_count > 0);
        appliance->stranger_count -= !pipe->is_awaited;
        if (error != 0)
            vine__count(&appliance->pipes_refused, 1);
        return;
    }
    (void)vine__fetch_sub_acq_rel_u32(&appliance->common->pipes_open, 1);
    if (error == -VINE_EPEERLOST)
        vine__count(&appliance->pipes_lost, 1);
    else if (error != 0 && error != -VINE_EDRAINING)
        vine__count(&appliance->pipes_broken, 1);
}

void vine__served_end(struct vine__served *pipe, int error, const char *why)
{
    struct vine_appliance *appliance = pipe->appliance;

    if (pipe->state >= VINE__SERVED_CLOSING)
        return;
    if (error == 0)
        vine__appliance_log(appliance, VINE_LOG_INFO, "pipe %llu (%s, pid %d): closed",
                            (unsigned long long)pipe->number, pipe->agreement.peer_name,
                            pipe->link_to.peer_pid);
    else
        vine__appliance_log(
            appliance,
            error == -VINE_EPEERLOST || error == -VINE_EDRAINING ? VINE_LOG_INFO : VINE_LOG_WARNING,
            "pipe %llu (%s, pid %d): closed: %s: %s", (unsigned long long)pipe->number,
            pipe->agreement.peer_name, pipe->link_to.peer_pid, vine_error_text(error), why);
    vine__appliance_tell(appliance,
                         pipe->state == VINE__SERVED_OPEN || error == 0
                             ? VINE_APPLIANCE_PIPE_CLOSED
                             : VINE_APPLIANCE_PIPE_REFUSED,
                         pipe, error, error != 0 ? why : NULL);
    count_end(pipe, error);
    if (pipe->state == VINE__SERVED_OPEN)
        vine__roll_close(&appliance->common->roll, pipe, error, why);
    if (pipe->state == VINE__SERVED_OPEN && error != 0) {
        /* B5 pairs with B6: what was completed before counts. */
        vine__store_release_u32(&pipe->half.layout->board.closed.value, vine__error_to_wire(error));
        if (error != -VINE_EPEERLOST)
            pipe->link_to.operations->bye(&pipe->link_to, error, why);
    }
    pipe->state = VINE__SERVED_CLOSING;
    if (appliance->named_pipe == pipe)
        appliance->named_pipe = NULL;
    if (pipe->is_active)
        vine__list_remove(&pipe->active);
    pipe->is_active = false;
    vine__list_remove(&pipe->growing);
    vine__list_remove(&pipe->mover);
    if (pipe->link_to.operations != NULL)
        pipe->link_to.operations->close(&pipe->link_to);
    if (pipe->sessions_kept > 0)
        vine__sessions_free(pipe);
    if (pipe->jobs_taken > 0)
        vine__jobs_cancel(pipe);
    vine__executor_leave(pipe);
    vine__served_end_if_over(pipe);
}

void vine__served_leave(struct vine__served *pipe)
{
    struct vine_appliance *appliance = pipe->appliance;

    VINE_ASSERT(pipe->jobs_taken == 0 && pipe->sessions_kept == 0);
    if (pipe->state == VINE__SERVED_OPEN) {
        vine__appliance_log(appliance, VINE_LOG_INFO, "pipe %llu (%s, pid %d): left to another",
                            (unsigned long long)pipe->number, pipe->agreement.peer_name,
                            pipe->link_to.peer_pid);
        vine__appliance_tell(appliance, VINE_APPLIANCE_PIPE_CLOSED, pipe, 0, NULL);
        (void)vine__fetch_sub_acq_rel_u32(&appliance->common->pipes_open, 1);
        vine__roll_close(&appliance->common->roll, pipe, 0, "left to another appliance");
    } else {
        appliance->stranger_count -= !pipe->is_awaited;
    }
    pipe->state = VINE__SERVED_CLOSING;
    if (pipe->is_active)
        vine__list_remove(&pipe->active);
    pipe->is_active = false;
    vine__list_remove(&pipe->growing);
    vine__list_remove(&pipe->mover);
    /* To close it takes nothing out that another process has open. */
    if (pipe->link_to.socket_fd >= 0)
        vine__epoll_remove(appliance->epoll_fd, pipe->link_to.socket_fd);
    if (pipe->link_to.operations != NULL)
        pipe->link_to.operations->close(&pipe->link_to);
    else if (pipe->link_to.socket_fd >= 0)
        close(pipe->link_to.socket_fd);
    pipe->link_to.socket_fd = -1;
    vine__executor_leave(pipe);
    vine__served_end_if_over(pipe);
}

void vine__served_end_if_over(struct vine__served *pipe)
{
    if (pipe->state != VINE__SERVED_CLOSING || pipe->jobs_taken > 0 || pipe->sessions_kept > 0 ||
        pipe->kept != NULL)
        return;
    pipe->state = VINE__SERVED_OVER;
    vine__list_remove(&pipe->link);
    vine__list_push_back(&pipe->appliance->over, &pipe->link);
}
