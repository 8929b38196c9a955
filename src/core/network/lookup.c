/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of hosts. What a thread works on is a job, memory of its own: who has asked may be told of
 * the end, by cancelling, while the resolver goes on.
 */
#include <vine/lookup.h>

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "arch/net/names.h"
#include "core/network/network_internal.h"

struct vine__lookup_job {
    struct vine__operation operation;
    struct vine_lookup *lookup; /* NULL: nobody wants it any more */
    char host[VINE__NAME_BYTES];
    uint16_t port;
    struct vine__name_address found[VINE_LOOKUP_MAX];
};

/* ---- the end --------------------------------------------------------------------------------- */

static void call(struct vine_work *work)
{
    struct vine_lookup *const lookup = VINE_CONTAINER_OF(work, struct vine_lookup, work);

    lookup->fn(lookup);
}

static void end(struct vine_lookup *lookup, int error)
{
    lookup->job = NULL;
    lookup->error = error;
    lookup->has_ended = true;
    vine_work_post(&lookup->work);
}

void vine_lookup_cancel(struct vine_lookup *lookup)
{
    if (lookup->job == NULL || lookup->has_ended)
        return;
    lookup->job->lookup = NULL;
    vine__poller_cancel(vine__reactor_poller(), &lookup->job->operation);
    end(lookup, -ECANCELED);
}

/* ---- on a thread, and back ------------------------------------------------------------------- */

static int32_t look_up(void *context)
{
    struct vine__lookup_job *const job = context;

    return vine__name_look_up(job->host, job->port, job->found, VINE_LOOKUP_MAX);
}

static void looked_up(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct vine__lookup_job *const job =
        VINE_CONTAINER_OF(operation, struct vine__lookup_job, operation);
    struct vine_lookup *const lookup = job->lookup;

    (void)flags;
    if (lookup != NULL) {
        for (int32_t i = 0; i < result; i++) {
            lookup->addresses[i] = (struct vine_address){.size_bytes = job->found[i].size_bytes};
            memcpy(&lookup->addresses[i].any, &job->found[i].any, job->found[i].size_bytes);
        }
        lookup->count = result > 0 ? (uint32_t)result : 0;
        end(lookup, result > 0 ? 0 : result == 0 ? -ENOENT : result);
    }
    vine__closed_free(job);
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* "host:port" becomes the two. */
static int split(const char *text, char host[VINE__NAME_BYTES], uint16_t *ret_port)
{
    const char *const colon = strrchr(text, ':');
    const size_t length = colon != NULL ? (size_t)(colon - text) : 0;
    uint32_t port = 0;

    if (length == 0 || colon[1] == '\0')
        return -EINVAL;
    if (length >= VINE__NAME_BYTES)
        return -ENAMETOOLONG;
    for (const char *at = text; at < colon; at++)
        if ((*at < '0' || *at > '9') && (*at < 'a' || *at > 'z') && (*at < 'A' || *at > 'Z') &&
            *at != '-' && *at != '.' && *at != '_')
            return -EINVAL;
    for (const char *at = colon + 1; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return -EINVAL;
        port = port * 10 + (uint32_t)(*at - '0');
        if (port > UINT16_MAX)
            return -EINVAL;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    *ret_port = (uint16_t)port;
    return 0;
}

static int begin(struct vine_lookup *lookup, const char *text)
{
    struct vine__network *network;
    struct vine__lookup_job *job;
    int error = vine__network_here(&network);

    if (error != 0)
        return error;
    job = vine__closed_alloc(sizeof(*job));
    if (job == NULL)
        return -ENOMEM;
    error = split(text, job->host, &job->port);
    if (error != 0) {
        vine__closed_free(job);
        return error;
    }
    job->lookup = lookup;
    lookup->job = job;
    job->operation = (struct vine__operation){
        .fn = looked_up, .kind = VINE__POLL_CALL, .call = look_up, .context = job};
    vine__poller_begin(network->poller, &job->operation);
    return 0;
}

void vine_lookup(struct vine_lookup *lookup, const char *text, vine_lookup_fn fn)
{
    int error = vine_address_parse(text, &lookup->addresses[0]);

    lookup->fn = fn;
    lookup->job = NULL;
    lookup->count = error == 0;
    lookup->has_ended = false;
    vine_work_init(&lookup->work, call);
    if (error == -EINVAL && strncmp(text, "unix:", 5) != 0) {
        error = begin(lookup, text);
        if (error == 0)
            return;
    }
    end(lookup, error);
}
