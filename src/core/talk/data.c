/* SPDX-License-Identifier: Apache-2.0 */
/* Data: our boxes, and places for the appliance's results. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "core/ring/deadline.h"
#include "core/talk/pipe_internal.h"
#include "utils/bits.h"

static bool is_type(uint32_t data_type, uint64_t size_bytes)
{
    const bool is_known = (data_type >= VINE_TYPE_BYTES && data_type <= VINE_TYPE_F64) ||
                          (data_type >= VINE_TYPE_USER && data_type <= VINE_WIRE_TYPE_MASK);

    return is_known && size_bytes % vine__type_bytes(data_type) == 0;
}

static struct vine_data *take_data(struct vine_pipe *pipe, uint32_t data_type)
{
    pthread_mutex_lock(&pipe->lock);

    struct vine_data *data = vine__store_take(&pipe->datas);

    pthread_mutex_unlock(&pipe->lock);
    if (data == NULL)
        return NULL;
    data->magic = VINE__DATA_MAGIC;
    data->pipe = pipe;
    data->refs = 1;
    data->type = (uint16_t)data_type;
    return data;
}

static void give_data(struct vine_data *data)
{
    struct vine_pipe *pipe = data->pipe;

    pthread_mutex_lock(&pipe->lock);
    vine__store_give(&pipe->datas, data);
    pthread_mutex_unlock(&pipe->lock);
}

static uint64_t tasks_in_flight(struct vine_pipe *pipe)
{
    const uint32_t count = vine__load_acquire_u32(&pipe->channel_count); /* N2 pairs with N1 */
    uint64_t in_flight = 0;

    for (uint32_t i = 0; i < count; i++)
        in_flight += vine__channel_in_flight(pipe->channels[i]);
    return in_flight;
}

/* With throttle: waits as long as tasks are in flight whose end may make room, until the time of a
 * call is over. */
static int alloc_box(struct vine_pipe *pipe, uint64_t size_bytes, struct vine__box *ret_box)
{
    struct vine__deadline deadline = vine__deadline_after(pipe->call_timeout_ns);

    for (;;) {
        const uint32_t turn = vine__load_acquire_u32(&pipe->memory_turn); /* T2 pairs with T1 */
        int error = vine__pipe_alloc(pipe, size_bytes, ret_box);

        if (error != -VINE_EQUOTA || !pipe->throttle || vine__this_thread.called != NULL ||
            tasks_in_flight(pipe) == 0)
            return error;
        (void)vine__deadline_left(&deadline);
        if (deadline.is_over)
            return -ETIMEDOUT;
        vine__pipe_wait_for_memory(pipe, turn);
        error = vine__pipe_ready(pipe);
        if (error)
            return error;
    }
}

int vine_data_create(struct vine_pipe *pipe, uint32_t data_type, uint64_t size_bytes,
                     struct vine_data **ret_data)
{
    int error = vine__pipe_ready(pipe);

    if (error)
        return error;
    if (!is_type(data_type, size_bytes))
        return -EINVAL;

    struct vine_data *data = take_data(pipe, data_type);

    if (data == NULL)
        return -ENOMEM;
    error = alloc_box(pipe, size_bytes, &data->box);
    if (error) {
        give_data(data);
        return error;
    }
    data->memory = data->box.memory;
    data->size_bytes = size_bytes;
    data->size_max_bytes = size_bytes;
    vine__store_release_u32(&data->has_result, 1); /* R1 pairs with R2 */
    *ret_data = data;
    return 0;
}

int vine_data_expect(struct vine_pipe *pipe, uint32_t data_type, uint64_t size_max_bytes,
                     struct vine_data **ret_data)
{
    const int error = vine__pipe_ready(pipe);

    if (error)
        return error;
    if (!is_type(data_type, size_max_bytes))
        return -EINVAL;
    if (size_max_bytes > UINT32_MAX || size_max_bytes > pipe->memory_bytes)
        return -VINE_ETOOBIG;

    struct vine_data *data = take_data(pipe, data_type);

    if (data == NULL)
        return -ENOMEM;
    data->is_result = true;
    data->size_max_bytes = size_max_bytes;
    *ret_data = data;
    return 0;
}

void vine__data_give_back(struct vine_pipe *pipe, const struct vine_token *token, uint32_t renewal)
{
    struct vine_wire_submission message = {
        .kind = VINE_WIRE_RELEASE,
        .shape = VINE_WIRE_SHAPE(0, 1),
    };

    memcpy(message.body + VINE_WIRE_BODY_BYTES - sizeof *token, token, sizeof *token);
    vine__pipe_tell(pipe, &message, renewal);
}

void vine__data_unref(struct vine_data *data)
{
    /* A1 pairs with A2, and with whoever is last. */
    if (vine__fetch_sub_acq_rel_u32(&data->refs, 1) != 1)
        return;
    if (!data->is_result)
        vine__pipe_free(data->pipe, &data->box);
    else if (data->has_result && data->size_bytes > 0)
        vine__data_release_result(data->pipe, &data->token, data->renewal);
    if (data->is_home)
        vine__pipe_free(data->pipe, &data->box);
    give_data(data);
}

/* The pipe's lock is held. Returns what is to be unmapped, or NULL. */
static struct vine__former *release_former(struct vine_pipe *pipe, uint32_t renewal)
{
    struct vine__former **link = &pipe->renewal.formers;

    while (*link != NULL && (*link)->renewal != renewal)
        link = &(*link)->next;

    struct vine__former *former = *link;

    VINE_ASSERT(former != NULL && former->results > 0);
    if (--former->results > 0)
        return NULL;
    *link = former->next;
    return former;
}

void vine__data_release_result(struct vine_pipe *pipe, const struct vine_token *token,
                               uint32_t renewal)
{
    struct vine__former *former = NULL;

    pthread_mutex_lock(&pipe->lock);

    const bool is_present = vine__pipe_renewals(pipe) == renewal;

    if (is_present)
        (void)vine__fetch_sub_acq_rel_u64(&pipe->renewal.results, 1);
    else
        former = release_former(pipe, renewal);
    pthread_mutex_unlock(&pipe->lock);
    if (is_present)
        vine__data_give_back(pipe, token, renewal);
    if (former != NULL)
        vine__mirror_close(&former->mirror);
    free(former);
}

/* Behind the lock, where one of several threads that issue with it does it. */
int vine__data_bring_home(struct vine_data *data)
{
    struct vine_pipe *pipe = data->pipe;
    const uint64_t size_bytes = vine__load_relaxed_u64(&data->size_bytes);
    int error = 0;

    pthread_mutex_lock(&pipe->lock);
    if (!data->is_home && size_bytes > 0 && data->renewal != vine__pipe_renewals(pipe)) {
        error = vine__half_alloc(&pipe->half, size_bytes, &data->box);
        if (!error) {
            memcpy(data->box.memory, data->memory, size_bytes);
            data->is_home = true;
        }
    }
    pthread_mutex_unlock(&pipe->lock);
    return error;
}

void vine__data_name(const struct vine_data *data, struct vine_token *ret_token)
{
    const uint64_t size_bytes = vine__load_relaxed_u64(&data->size_bytes);

    if (data->is_result && size_bytes > 0 && !data->is_home) {
        *ret_token = data->token;
        ret_token->type |= VINE_WIRE_TYPE_THEIRS;
        return;
    }
    *ret_token = (struct vine_token){.length = (uint32_t)size_bytes, .type = data->type};
    if (data->is_result && size_bytes == 0)
        return;                /* an empty one, which lies nowhere */
    ret_token->generation = 1; /* of no meaning to the other side: we free our boxes ourselves */
    ret_token->offset_units = data->box.offset_units;
    ret_token->extent = (uint16_t)data->box.extent;
}

void vine_data_free(struct vine_data *data)
{
    if (data == NULL || vine__forked(data->pipe->generation))
        return;
    VINE_ASSERT(data->magic == VINE__DATA_MAGIC);
    vine__data_unref(data);
}

uint64_t vine_data_size(const struct vine_data *data)
{
    /* R2 pairs with R1. */
    if (vine__load_acquire_u32(&data->has_result) == 0)
        return 0;
    return vine__load_relaxed_u64(&data->size_bytes);
}

int vine_data_write(struct vine_data *data, uint64_t offset, const void *bytes, size_t size)
{
    if (vine__forked(data->pipe->generation))
        return -VINE_EFORK;
    VINE_ASSERT(data->magic == VINE__DATA_MAGIC);
    if (data->is_result || !vine__range_is_within_u64(offset, size, vine_data_size(data)))
        return -EINVAL;
    if (size > 0)
        memcpy((unsigned char *)data->box.memory + offset, bytes, size);
    (void)vine__fetch_add_relaxed_u64(&data->pipe->bytes_copied, size);
    return 0;
}

int vine_data_read(const struct vine_data *data, uint64_t offset, void *bytes, size_t size)
{
    if (vine__forked(data->pipe->generation))
        return -VINE_EFORK;
    VINE_ASSERT(data->magic == VINE__DATA_MAGIC);
    if (!vine__range_is_within_u64(offset, size, vine_data_size(data)))
        return -EINVAL;
    if (size > 0)
        memcpy(bytes, (const unsigned char *)data->memory + offset, size);
    (void)vine__fetch_add_relaxed_u64(&data->pipe->bytes_copied, size);
    return vine__link_held(&data->pipe->link) ? 0 : -VINE_EPEERLOST;
}

int vine_data_check(const struct vine_data *data)
{
    if (vine__forked(data->pipe->generation))
        return -VINE_EFORK;
    VINE_ASSERT(data->magic == VINE__DATA_MAGIC);
    return vine__link_held(&data->pipe->link) ? 0 : -VINE_EPEERLOST;
}

void *vine_data_map(struct vine_data *data)
{
    if (data->is_result || vine__forked(data->pipe->generation))
        return NULL;
    return data->box.memory;
}

const void *vine_data_view(const struct vine_data *data)
{
    /* R2 pairs with R1. */
    if (vine__load_acquire_u32(&data->has_result) == 0 || vine__forked(data->pipe->generation))
        return NULL;
    return data->memory;
}

int vine_data_resize(struct vine_data *data, uint64_t size_bytes)
{
    if (vine__forked(data->pipe->generation))
        return -VINE_EFORK;
    if (data->is_result || size_bytes > data->size_max_bytes ||
        size_bytes % vine__type_bytes(data->type) != 0)
        return -EINVAL;
    vine__store_relaxed_u64(&data->size_bytes, size_bytes);
    return 0;
}
