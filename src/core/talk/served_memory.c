/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipe's memory on the appliance's side: it grows, and is given back, while others are served.
 *
 * One turn of the loop makes or looks through STEP_BYTES, of one pipe, whoever else grows; what
 * needs the memory is held meanwhile. Giving 256 MiB back takes 30 ms and more, so workers do that.
 * Where nobody works, the loop unmaps UNMAP_BYTES a turn; but the pages themselves go with the last
 * descriptor of an extent, and for that the kernel has no steps (60 ns a page).
 */
#include <errno.h>
#include <stdlib.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/appliance_internal.h"
#include "utils/container_of.h"

#define STEP_BYTES  (128u << 10)
#define UNMAP_BYTES (1u << 20)

#define PIPE_OF(node)    VINE_CONTAINER_OF(node, struct vine__served, link)
#define GROWING_OF(node) VINE_CONTAINER_OF(node, struct vine__served, growing)

/* ---- growing --------------------------------------------------------------------------------- */

void vine__served_see_growth(struct vine__served *pipe)
{
    const bool grows = pipe->half.growing != NULL || pipe->mirror.growing != NULL;

    if (grows && pipe->state == VINE__SERVED_OPEN && !vine__list_is_linked(&pipe->growing))
        vine__list_push_back(&pipe->appliance->growing, &pipe->growing);
}

bool vine__served_grow(struct vine_appliance *appliance)
{
    struct vine__list *first = vine__list_pop_front(&appliance->growing);

    if (first == NULL)
        return false;

    struct vine__served *pipe = GROWING_OF(first);
    int error = 0;

    if (pipe->mirror.growing != NULL) {
        error = vine__mirror_grow_step(&pipe->mirror, STEP_BYTES);
        if (error < 0) {
            vine__why_say(&pipe->why, "extent %u cannot be taken: %s", pipe->mirror.growing_index,
                          vine_error_text(error));
            vine__loop_end_pipe(pipe, error, pipe->why.text);
            return true;
        }
    } else if (pipe->half.growing != NULL) {
        /* Who waits for it is told why it did not grow. */
        error = vine__half_grow_step(&pipe->half, STEP_BYTES);
    }
    vine__served_see_growth(pipe);
    /* What was held may go on, and what came by the socket meanwhile may be read: one that was
     * about to fall asleep for want of anything to do stays awake for it. */
    if (error <= 0) {
        pipe->changes++;
        vine__loop_activate(pipe);
        pipe->busy_ticks = vine__clock_ticks();
    }
    return true;
}

/* ---- giving back ----------------------------------------------------------------------------- */

void vine__served_bury(struct vine__served *pipe)
{
    VINE_ASSERT(pipe->magic == VINE__SERVED_MAGIC);
    VINE_ASSERT(pipe->jobs_taken == 0); /* they use what is unmapped here */
    if (pipe->mirror.layout != NULL)
        vine__mirror_close(&pipe->mirror);
    if (pipe->half.layout != NULL)
        vine__half_close(&pipe->half);
    vine__op_cache_fini(&pipe->jobs);
    pipe->magic = 0;
    free(pipe);
}

static bool bury_step(struct vine__served *pipe)
{
    if (pipe->mirror.layout != NULL && vine__mirror_close_step(&pipe->mirror, UNMAP_BYTES))
        return true;
    return pipe->half.layout != NULL && vine__half_close_step(&pipe->half, UNMAP_BYTES);
}

/* What is little. The last handler that could see the rest has ended. */
static void strip(struct vine__served *pipe)
{
    if (pipe->sessions != NULL)
        vine__sessions_free(pipe);
    for (uint32_t i = 0; i < pipe->channel_count; i++) {
        vine__table_fini(&pipe->channels[i]->jobs);
        free(pipe->channels[i]->lanes);
        free(pipe->channels[i]->marks);
        free(pipe->channels[i]);
    }
    pipe->channel_count = 0;
    free(pipe->accelerators);
    free(pipe->sessions);
    pipe->accelerators = NULL;
    pipe->sessions = NULL;
}

/* Leave the pipe to the workers, if there are any: none leaves before all is buried. */
static bool hand_over(struct vine__served *pipe)
{
    struct vine_appliance *appliance = pipe->appliance;
    bool is_handed = false;

    pthread_mutex_lock(&appliance->common->jobs_lock);
    if (vine__load_relaxed_u32(&appliance->common->worker_count) > 0) {
        vine__list_remove(&pipe->link);
        vine__list_push_back(&appliance->common->buried, &pipe->link);
        (void)vine__fetch_add_acq_rel_u32(&appliance->common->buried_count, 1);
        pthread_cond_signal(&appliance->common->jobs_ready);
        is_handed = true;
    }
    pthread_mutex_unlock(&appliance->common->jobs_lock);
    return is_handed;
}

bool vine__served_reap(struct vine_appliance *appliance)
{
    struct vine__list *first = vine__list_first(&appliance->over);

    if (VINE__LIKELY(first == NULL))
        return false;

    struct vine__served *pipe = PIPE_OF(first);

    strip(pipe);
    /* The next one may come there: what is left is unmapped, and used by nobody. */
    if (pipe->place != NULL)
        *pipe->place = NULL;
    pipe->place = NULL;
    if (hand_over(pipe)) {
        vine__pipe_counted(appliance, -1);
    } else {
        if (bury_step(pipe))
            return true;
        vine__list_remove(first);
        vine__pipe_counted(appliance, -1);
        vine__served_bury(pipe);
    }
    return !vine__list_is_empty(&appliance->over);
}
