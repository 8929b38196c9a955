/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves as an application's threads use them: allocate in ours, follow tokens into the
 * other. */
#include <errno.h>

#include <vine/error.h>

#include "arch/wake/futex.h"
#include "core/talk/pipe_internal.h"

/* Who waits for memory looks again so often: other threads may free without a task's end. */
#define LOOK_NS 1000000

int vine__pipe_alloc(struct vine_pipe *pipe, uint64_t size_bytes, struct vine__box *ret_box)
{
    if (size_bytes > pipe->half_max)
        return -VINE_ETOOBIG;
    pthread_mutex_lock(&pipe->lock);
    if (pipe->half.announce != NULL) {
        /* What is mapped of the other half counts in the same quota. */
        const uint64_t theirs = vine__load_relaxed_u64(&pipe->mirror_bytes);

        pipe->half.bytes_max = pipe->memory_bytes > theirs ? pipe->memory_bytes - theirs : 0;
    }

    const int error = vine__half_alloc(&pipe->half, size_bytes, ret_box);

    pthread_mutex_unlock(&pipe->lock);
    /* Nobody takes a new extent: who has hung up may have said why. */
    if (error == -VINE_EPEERLOST) {
        const int reason = vine__pipe_look(pipe);

        return reason ? reason : error;
    }
    /* It is not larger than an empty pipe; and a link that takes no more extents now is full
     * too. */
    return error == -VINE_ETOOBIG || error == -EAGAIN ? -VINE_EQUOTA : error;
}

void vine__pipe_free(struct vine_pipe *pipe, const struct vine__box *box)
{
    pthread_mutex_lock(&pipe->lock);
    vine__half_free(&pipe->half, box);
    pthread_mutex_unlock(&pipe->lock);
    /* Relaxed: who counts itself in at this moment looks again after LOOK_NS. */
    if (vine__load_relaxed_u32(&pipe->memory_waiters) == 0)
        return;
    (void)vine__fetch_add_acq_rel_u32(&pipe->memory_turn, 1); /* T1 pairs with T2 */
    (void)vine__futex_wake_private(&pipe->memory_turn, INT32_MAX);
}

void vine__pipe_wait_for_memory(struct vine_pipe *pipe, uint32_t turn_seen)
{
    const uint32_t count = vine__load_acquire_u32(&pipe->channel_count); /* N2 pairs with N1 */
    uint32_t ended = 0;

    for (uint32_t i = 0; i < count; i++)
        ended += vine__channel_poll(pipe->channels[i]);
    if (ended > 0)
        return;
    (void)vine__fetch_add_acq_rel_u32(&pipe->memory_waiters, 1);
    (void)!vine__futex_wait_private(&pipe->memory_turn, turn_seen, LOOK_NS);

    const uint32_t waiters = vine__fetch_sub_acq_rel_u32(&pipe->memory_waiters, 1);

    VINE_ASSERT(waiters > 0);
}

int vine__pipe_resolve(struct vine_pipe *pipe, const struct vine_token *token,
                       const void **ret_memory)
{
    bool is_unknown = false;
    const void *memory = vine__mirror_resolve(&pipe->mirror, token->extent, token->offset_units,
                                              token->length, &is_unknown);
    int error = 0;

    /* The message of a new extent was sent before anything that names it; whoever finds that the
     * pipe is over has taken all that was sent. */
    for (int i = 0; i < VINE__PIPE_RECEIVES && is_unknown && !error; i++) {
        error = vine__pipe_look(pipe);
        if (error == VINE__RENEWED_SOON)
            error = vine__renew_hear(pipe);
        memory = vine__mirror_resolve(&pipe->mirror, token->extent, token->offset_units,
                                      token->length, &is_unknown);
    }
    if (memory == NULL)
        return -VINE_ECORRUPT;
    *ret_memory = memory;
    return 0;
}
