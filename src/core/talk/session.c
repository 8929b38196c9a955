/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that spans tasks: its state lives here under an id that the application chose.
 *
 * An id is a place in the pipe's table (low byte) and a use of that place (high byte). The end of
 * an old use and the start of a new one may come over different channels, in either order: a new
 * use ends the old one, and the end of a use that is not there any more says nothing.
 *
 * A session that failed gives back what it held as soon as none of its jobs runs; it fails by a
 * task that was not even begun, too, since those behind it would go on without what that brought.
 * Its id is kept in its place, where it answers with an error until it is ended or the place is
 * used anew. So is the id of one that was cut: this may be told before its tasks come, over another
 * channel, and they must not make a session that nobody ends.
 */
#include <errno.h>
#include <stdlib.h>

#include <vine/error.h>

#include "core/talk/appliance_internal.h"
#include "utils/container_of.h"

/* Its record, and its state or stream; what handlers charge comes on top. */
static uint64_t own_bytes(const struct vine_appliance *appliance,
                          const struct vine_procedure_definition *definition, bool is_stream)
{
    return sizeof(struct vine__session) +
           (is_stream ? appliance->executor->bytes : definition->state_bytes);
}

static void free_session(struct vine__served *pipe, struct vine__session *session)
{
    if (session->is_begun && session->definition->end != NULL)
        session->definition->end(session->state);
    vine__quota_give(&pipe->quota,
                     own_bytes(pipe->appliance, session->definition, session->is_stream) +
                         (uint64_t)session->charged_bytes);
    pipe->session_count--;
    pipe->sessions_late -= session->is_late;
    vine__list_remove(&session->lingering);
    free(session->state);
    free(session);
}

/* Who has something for a session hears once that it ends, and once that nobody is there for whom
 * that could go on: a stream may have been ended in good order before. The session may be gone. */
static void tell_end(struct vine__session *session, bool is_over)
{
    const struct vine_appliance *appliance = session->pipe->appliance;

    if (session->kept == NULL || (is_over ? session->is_over_told : session->is_end_told))
        return;
    session->is_end_told = true;
    session->is_over_told |= is_over;
    appliance->executor->session_ended(appliance->executor_context, session->kept, is_over);
}

static void free_if_over(struct vine__served *pipe, struct vine__session *session)
{
    if (session->is_ending && session->jobs == 0 && session->kept == NULL)
        free_session(pipe, session);
}

/* Out of the table; it goes when its last job has ended. */
static void end_session(struct vine__served *pipe, struct vine__session *session, bool is_over)
{
    const uint32_t place = VINE_WIRE_SESSION_PLACE(session->id);

    if (pipe->sessions[place] == session)
        pipe->sessions[place] = NULL;
    if (session->kept != NULL && !vine__list_is_linked(&session->lingering))
        vine__list_push_back(&pipe->lingering, &session->lingering);
    tell_end(session, is_over); /* which does not free it as long as it is not ending */
    session->is_ending = true;
    free_if_over(pipe, session);
}

bool vine__session_is_over(const struct vine__session *session)
{
    return session->is_end_told && session->kept == NULL;
}

void vine__session_begun(struct vine__session *session)
{
    if (!session->is_ending || session->kept == NULL)
        return;
    if (!vine__list_is_linked(&session->lingering))
        vine__list_push_back(&session->pipe->lingering, &session->lingering);
    tell_end(session, false); /* its job keeps it */
}

void *vine__session_kept(const struct vine__session *session)
{
    return session->kept;
}

void vine__session_keep(struct vine__session *session, void *kept)
{
    VINE_ASSERT(session->kept == NULL && kept != NULL);
    session->kept = kept;
    session->pipe->sessions_kept++;
}

int vine__session_charge(struct vine__session *session, uint64_t bytes)
{
    const int error = vine__quota_take(&session->pipe->quota, bytes);

    session->charged_bytes += error == 0 ? (int64_t)bytes : 0;
    return error;
}

void vine__session_discharge(struct vine__session *session, uint64_t bytes)
{
    VINE_ASSERT(session->charged_bytes >= (int64_t)bytes);
    session->charged_bytes -= (int64_t)bytes;
    vine__quota_give(&session->pipe->quota, bytes);
}

void vine__session_leave(struct vine__session *session)
{
    struct vine__served *pipe = session->pipe;

    VINE_ASSERT(session->kept != NULL && pipe->sessions_kept > 0);
    session->kept = NULL;
    pipe->sessions_kept--;
    vine__list_remove(&session->lingering);
    free_if_over(pipe, session);
    vine__served_end_if_over(pipe);
}

/* ---- what is remembered of a place --------------------------------------------------------- */

/* Whether one use of a place came after another. They follow each other closely. */
static bool is_after(uint16_t id, uint16_t other)
{
    return (int8_t)(uint8_t)((id >> 8) - (other >> 8)) > 0;
}

/* From now on tasks of that id end with the error, or, with 0, are not expected. */
static void remember(struct vine__served *pipe, uint16_t id, uint16_t error)
{
    const uint32_t place = VINE_WIRE_SESSION_PLACE(id);
    const struct vine__session *const session = pipe->sessions[place];
    struct vine__session_past *past = &pipe->session_pasts[place];

    if ((session != NULL && is_after(session->id, id)) || (past->id != 0 && is_after(past->id, id)))
        return;
    *past = (struct vine__session_past){id, error};
}

/* The error with which tasks of that id end, or 0. */
static int refusal(const struct vine__served *pipe, uint16_t id)
{
    const struct vine__session_past *past = &pipe->session_pasts[VINE_WIRE_SESSION_PLACE(id)];

    return past->id == id ? past->error : 0;
}

/* ---- what tasks ask for ---------------------------------------------------------------------- */

const struct vine_procedure_definition *
vine__session_definition(const struct vine__served *pipe, uint16_t id, uint16_t procedure,
                         const struct vine_procedure_definition *definition)
{
    const struct vine__session *const session = pipe->sessions[VINE_WIRE_SESSION_PLACE(id)];

    return session != NULL && session->id == id && session->procedure == procedure
               ? session->definition
               : definition;
}

int vine__session_find_or_make(struct vine__served *pipe,
                               const struct vine_wire_submission *submission,
                               const struct vine_procedure_definition *definition,
                               struct vine__session **ret_session)
{
    const uint16_t id = submission->session;
    const uint32_t place = VINE_WIRE_SESSION_PLACE(id);
    /* Without a state there are no others. */
    const bool is_stream =
        (submission->kind & VINE_WIRE_STREAM) != 0 || definition->state_bytes == 0;
    struct vine__session *session = pipe->sessions[place];
    const int refused = refusal(pipe, id);
    uint64_t bytes;

    if (refused != 0)
        return refused;
    if (place == 0 || (is_stream && !vine__has_streams(pipe->appliance, definition)))
        return VINE_ESESSION;
    if (session != NULL && session->id == id) {
        *ret_session = session;
        return session->procedure == submission->procedure && session->is_stream == is_stream
                   ? 0
                   : VINE_ESESSION;
    }
    if (session != NULL)
        end_session(pipe, session, false);
    pipe->session_pasts[place] = (struct vine__session_past){0};
    if (pipe->session_count >= pipe->appliance->options.sessions_max)
        return VINE_EQUOTA;
    bytes = own_bytes(pipe->appliance, definition, is_stream);
    if (vine__quota_take(&pipe->quota, bytes) != 0)
        return VINE_EQUOTA;
    session = calloc(1, sizeof *session);
    if (session == NULL) {
        vine__quota_give(&pipe->quota, bytes);
        return VINE_EQUOTA;
    }
    session->id = id;
    session->procedure = submission->procedure;
    session->is_stream = is_stream;
    session->definition = definition;
    session->pipe = pipe;
    session->is_late = pipe->appliance->is_leaving;
    pipe->sessions_late += session->is_late;
    vine__list_init(&session->lane.jobs);
    vine__list_init(&session->lingering);
    pipe->sessions[place] = session;
    pipe->session_count++;
    *ret_session = session;
    return 0;
}

bool vine__session_is_known(const struct vine__served *pipe, uint16_t id)
{
    const uint32_t place = VINE_WIRE_SESSION_PLACE(id);

    return refusal(pipe, id) != 0 ||
           (pipe->sessions[place] != NULL && pipe->sessions[place]->id == id);
}

void vine__session_refused(struct vine__served *pipe, const struct vine_wire_submission *submission,
                           int error)
{
    const uint16_t id = submission->session;
    struct vine__session *session = pipe->sessions[VINE_WIRE_SESSION_PLACE(id)];

    /* What another use of the place, another procedure or another appliance is to take says nothing
     * of this one. */
    if (id == 0 || refusal(pipe, id) != 0 || error == VINE_ESESSION || error == VINE_EPROCEDURE ||
        error == VINE_EDRAINING)
        return;
    remember(pipe, id, VINE_ESESSION);
    if (session != NULL && session->id == id)
        end_session(pipe, session, false);
}

void vine__session_end(struct vine__served *pipe, uint16_t id, bool is_cut)
{
    const uint32_t place = VINE_WIRE_SESSION_PLACE(id);
    struct vine__session *session = pipe->sessions[place];

    if (session != NULL && session->id == id)
        end_session(pipe, session, false);
    /* A cut that was overtaken by the end, or comes after a failure, has nothing to add. */
    if (!is_cut || pipe->session_pasts[place].id != id)
        remember(pipe, id, is_cut ? VINE_ECANCELED : 0);
}

void vine__session_job_ended(struct vine__served *pipe, struct vine_call *call)
{
    struct vine__session *session = call->session;
    const uint32_t place = VINE_WIRE_SESSION_PLACE(session->id);

    VINE_ASSERT(session->jobs > 0);
    session->jobs--;
    if (session->is_stream) {
        /* How a piece of its stream ended is no end of it: that is its executor's to say. */
        free_if_over(pipe, session);
        return;
    }
    if (call->status != 0) {
        vine__store_relaxed_u32(&session->is_failed, 1);
        if (pipe->sessions[place] == session)
            remember(pipe, session->id, VINE_ESESSION);
    }
    if (call->status != 0 || call->is_last || session->is_ending)
        end_session(pipe, session, false);
}

void vine__sessions_free(struct vine__served *pipe)
{
    for (uint32_t place = 0; place < VINE_WIRE_SESSION_PLACES; place++)
        if (pipe->sessions[place] != NULL)
            end_session(pipe, pipe->sessions[place], true);
    for (struct vine__list *node = pipe->lingering.next; node != &pipe->lingering;) {
        struct vine__session *session = VINE_CONTAINER_OF(node, struct vine__session, lingering);

        node = node->next;
        tell_end(session, true);
    }
}
