/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Issuing: arguments are checked against what the appliance said of the procedure, and the
 * submission is composed in its slot.
 *
 * A task whose bytes and tokens fit into a slot's 40 bytes needs nothing else; another one gets a
 * descriptor, a block of our half that the task keeps until its end.
 */
#include <errno.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/ring/deadline.h"
#include "core/talk/pipe_internal.h"

#define TOKEN_BYTES   sizeof(struct vine_token)
#define TOKENS_INLINE 2u

static int check_bytes(const struct vine_procedure *procedure, const void *bytes, size_t size)
{
    size_t at = 0;

    if (size > VINE_TASK_BYTES_MAX)
        return -VINE_ETOOBIG;
    if (size > 0 && bytes == NULL)
        return -EINVAL;
    for (uint32_t i = 0; i < procedure->info.argument_count; i++) {
        const struct vine_argument *argument = &procedure->info.arguments[i];

        if (argument->kind == VINE_SCALAR && at < size) {
            uint64_t value;

            if (size - at < sizeof value)
                return -VINE_EARGUMENT;
            memcpy(&value, (const unsigned char *)bytes + at, sizeof value);
            if (value < argument->min || value > argument->max)
                return -VINE_EARGUMENT;
            at += sizeof value;
        } else if (argument->kind == VINE_BYTES) {
            if (size - at > argument->max)
                return -VINE_ETOOBIG;
            if (size - at < argument->min)
                return -VINE_EARGUMENT;
            at = size;
        }
    }
    return at == size ? 0 : -VINE_EARGUMENT;
}

static int check_size(const struct vine_argument *argument, const struct vine_data *data,
                      uint64_t size_bytes)
{
    if (data->type != argument->data_type)
        return -VINE_EARGUMENT;
    if (size_bytes > argument->max)
        return -VINE_ETOOBIG;
    return size_bytes < argument->min ? -VINE_EARGUMENT : 0;
}

/* Whether an output is an input or another output, too. */
static bool is_named_before(const struct vine_task_options *options, uint32_t output)
{
    for (uint32_t i = 0; i < options->input_count; i++)
        if (options->inputs[i] == options->outputs[output])
            return true;
    for (uint32_t i = 0; i < output; i++)
        if (options->outputs[i] == options->outputs[output])
            return true;
    return false;
}

static int check_data(const struct vine_pipe *pipe, const struct vine_procedure *procedure,
                      const struct vine_task_options *options)
{
    int error = 0;

    for (uint32_t i = 0; i < options->input_count && !error; i++) {
        const struct vine_data *data = options->inputs[i];

        if (data == NULL || data->pipe != pipe)
            return -EINVAL;
        VINE_ASSERT(data->magic == VINE__DATA_MAGIC);
        /* R2 pairs with R1. */
        if (data->is_result && vine__load_acquire_u32(&data->has_result) == 0)
            return -EINVAL;
        error = check_size(procedure->inputs[i], data, vine__load_relaxed_u64(&data->size_bytes));
        if (!error && VINE__UNLIKELY(data->renewal != vine__pipe_renewals(pipe)) && data->is_result)
            error = vine__data_bring_home(options->inputs[i]);
    }
    for (uint32_t i = 0; i < options->output_count && !error; i++) {
        const struct vine_data *data = options->outputs[i];

        if (data == NULL || data->pipe != pipe)
            return -EINVAL;
        VINE_ASSERT(data->magic == VINE__DATA_MAGIC);
        /* A2 pairs with A1. */
        if (!data->is_result || vine__load_acquire_u32(&data->is_awaited) != 0)
            return -EINVAL;
        if (is_named_before(options, i))
            return -EINVAL;
        /* What other tasks still read cannot be replaced. R2 pairs with R1, A2 with A1. */
        if (vine__load_acquire_u32(&data->has_result) != 0 &&
            vine__load_acquire_u32(&data->refs) != 1)
            return -EINVAL;
        error = check_size(procedure->outputs[i], data, data->size_max_bytes);
    }
    return error;
}

/* Whether all of the task is in its slot: there is nothing but bytes to check, and nothing to let
 * go of at its end. */
static bool is_plain(const struct vine_task_options *options)
{
    return (options->input_count | options->output_count) == 0 && options->session == NULL &&
           options->accelerator == NULL && options->after == NULL && !options->session_last &&
           options->deadline_ns == 0 && options->bytes_size <= VINE_WIRE_BODY_BYTES;
}

VINE__ALWAYS_INLINE int check_plain(const struct vine_procedure *procedure,
                                    const struct vine_task_options *options)
{
    if (options->input_count != procedure->input_count ||
        options->output_count != procedure->output_count)
        return -VINE_EARGUMENT;
    if (VINE__UNLIKELY(vine__load_relaxed_u32(&procedure->error) != 0))
        return -(int)vine__load_relaxed_u32(&procedure->error);
    if (options->bytes_size != 0 || procedure->needs_bytes)
        return check_bytes(procedure, options->bytes, options->bytes_size);
    return 0;
}

static int check(const struct vine_pipe *pipe, const struct vine_procedure *procedure,
                 const struct vine_task_options *options)
{
    int error = check_plain(procedure, options);

    if (!error)
        error = check_data(pipe, procedure, options);
    if (error)
        return error;
    if (options->accelerator != NULL) {
        if (options->accelerator->pipe != pipe)
            return -EINVAL;
        VINE_ASSERT(options->accelerator->magic == VINE__ACCELERATOR_MAGIC);
    }
    if (options->session != NULL && options->session->pipe != pipe)
        return -EINVAL;
    if (options->session == NULL && options->session_last)
        return -EINVAL;
    if (options->after != NULL && options->after->channel->pipe != pipe)
        return -EINVAL;
    return 0;
}

static void name_data(const struct vine_task_options *options, struct vine_token *tokens)
{
    for (uint32_t i = 0; i < options->input_count; i++)
        vine__data_name(options->inputs[i], tokens++);
    for (uint32_t i = 0; i < options->output_count; i++)
        *tokens++ = (struct vine_token){
            .length = (uint32_t)options->outputs[i]->size_max_bytes,
            .type = options->outputs[i]->type | VINE_WIRE_TYPE_EXPECT,
        };
}

/* Bytes behind its arguments: how long it is wanted, if the appliance heeds that. */
static size_t deadline_bytes(const struct vine_task *task, const struct vine_task_options *options)
{
    return options->deadline_ns != 0 && task->channel->pipe->agreement.deadlines ? sizeof(uint64_t)
                                                                                 : 0;
}

static void write_bytes(const struct vine_task *task, const struct vine_task_options *options,
                        unsigned char *at)
{
    if (options->bytes_size > 0)
        memcpy(at, options->bytes, options->bytes_size);
    memcpy(at + options->bytes_size, &options->deadline_ns, deadline_bytes(task, options));
}

static int write_descriptor(struct vine_task *task, const struct vine_task_options *options,
                            const struct vine_task *after, struct vine_token *ret_token)
{
    const uint32_t token_count = options->input_count + options->output_count;
    struct vine_wire_descriptor head = {
        .token_count = (uint16_t)token_count,
        .bytes_size = (uint32_t)(options->bytes_size + deadline_bytes(task, options)),
    };
    struct vine_token tokens[VINE_TASK_DATA_MAX];

    head.size_bytes = (uint32_t)(sizeof head + token_count * TOKEN_BYTES + head.bytes_size);
    if (after != NULL) {
        head.has_after = 1;
        head.after_channel = after->channel->index;
        head.after_operation = vine__op_id(&after->operation);
        head.after_position = after->position;
    }

    const int error = vine__pipe_alloc(task->channel->pipe, head.size_bytes, &task->descriptor);

    if (error)
        return error;
    task->has_descriptor = true;

    unsigned char *at = task->descriptor.memory;

    name_data(options, tokens);
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, tokens, token_count * TOKEN_BYTES);
    write_bytes(task, options, at + sizeof head + token_count * TOKEN_BYTES);
    *ret_token = (struct vine_token){
        .offset_units = task->descriptor.offset_units,
        .length = head.size_bytes,
        .generation = 1,
        .type = VINE_TYPE_BYTES,
        .extent = (uint16_t)task->descriptor.extent,
    };
    return 0;
}

/* Bytes at the body's start, tokens at its end. */
static int write_body(struct vine_task *task, const struct vine_task_options *options,
                      const struct vine_task *after, struct vine_wire_submission *submission)
{
    const uint32_t token_count = options->input_count + options->output_count;
    const size_t extra = deadline_bytes(task, options);
    const size_t size = options->bytes_size + extra;
    struct vine_token tokens[TOKENS_INLINE];

    if (extra > 0)
        submission->kind |= VINE_WIRE_HAS_DEADLINE;
    if (VINE__LIKELY(token_count <= TOKENS_INLINE && after == NULL &&
                     size + token_count * TOKEN_BYTES <= VINE_WIRE_BODY_BYTES)) {
        submission->shape = VINE_WIRE_SHAPE(size, token_count);
        write_bytes(task, options, submission->body);
        if (token_count == 0)
            return 0;
        name_data(options, tokens);
        memcpy(submission->body + VINE_WIRE_BODY_BYTES - token_count * TOKEN_BYTES, tokens,
               token_count * TOKEN_BYTES);
        return 0;
    }

    const int error = write_descriptor(task, options, after, &tokens[0]);

    submission->shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR);
    memcpy(submission->body + VINE_WIRE_BODY_BYTES - TOKEN_BYTES, &tokens[0], TOKEN_BYTES);
    return error;
}

/* Results of earlier tasks whose data are outputs again. */
struct replaced {
    uint32_t count;
    struct vine_token tokens[VINE_TASK_DATA_MAX];
    uint32_t renewals[VINE_TASK_DATA_MAX];
};

static void forget_result(struct vine_data *data, struct replaced *replaced)
{
    if (vine__load_relaxed_u32(&data->has_result) == 0)
        return;
    /* Relaxed: nobody looks at data that is being issued. */
    vine__store_relaxed_u32(&data->has_result, 0);
    if (vine__load_relaxed_u64(&data->size_bytes) > 0) {
        replaced->renewals[replaced->count] = data->renewal;
        replaced->tokens[replaced->count++] = data->token;
    }
    vine__store_relaxed_u64(&data->size_bytes, 0);
    if (data->is_home)
        vine__pipe_free(data->pipe, &data->box);
    data->is_home = false;
}

/* From here on the task's end lets go of what it uses. */
static int use(struct vine_task *task, const struct vine_procedure *procedure,
               const struct vine_task_options *options, struct replaced *replaced)
{
    if (options->session != NULL) {
        const int error =
            vine__session_use(options->session, task->channel, procedure, options->session_last);

        if (error)
            return error;
        task->session = options->session;
        task->is_last = options->session_last;
    }
    if (options->accelerator != NULL) {
        (void)vine__fetch_add_relaxed_u32(&options->accelerator->refs, 1);
        (void)vine__fetch_add_relaxed_u64(&options->accelerator->tasks_issued, 1);
        task->accelerator = options->accelerator;
    }
    for (uint32_t i = 0; i < options->input_count; i++)
        task->data[i] = options->inputs[i];
    for (uint32_t i = 0; i < options->output_count; i++) {
        task->data[options->input_count + i] = options->outputs[i];
        forget_result(options->outputs[i], replaced);
        /* Relaxed: who sees it refuses the data. */
        vine__store_relaxed_u32(&options->outputs[i]->is_awaited, 1);
    }
    task->input_count = (uint8_t)options->input_count;
    task->output_count = (uint8_t)options->output_count;
    for (uint32_t i = 0; i < options->input_count + options->output_count; i++)
        (void)vine__fetch_add_relaxed_u32(&task->data[i]->refs, 1);
    return 0;
}

/* What a task has to stay behind: an accelerator, a session. Returns the task that it waits for. */
static const struct vine_task *write_order(const struct vine_task_options *options,
                                           struct vine_wire_submission *submission)
{
    const struct vine_task *after = options->after;

    if (options->accelerator != NULL)
        submission->accelerator = options->accelerator->id;
    if (options->session != NULL)
        submission->session = options->session->id;
    if (options->session != NULL && options->session->is_stream &&
        !options->session->procedure->info.has_streams_only)
        submission->kind |= VINE_WIRE_STREAM;
    if (options->session_last)
        submission->kind |= VINE_WIRE_SESSION_LAST;
    /* One that has ended already is nothing to wait for. L2 pairs with L1. */
    if (after != NULL && (vine__load_acquire_u32(&after->life) & VINE__TASK_ENDED) != 0)
        after = NULL;
    return after;
}

/* A task, and the slot that it travels in. The caller is the channel's issuer. */
VINE__ALWAYS_INLINE int begin(struct vine__channel *channel, struct vine_task **ret_task,
                              struct vine_wire_submission **ret_submission)
{
    if (vine__channel_in_flight(channel) >= channel->tasks_max)
        return -EAGAIN;

    const int reserved = vine__spsc_reserve(&channel->producer, 1);

    if (VINE__UNLIKELY(reserved <= 0)) {
        if (reserved == 0)
            return -EAGAIN;
        vine__pipe_break(channel->pipe, reserved, true,
                         "an impossible position in a submission ring");
        return reserved;
    }

    struct vine__op *operation = vine__op_take(&channel->tasks);

    if (VINE__UNLIKELY(operation == NULL))
        return -VINE_EQUOTA;
    *ret_task = (struct vine_task *)(void *)operation;
    *ret_submission =
        (struct vine_wire_submission *)(void *)vine__spsc_slot_at(&channel->producer, 0)->payload;
    return 0;
}

/* What every task has; in the slot, all but its shape and its body. */
VINE__ALWAYS_INLINE void compose(struct vine__channel *channel, struct vine_task *task,
                                 const struct vine_procedure *procedure,
                                 const struct vine_task_options *options,
                                 struct vine_wire_submission *submission)
{
    task->status = 0;
    task->channel = channel;
    task->callback = options->callback;
    task->context = options->context;
    task->input_count = 0;
    task->output_count = 0;
    task->result_size = 0;
    task->is_last = false;
    task->has_descriptor = false;
    task->has_uses = false;
    task->again = procedure->info.is_idempotent || options->idempotent ? VINE__AGAIN_TWICE : 0;
    task->procedure = procedure;
    task->position = channel->producer.position;
    submission->operation = vine__op_id(&task->operation);
    submission->procedure = procedure->id;
    submission->accelerator = 0;
    submission->session = 0;
    submission->kind = VINE_WIRE_TASK;
}

/* So that it can be issued anew, when its slot is somebody else's. What a slot holds whole can be
 * found there as long as no appliance has begun it. */
VINE__ALWAYS_INLINE void keep(struct vine_task *task, const struct vine_wire_submission *submission)
{
    task->submission = *submission;
    task->again |= VINE__AGAIN_KEPT;
}

VINE__ALWAYS_INLINE void publish(struct vine__channel *channel, struct vine_task *task,
                                 struct vine_task **ret_task)
{
    task->issued_ticks = vine__clock_ticks();
    vine__store_relaxed_u64(&channel->issued, vine__load_relaxed_u64(&channel->issued) + 1);
    vine__store_relaxed_u32(&task->life, VINE__TASK_PENDING);
    /* A release: the task before anybody ends it. */
    (void)vine__op_register(&task->operation, VINE_WIRE_TASK);
    *ret_task = task;
    vine__spsc_publish(&channel->producer, 1);
    vine__channel_tell(channel->pipe, channel);
}

/* The caller is the channel's issuer, and everything was checked. */
VINE__ALWAYS_INLINE int issue_plain(struct vine__channel *channel,
                                    const struct vine_procedure *procedure,
                                    const struct vine_task_options *options,
                                    struct vine_task **ret_task)
{
    struct vine_wire_submission *submission = NULL;
    struct vine_task *task = NULL;
    const int error = begin(channel, &task, &submission);

    if (VINE__UNLIKELY(error))
        return error;
    compose(channel, task, procedure, options, submission);
    submission->shape = VINE_WIRE_SHAPE(options->bytes_size, 0);
    if (options->bytes_size > 0)
        memcpy(submission->body, options->bytes, options->bytes_size);
    if (VINE__UNLIKELY(channel->pipe->renewal.is_wanted))
        keep(task, submission);
    publish(channel, task, ret_task);
    return 0;
}

/* The same for a task that uses more than its slot. */
static int issue_full(struct vine__channel *channel, const struct vine_procedure *procedure,
                      const struct vine_task_options *options, struct replaced *replaced,
                      struct vine_task **ret_task)
{
    struct vine_wire_submission *submission = NULL;
    struct vine_task *task = NULL;
    int error = begin(channel, &task, &submission);

    if (VINE__UNLIKELY(error))
        return error;
    compose(channel, task, procedure, options, submission);
    error = write_body(task, options, write_order(options, submission), submission);
    if (!error) {
        task->has_uses = true;
        task->session = NULL;
        task->accelerator = NULL;
        error = use(task, procedure, options, replaced);
    }
    if (VINE__UNLIKELY(error)) {
        if (task->has_descriptor)
            vine__pipe_free(channel->pipe, &task->descriptor);
        vine__op_give_own(&channel->tasks, &task->operation);
        return error;
    }
    keep(task, submission);
    publish(channel, task, ret_task);
    return 0;
}

static __attribute__((noinline)) int check_and_issue_full(struct vine__channel *channel,
                                                          const struct vine_procedure *procedure,
                                                          const struct vine_task_options *options,
                                                          struct vine_task **ret_task)
{
    const uint32_t renewals = vine__pipe_renewals(channel->pipe);
    struct replaced replaced;
    int error = check(channel->pipe, procedure, options);

    if (VINE__UNLIKELY(error))
        return error;
    replaced.count = 0;
    vine__channel_lock(channel);
    error = vine__pipe_check(channel->pipe);
    /* What was checked may be another appliance's. */
    if (VINE__UNLIKELY(!error && vine__pipe_renewals(channel->pipe) != renewals))
        error = -EAGAIN;
    if (VINE__LIKELY(!error)) {
        vine__channel_flush(channel);
        error = issue_full(channel, procedure, options, &replaced, ret_task);
    }
    vine__channel_unlock(channel);
    for (uint32_t i = 0; i < replaced.count; i++)
        vine__data_release_result(channel->pipe, &replaced.tokens[i], replaced.renewals[i]);
    return error;
}

VINE__ALWAYS_INLINE int issue_once(struct vine_pipe *pipe, const struct vine_procedure *procedure,
                                   const struct vine_task_options *options,
                                   struct vine_task **ret_task)
{
    struct vine__channel *channel = NULL;
    int error = vine__pipe_check(pipe);

    if (!error)
        error = vine__thread_channel(pipe, &channel);
    if (VINE__UNLIKELY(error))
        return error;
    if (!is_plain(options))
        return check_and_issue_full(channel, procedure, options, ret_task);
    vine__channel_lock(channel);
    error = vine__pipe_check(pipe);
    if (VINE__LIKELY(!error))
        error = check_plain(procedure, options);
    if (VINE__LIKELY(!error)) {
        vine__channel_flush(channel);
        error = issue_plain(channel, procedure, options, ret_task);
    }
    vine__channel_unlock(channel);
    return error;
}

/* Until there is room for it, or the time is over. */
static __attribute__((noinline)) int issue_with_patience(struct vine_pipe *pipe,
                                                         const struct vine_procedure *procedure,
                                                         const struct vine_task_options *options,
                                                         uint64_t timeout_ns,
                                                         struct vine_task **ret_task)
{
    struct vine__deadline deadline = vine__deadline_after(timeout_ns);

    for (;;) {
        const uint32_t turn = vine__load_acquire_u32(&pipe->memory_turn); /* T2 pairs with T1 */
        const int error = issue_once(pipe, procedure, options, ret_task);
        struct vine__channel *channel = NULL;

        if (vine__pipe_check(pipe) == VINE__RENEWED_SOON) {
            const int unusable = vine__pipe_await(pipe, vine__deadline_left(&deadline));

            if (unusable)
                return deadline.is_over ? -ETIMEDOUT : unusable;
            continue;
        }
        if ((error != -EAGAIN && error != -VINE_EQUOTA) || vine__thread_channel(pipe, &channel))
            return error;
        if (error == -VINE_EQUOTA && vine__channel_in_flight(channel) == 0)
            return error; /* nothing that could end gives anything back */

        const uint64_t left_ns = vine__deadline_left(&deadline);

        if (deadline.is_over)
            return -ETIMEDOUT;
        /* Full of tasks: until one has ended. Full of messages: until they are read. */
        if (error == -EAGAIN && vine__channel_in_flight(channel) >= channel->tasks_max)
            (void)!vine__channel_wait(channel, NULL, left_ns);
        else
            vine__pipe_wait_for_memory(pipe, turn);
    }
}

/* With the options of a program that was built when they had fewer fields. */
static __attribute__((noinline)) int issue_older(struct vine_pipe *pipe,
                                                 struct vine_procedure *procedure,
                                                 const struct vine_task_options *options,
                                                 uint64_t timeout_ns, struct vine_task **ret_task)
{
    struct vine_task_options copy = {0};

    if (options->size_bytes > sizeof copy || options->size_bytes < sizeof(size_t))
        return -EINVAL;
    memcpy(&copy, options, options->size_bytes);
    copy.size_bytes = sizeof copy;
    return vine__task_issue(pipe, procedure, &copy, timeout_ns, ret_task);
}

int vine__task_issue(struct vine_pipe *pipe, struct vine_procedure *procedure,
                     const struct vine_task_options *options, uint64_t timeout_ns,
                     struct vine_task **ret_task)
{
    static const struct vine_task_options nothing;

    if (options == NULL)
        options = &nothing;
    if (VINE__UNLIKELY(options->size_bytes != sizeof *options && options->size_bytes != 0))
        return issue_older(pipe, procedure, options, timeout_ns, ret_task);

    int error = issue_once(pipe, procedure, options, ret_task);

    if (VINE__UNLIKELY(error == -EAGAIN) && vine__this_thread.called == NULL &&
        pipe->renewal.is_possible && vine__pipe_renew(pipe) == 0)
        error = issue_once(pipe, procedure, options, ret_task);
    if (VINE__LIKELY(error != -EAGAIN && error != -VINE_EQUOTA) || timeout_ns == 0 ||
        vine__this_thread.called != NULL)
        return error;
    return issue_with_patience(pipe, procedure, options, timeout_ns, ret_task);
}

int vine_task_issue(struct vine_pipe *pipe, struct vine_procedure *procedure,
                    const struct vine_task_options *options, struct vine_task **ret_task)
{
    return vine__task_issue(pipe, procedure, options, pipe->throttle ? pipe->call_timeout_ns : 0,
                            ret_task);
}
