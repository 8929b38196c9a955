/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which channel a thread issues through.
 *
 * All but the last one that a pipe may have belong to one thread each; the last is shared by all
 * further threads. The channel of a thread that has ended stays as it is until its tasks have ended
 * and then goes to another thread. Channels point at a record of their thread, which says whether
 * it lives: so a thread that ends needs to know of no pipe. Of those that share one there is a
 * list, from which those that are over are taken when somebody counts.
 */
#include <errno.h>
#include <stdlib.h>

#include <vine/error.h>

#include "core/talk/pipe_internal.h"

_Thread_local struct vine__thread_local vine__this_thread;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;

struct vine__thread *vine__thread_ref(struct vine__thread *thread)
{
    (void)vine__fetch_add_relaxed_u32(&thread->refs, 1);
    return thread;
}

void vine__thread_unref(struct vine__thread *thread)
{
    if (thread == NULL)
        return;

    const uint32_t refs = vine__fetch_sub_acq_rel_u32(&thread->refs, 1);

    VINE_ASSERT(refs > 0);
    if (refs == 1)
        free(thread);
}

static void end_thread(void *value)
{
    struct vine__thread *thread = value;

    /* O1 pairs with O2: all that the thread did to its channels is over. */
    vine__store_release_u32(&thread->is_over, 1);
    vine__this_thread = (struct vine__thread_local){0};
    vine__thread_unref(thread);
}

static void make_key(void)
{
    key_error = -pthread_key_create(&key, end_thread);
}

static int know_self(void)
{
    struct vine__thread_local *self = &vine__this_thread;
    int error;

    if (self->self != NULL)
        return 0;
    (void)pthread_once(&key_once, make_key);
    if (key_error)
        return key_error;
    self->self = calloc(1, sizeof *self->self);
    if (self->self == NULL)
        return -ENOMEM;
    self->self->refs = 1;
    error = -pthread_setspecific(key, self->self);
    if (error) {
        free(self->self);
        self->self = NULL;
    }
    return error;
}

static void own(struct vine__channel *channel, struct vine__thread *thread)
{
    struct vine__thread *before = channel->owner;

    /* Relaxed: see vine__channel_is_mine. */
    vine__store_relaxed_pointer((void **)&channel->owner, vine__thread_ref(thread));
    vine__thread_unref(before);
}

/* Ours; an idle one that nobody owns any more; a new one; a busy one that nobody owns; the shared
 * one. The pipe's lock is held. */
static int find_channel(struct vine_pipe *pipe, struct vine__thread *self,
                        struct vine__channel **ret_channel)
{
    const uint32_t own_max = pipe->channels_max - 1;
    struct vine__channel *idle = NULL;
    struct vine__channel *busy = NULL;

    VINE_ASSERT(pipe->channels_max > 0 && pipe->channel_count <= pipe->channels_max);
    for (uint32_t i = 0; i < pipe->channel_count; i++) {
        struct vine__channel *channel = pipe->channels[i];

        if (channel->owner == self) {
            *ret_channel = channel;
            return 0;
        }
        /* O2 pairs with O1. */
        if (channel->is_shared || vine__load_acquire_u32(&channel->owner->is_over) == 0)
            continue;
        if (vine__channel_in_flight(channel) == 0)
            idle = channel;
        else
            busy = channel;
    }
    if (idle == NULL && pipe->channel_count < own_max) {
        const int error = vine__channel_open(pipe, false, &idle);

        if (error)
            return error;
    }
    if (idle == NULL)
        idle = busy;
    if (idle != NULL) {
        own(idle, self);
        *ret_channel = idle;
        return 0;
    }
    if (pipe->channel_count <= own_max)
        return vine__channel_open(pipe, true, ret_channel);
    VINE_ASSERT(pipe->channels[own_max]->is_shared);
    *ret_channel = pipe->channels[own_max];
    return 0;
}

/* ---- who shares ------------------------------------------------------------------------------ */

static void set_sharers(struct vine_pipe *pipe, uint32_t count)
{
    const uint32_t sharing = count > 1 ? count : 0;

    vine__store_relaxed_u32(&pipe->sharer_count, count);
    /* Pairs with nothing: it is only told. */
    vine__store_relaxed_u32(&pipe->half.layout->board.channels.sharing, sharing);
}

/* Keep those that live, but for one. */
static void drop_sharers(struct vine_pipe *pipe, const struct vine__thread *leaving)
{
    const uint32_t before = pipe->sharer_count;
    uint32_t count = 0;

    for (uint32_t i = 0; i < before; i++) {
        struct vine__thread *const thread = pipe->sharers[i];

        /* Relaxed: nothing of the thread is looked at. */
        if (thread == leaving || vine__load_relaxed_u32(&thread->is_over) != 0)
            vine__thread_unref(thread);
        else
            pipe->sharers[count++] = thread;
    }
    if (count != before)
        set_sharers(pipe, count);
}

uint32_t vine__pipe_count_sharers(struct vine_pipe *pipe)
{
    drop_sharers(pipe, NULL);
    return pipe->sharer_count > 1 ? pipe->sharer_count : 0;
}

void vine__pipe_forget_sharers(struct vine_pipe *pipe)
{
    for (uint32_t i = 0; i < pipe->sharer_count; i++)
        vine__thread_unref(pipe->sharers[i]);
    free(pipe->sharers);
}

static int add_sharer(struct vine_pipe *pipe, struct vine__thread *self)
{
    for (uint32_t i = 0; i < pipe->sharer_count; i++)
        if (pipe->sharers[i] == self)
            return 0;
    drop_sharers(pipe, NULL);
    if (pipe->sharer_count == pipe->sharers_max) {
        const uint32_t more = pipe->sharers_max + 8 + pipe->sharers_max / 2;
        struct vine__thread **const sharers =
            realloc(pipe->sharers, more * sizeof(struct vine__thread *));

        if (sharers == NULL)
            return -ENOMEM;
        pipe->sharers = sharers;
        pipe->sharers_max = more;
    }
    pipe->sharers[pipe->sharer_count] = vine__thread_ref(self);
    set_sharers(pipe, pipe->sharer_count + 1);
    return 0;
}

/* ---- the one of this thread ------------------------------------------------------------------ */

int vine__thread_channel_slow(struct vine_pipe *pipe, struct vine__channel **ret_channel)
{
    struct vine__thread_local *self = &vine__this_thread;
    struct vine__channel *channel = NULL;
    int error = vine__forked(pipe->generation) ? -VINE_EFORK : know_self();

    if (error)
        return error;
    pthread_mutex_lock(&pipe->lock);
    error = find_channel(pipe, self->self, &channel);
    if (!error && channel->is_shared)
        error = add_sharer(pipe, self->self);
    else if (!error)
        drop_sharers(pipe, self->self); /* it has one of its own now */
    pthread_mutex_unlock(&pipe->lock);
    if (error)
        return error;
    self->known[self->next].pipe_id = pipe->id;
    self->known[self->next].channel = channel;
    self->next = (self->next + 1) % VINE__THREAD_CHANNELS;
    *ret_channel = channel;
    return 0;
}
