/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/roll.h"

#include <stdio.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/appliance_internal.h"
#include "core/talk/message.h"
#include "utils/container_of.h"

/* A cursor: the sequence of the last open pipe that was told of, or, with this bit, how many had
 * been closed with the last closed one. Open ones come first, so that one which is closed between
 * two pages is told of twice, and never not at all. */
#define AMONG_CLOSED (UINT64_C(1) << 63)

#define ROLLED_OF(node) VINE_CONTAINER_OF(node, struct vine__served, rolled.link)

void vine__roll_init(struct vine__roll *roll)
{
    (void)pthread_mutex_init(&roll->lock, NULL);
    vine__list_init(&roll->open);
}

void vine__roll_fini(struct vine__roll *roll)
{
    (void)pthread_mutex_destroy(&roll->lock);
}

/* What is told of a pipe, but for the durations. */
static void say(const struct vine__served *pipe, struct vine_wire_pipe *ret)
{
    const struct vine__agreement *agreement = &pipe->agreement;
    const struct vine__device_end *end = pipe->link_to.end;
    /* The half is mapped for as long as the pipe is in the list; whatever it says is only told. */
    const struct vine_half_layout *theirs = pipe->mirror.layout;

    *ret = (struct vine_wire_pipe){
        .number = pipe->number,
        .tasks_done = vine__load_relaxed_u64(&pipe->tasks_done),
        .tasks_failed = vine__load_relaxed_u64(&pipe->tasks_failed),
        .bytes_in = vine__load_relaxed_u64(&pipe->bytes_in),
        .bytes_out = vine__load_relaxed_u64(&pipe->bytes_out),
        .quota_bytes = pipe->quota.bytes_max,
        .held_bytes = vine__quota_held(&pipe->quota),
        .pid = (uint32_t)pipe->link_to.peer_pid,
        .uid = agreement->peer_uid,
        .in_flight = vine__load_relaxed_u32(&pipe->jobs_taken),
        .channels = vine__load_relaxed_u32(&pipe->channel_count),
        .sharing = vine__load_relaxed_u32(&theirs->board.channels.sharing),
    };
    (void)snprintf(ret->name, sizeof ret->name, "%s", agreement->peer_name);
    (void)snprintf(ret->link, sizeof ret->link, "%s", end != NULL ? end->link.name : "");
}

void vine__roll_open(struct vine__roll *roll, struct vine__served *pipe)
{
    pthread_mutex_lock(&roll->lock);
    pipe->rolled.sequence = ++roll->sequence;
    pipe->rolled.since_ns = vine__clock_now_ns();
    vine__list_push_back(&roll->open, &pipe->rolled.link);
    pthread_mutex_unlock(&roll->lock);
}

void vine__roll_close(struct vine__roll *roll, struct vine__served *pipe, int error,
                      const char *why)
{
    pthread_mutex_lock(&roll->lock);

    struct vine__roll_closed *closed = &roll->closed[roll->closed_count++ % VINE__ROLL_CLOSED];

    vine__list_remove(&pipe->rolled.link);
    say(pipe, &closed->said);
    closed->since_ns = pipe->rolled.since_ns;
    closed->closed_ns = vine__clock_now_ns();
    closed->said.flags = VINE_WIRE_PIPE_CLOSED;
    closed->said.error = error != 0 ? vine__error_to_wire(error) : 0;
    (void)snprintf(closed->said.reason, sizeof closed->said.reason, "%s", error != 0 ? why : "");
    vine__talk_tame(closed->said.reason, sizeof closed->said.reason);
    pthread_mutex_unlock(&roll->lock);
}

static bool may_see(const struct vine__roll_reader *reader, uint64_t number, uint32_t uid)
{
    return reader->sees_all || reader->pipe->number == number ||
           (uid != VINE__UID_UNKNOWN && uid == reader->pipe->agreement.peer_uid);
}

static uint32_t read_closed(struct vine__roll *roll, const struct vine__roll_reader *reader,
                            struct vine_wire_pipe *pipes, uint32_t count, uint64_t now_ns,
                            uint64_t *cursor)
{
    uint64_t at = *cursor & ~AMONG_CLOSED;
    uint32_t found = 0;

    if (roll->closed_count > VINE__ROLL_CLOSED)
        at = vine__max_u64(at, roll->closed_count - VINE__ROLL_CLOSED);
    for (; found < count && at < roll->closed_count; at++) {
        const struct vine__roll_closed *closed = &roll->closed[at % VINE__ROLL_CLOSED];

        if (!may_see(reader, closed->said.number, closed->said.uid))
            continue;
        pipes[found] = closed->said;
        pipes[found].age_ns = now_ns - closed->since_ns;
        pipes[found++].closed_ns = now_ns - closed->closed_ns;
    }
    *cursor = at < roll->closed_count ? AMONG_CLOSED | at : 0;
    return found;
}

static uint32_t read_open(struct vine__roll *roll, const struct vine__roll_reader *reader,
                          struct vine_wire_pipe *pipes, uint32_t count, uint64_t now_ns,
                          uint64_t *cursor)
{
    uint64_t behind = *cursor;
    uint32_t found = 0;

    VINE_LIST_FOR_EACH(node, &roll->open)
    {
        const struct vine__served *pipe = ROLLED_OF(node);

        if (pipe->rolled.sequence <= behind ||
            !may_see(reader, pipe->number, pipe->agreement.peer_uid))
            continue;
        if (found == count) {
            *cursor = behind;
            return found;
        }
        behind = pipe->rolled.sequence;
        say(pipe, &pipes[found]);
        pipes[found].age_ns = now_ns - pipe->rolled.since_ns;
        pipes[found++].flags = pipe == reader->pipe ? VINE_WIRE_PIPE_OWN : 0;
    }
    *cursor = AMONG_CLOSED;
    return found;
}

uint32_t vine__roll_read(struct vine__roll *roll, const struct vine__roll_reader *reader,
                         struct vine_wire_pipe *pipes, uint32_t count, uint64_t *cursor)
{
    uint32_t found = 0;

    pthread_mutex_lock(&roll->lock);

    const uint64_t now_ns = vine__clock_now_ns();

    if ((*cursor & AMONG_CLOSED) == 0)
        found = read_open(roll, reader, pipes, count, now_ns, cursor);
    if ((*cursor & AMONG_CLOSED) != 0)
        found += read_closed(roll, reader, pipes + found, count - found, now_ns, cursor);
    pthread_mutex_unlock(&roll->lock);
    return found;
}
