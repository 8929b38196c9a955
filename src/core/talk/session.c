/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that spans tasks: its state lives here under an id that the application chose.
 *
 * An id is a place in the pipe's table (low byte) and a use of that place (high byte). The end of
 * an old use and the start of a new one may come over different channels, in either order: a new
 * use ends the old one, and the end of a use that is not there any more says nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include <vine/error.h>

#include "core/talk/appliance_internal.h"

static void free_session(struct vine__served *pipe, struct vine__session *session)
{
    if (session->is_begun && session->definition->end != NULL)
        session->definition->end(session->state);
    pthread_mutex_lock(&pipe->appliance->jobs_lock);
    pipe->charged_bytes -= session->charged_bytes;
    pthread_mutex_unlock(&pipe->appliance->jobs_lock);
    free(session->state);
    free(session);
}

/* Out of the table; it goes when its last job has ended. */
static void end_session(struct vine__served *pipe, struct vine__session *session)
{
    const uint32_t place = VINE_WIRE_SESSION_PLACE(session->id);

    if (pipe->sessions[place] == session)
        pipe->sessions[place] = NULL;
    session->is_ending = true;
    if (session->jobs == 0)
        free_session(pipe, session);
}

struct vine__session *vine__session_find_or_make(struct vine__served *pipe, uint16_t id,
                                                 const struct vine_procedure_definition *definition)
{
    const uint32_t place = VINE_WIRE_SESSION_PLACE(id);
    struct vine__session *session = pipe->sessions[place];

    if (session != NULL && session->id == id)
        return session->definition == definition ? session : NULL;
    if (session != NULL)
        end_session(pipe, session);
    session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->id = id;
    session->definition = definition;
    vine__list_init(&session->lane.jobs);
    pipe->sessions[place] = session;
    return session;
}

void vine__session_end(struct vine__served *pipe, uint16_t id)
{
    struct vine__session *session = pipe->sessions[VINE_WIRE_SESSION_PLACE(id)];

    if (session != NULL && session->id == id)
        end_session(pipe, session);
}

void vine__session_job_ended(struct vine__served *pipe, struct vine_call *call)
{
    struct vine__session *session = call->session;

    session->jobs--;
    if (call->status != 0)
        vine__store_relaxed_u32(&session->is_failed, 1);
    if ((call->status == 0 && call->is_last) || session->is_ending)
        end_session(pipe, session);
}

void vine__sessions_free(struct vine__served *pipe)
{
    for (uint32_t place = 0; place < VINE_WIRE_SESSION_PLACES; place++)
        if (pipe->sessions[place] != NULL)
            end_session(pipe, pipe->sessions[place]);
}
