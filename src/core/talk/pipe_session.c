/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions: numbers that the application gives to work that spans tasks.
 *
 * The appliance makes a session's state with its first task and ends it with a last task that ended
 * well, or when told. A number is given out again only when the appliance has read that message:
 * then a task of the next session, on whichever channel, comes after it.
 *
 * The tasks of a session run in the order of issue because they go through one ring. A session
 * changes its channel only while none of its tasks is pending.
 */
#include <errno.h>

#include <vine/error.h>

#include "core/talk/pipe_internal.h"

/* A number that nothing in the appliance belongs to, or 0. The pipe's lock is held. */
static uint16_t take_number(struct vine_pipe *pipe)
{
    for (uint32_t id = 1; id <= VINE__SESSIONS_MOST; id++) {
        struct vine__session_slot *slot = &pipe->session_slots[id];

        if (slot->state == VINE__SESSION_USED ||
            (slot->state == VINE__SESSION_ENDING &&
             vine__load_acquire_u64(slot->channel->producer.consumed) <= slot->position))
            continue;
        slot->state = VINE__SESSION_USED;
        return (uint16_t)id;
    }
    return 0;
}

int vine_session_open(struct vine_pipe *pipe, struct vine_procedure *procedure,
                      struct vine_session **ret_session)
{
    int error = vine__pipe_check(pipe);

    if (error)
        return error;
    if (!procedure->info.has_sessions)
        return -VINE_ESESSION;
    pthread_mutex_lock(&pipe->lock);

    struct vine_session *session = vine__store_take(&pipe->sessions);

    if (session == NULL) {
        error = -ENOMEM;
    } else {
        session->magic = VINE__SESSION_MAGIC;
        session->pipe = pipe;
        session->procedure = procedure;
        session->id = take_number(pipe);
        if (session->id == 0) {
            vine__store_give(&pipe->sessions, session);
            error = -VINE_EQUOTA;
        }
    }
    pthread_mutex_unlock(&pipe->lock);
    if (!error)
        *ret_session = session;
    return error;
}

int vine__session_use(struct vine_session *session, struct vine__channel *channel,
                      const struct vine_procedure *procedure, bool is_last)
{
    struct vine_pipe *pipe = session->pipe;
    int error = 0;

    VINE_ASSERT(session->magic == VINE__SESSION_MAGIC && !session->is_closed);
    pthread_mutex_lock(&pipe->lock);
    if (session->procedure != procedure || (session->pending > 0 && session->channel != channel)) {
        error = -EINVAL;
    } else if (session->has_last) {
        error = -VINE_ESESSION;
    } else {
        session->channel = channel;
        session->pending++;
        session->is_begun = true;
        session->has_last = is_last;
    }
    pthread_mutex_unlock(&pipe->lock);
    return error;
}

/* Closed, and nothing pending. The pipe's lock is held; returns whether the appliance has to be told
 * of the end of session `*ret_id`. */
static bool finish(struct vine_session *session, uint16_t *ret_id)
{
    struct vine_pipe *pipe = session->pipe;
    const bool tell = session->is_begun && !session->is_complete;

    *ret_id = session->id;
    if (!tell)
        pipe->session_slots[session->id].state = VINE__SESSION_FREE;
    vine__store_give(&pipe->sessions, session);
    return tell;
}

static void tell_end(struct vine_pipe *pipe, uint16_t id)
{
    const struct vine_wire_submission message = {.kind = VINE_WIRE_SESSION_END, .session = id};

    vine__pipe_tell(pipe, &message);
}

void vine__session_end_sent(struct vine_pipe *pipe, uint16_t id,
                            const struct vine__channel *channel, uint64_t position)
{
    pipe->session_slots[id] = (struct vine__session_slot){
        .state = VINE__SESSION_ENDING,
        .channel = channel,
        .position = position,
    };
}

void vine__session_task_ended(struct vine_session *session, const struct vine_task *task)
{
    struct vine_pipe *pipe = session->pipe;
    bool tell = false;
    uint16_t id = 0;

    pthread_mutex_lock(&pipe->lock);
    session->pending--;
    if (task->is_last && task->status == 0)
        session->is_complete = true;
    if (session->is_closed && session->pending == 0)
        tell = finish(session, &id);
    pthread_mutex_unlock(&pipe->lock);
    if (tell)
        tell_end(pipe, id);
}

void vine_session_close(struct vine_session *session)
{
    if (session == NULL || vine__forked(session->pipe->generation))
        return;

    struct vine_pipe *pipe = session->pipe;
    bool tell = false;
    uint16_t id = 0;

    VINE_ASSERT(session->magic == VINE__SESSION_MAGIC && !session->is_closed);
    pthread_mutex_lock(&pipe->lock);
    session->is_closed = true;
    if (session->pending == 0)
        tell = finish(session, &id);
    pthread_mutex_unlock(&pipe->lock);
    if (tell)
        tell_end(pipe, id);
}
