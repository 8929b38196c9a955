/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions: ids that the application gives to work that spans tasks.
 *
 * The appliance makes a session's state with its first task and ends it with a last task that ended
 * well, or when told. An id is a place and a use of that place, so that what is said of one use, on
 * whichever channel, means no other.
 *
 * The tasks of a session run in the order of issue because they go through one ring. A session
 * changes its channel only while none of its tasks is pending.
 */
#include <errno.h>

#include <vine/error.h>

#include "core/talk/pipe_internal.h"

#define PLACES (VINE_WIRE_SESSION_PLACES - 1) /* 0 is none */

/* An id in a free place, or 0. The pipe's lock is held. Places are taken in turn, so that an id
 * comes back as late as can be, after 255 places with 256 uses each: what is still under way on
 * some channel then concerns nobody. */
static uint16_t take_id(struct vine_pipe *pipe)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        const uint32_t place = 1 + (pipe->session_places + i) % PLACES;

        if (pipe->session_at[place] != NULL)
            continue;
        pipe->session_places = place;
        return (uint16_t)(place | (uint32_t)++pipe->session_uses[place] << 8);
    }
    return 0;
}

int vine__session_open(struct vine_pipe *pipe, struct vine_procedure *procedure, bool is_stream,
                       struct vine_session **ret_session)
{
    int error = vine__pipe_ready(pipe);

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
        session->is_stream = is_stream;
        session->id = take_id(pipe);
        if (session->id == 0) {
            vine__store_give(&pipe->sessions, session);
            error = -VINE_EQUOTA;
        } else {
            pipe->session_at[VINE_WIRE_SESSION_PLACE(session->id)] = session;
        }
    }
    pthread_mutex_unlock(&pipe->lock);
    if (!error)
        *ret_session = session;
    return error;
}

int vine_session_open(struct vine_pipe *pipe, struct vine_procedure *procedure,
                      struct vine_session **ret_session)
{
    return vine__session_open(pipe, procedure, procedure->info.has_streams_only, ret_session);
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
    } else if (session->is_lost) {
        error = -VINE_EPEERLOST;
    } else if (session->has_last && (is_last || !session->is_stream)) {
        error = -VINE_ESESSION;
    } else {
        session->channel = channel;
        session->pending++;
        session->is_begun = true;
        session->has_last |= is_last;
    }
    pthread_mutex_unlock(&pipe->lock);
    return error;
}

/* Closed, and nothing pending. The pipe's lock is held; returns whether the appliance has to be
 * told of the end of session `*ret_id`. */
static bool finish(struct vine_session *session, uint16_t *ret_id)
{
    struct vine_pipe *pipe = session->pipe;
    const bool tell = session->is_begun && !session->is_complete && !session->is_lost;

    *ret_id = session->id;
    pipe->session_at[VINE_WIRE_SESSION_PLACE(session->id)] = NULL;
    vine__store_give(&pipe->sessions, session);
    return tell;
}

static void tell_end(struct vine_pipe *pipe, uint16_t id, bool is_cut)
{
    const struct vine_wire_submission message = {
        .kind = VINE_WIRE_SESSION_END | (is_cut ? VINE_WIRE_SESSION_CUT : 0), .session = id};

    vine__pipe_tell(pipe, &message, vine__pipe_renewals(pipe));
}

void vine__session_task_ended(struct vine_session *session, const struct vine_task *task)
{
    struct vine_pipe *pipe = session->pipe;
    bool tell = false;
    uint16_t id = 0;

    pthread_mutex_lock(&pipe->lock);
    session->pending--;
    session->has_ended = true;
    if (task->is_last && task->status == 0 && !session->is_stream)
        session->is_complete = true;
    if (session->is_closed && session->pending == 0)
        tell = finish(session, &id);
    pthread_mutex_unlock(&pipe->lock);
    if (tell)
        tell_end(pipe, id, false);
}

void vine__session_cut(struct vine_session *session)
{
    struct vine_pipe *pipe = session->pipe;

    pthread_mutex_lock(&pipe->lock);
    session->is_cut = true;
    pthread_mutex_unlock(&pipe->lock);
    tell_end(pipe, session->id, true);
}

void vine__sessions_cut_again(struct vine_pipe *pipe)
{
    for (uint32_t place = 0; place < VINE_WIRE_SESSION_PLACES; place++) {
        pthread_mutex_lock(&pipe->lock);
        const struct vine_session *session = pipe->session_at[place];
        const bool is_cut = session != NULL && session->is_cut && !session->is_lost;
        const uint16_t id = is_cut ? session->id : 0;
        pthread_mutex_unlock(&pipe->lock);
        if (is_cut)
            tell_end(pipe, id, true);
    }
}

void vine_session_close(struct vine_session *session)
{
    if (session == NULL || vine__forked(session->pipe->generation))
        return;

    struct vine_pipe *pipe = session->pipe;
    bool tell = false;
    bool is_cut = false;
    uint16_t id = 0;

    VINE_ASSERT(session->magic == VINE__SESSION_MAGIC && !session->is_closed);
    pthread_mutex_lock(&pipe->lock);
    session->is_closed = true;
    id = session->id;
    if (session->pending == 0)
        tell = finish(session, &id);
    else /* nobody can bring any more what tasks of a stream wait for: it ends now, and they do */
        is_cut = session->is_cut = session->is_stream && !session->has_last;
    pthread_mutex_unlock(&pipe->lock);
    if (tell || is_cut)
        tell_end(pipe, id, is_cut);
}
