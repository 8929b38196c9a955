/* SPDX-License-Identifier: Apache-2.0 */
/* Work that spans tasks: its state lives here under an id that the application chose. */
#include <errno.h>
#include <stdlib.h>

#include <vine/error.h>

#include "core/talk/appliance_internal.h"

struct vine__session *vine__session_find_or_make(struct vine__served *pipe, uint16_t id,
                                                 const struct vine_procedure_definition *definition)
{
    struct vine__session *session = pipe->sessions[id];

    if (session != NULL)
        return session->definition == definition && !session->is_ending ? session : NULL;
    session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->definition = definition;
    vine__list_init(&session->lane.jobs);
    pipe->sessions[id] = session;
    return session;
}

static void free_session(struct vine__served *pipe, uint16_t id)
{
    struct vine__session *session = pipe->sessions[id];

    if (session->is_begun && session->definition->end != NULL)
        session->definition->end(session->state);
    pthread_mutex_lock(&pipe->appliance->jobs_lock);
    pipe->charged_bytes -= session->charged_bytes;
    pthread_mutex_unlock(&pipe->appliance->jobs_lock);
    free(session->state);
    free(session);
    pipe->sessions[id] = NULL;
}

void vine__session_end(struct vine__served *pipe, uint16_t id)
{
    struct vine__session *session = pipe->sessions[id];

    if (session == NULL)
        return; /* its last task has ended it already */
    session->is_ending = true;
    if (session->jobs == 0)
        free_session(pipe, id);
}

void vine__session_job_ended(struct vine__served *pipe, struct vine_call *call)
{
    struct vine__session *session = call->session;

    session->jobs--;
    if (call->status != 0)
        session->is_failed = true;
    else if (call->is_last)
        session->is_ending = true;
    if (session->is_ending && session->jobs == 0)
        free_session(pipe, call->session_id);
}

void vine__sessions_free(struct vine__served *pipe)
{
    for (uint32_t id = 1; id <= pipe->appliance->options.sessions_max; id++)
        if (pipe->sessions[id] != NULL)
            free_session(pipe, (uint16_t)id);
}
