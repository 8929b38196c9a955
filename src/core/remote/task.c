/* SPDX-License-Identifier: Apache-2.0 */
/* core/remote/task.c - a task elsewhere, from its issue to the call of its function. */

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "core/remote/remote_internal.h"
#include "core/talk/type.h"
#include "utils/atomic.h"
#include "utils/bits.h"

#define SCALAR_BYTES sizeof(uint64_t)

static struct vine_remote_task *task_of(struct vine__way_user *user)
{
    return VINE_CONTAINER_OF(user, struct vine_remote_task, user);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void let_go(struct vine_remote_task *task)
{
    vine_task_free(task->task);
    vine_data_free(task->input_data);
    vine_data_free(task->output_data);
    task->task = NULL;
    task->input_data = NULL;
    task->output_data = NULL;
    vine__closed_free(task->copy);
    task->copy = NULL;
}

/* How it ends is known, and told later. */
static void end(struct vine_remote_task *task, int status)
{
    if (task->has_ended)
        return;
    task->has_ended = true;
    task->status = status;
    vine_work_post(&task->work);
}

/* Nobody waits for it any more. */
static void abandon(struct vine_remote_task *task, int status)
{
    if (task->task != NULL)
        (void)!vine_task_cancel(task->task);
    let_go(task);
    vine__way_leave(&task->user);
    end(task, status);
}

static size_t came(const struct vine_remote_task *task)
{
    return task->output_data != NULL ? (size_t)vine_data_size(task->output_data)
                                     : vine_task_result(task->task, NULL, 0);
}

int vine__remote_take(struct vine_remote_task *task, void *output)
{
    if (task->output_bytes == 0)
        return 0;
    if (task->output_data != NULL)
        return vine_data_read(task->output_data, 0, output, task->output_bytes);
    (void)vine_task_result(task->task, output, task->output_bytes);
    return 0;
}

void vine__remote_done(struct vine_remote_task *task)
{
    let_go(task);
    vine__way_leave(&task->user);
}

static void tell(struct vine_work *work)
{
    struct vine_remote_task *const task = VINE_CONTAINER_OF(work, struct vine_remote_task, work);

    if (task->has_deadline)
        (void)vine_timer_cancel(&task->timer);
    task->error = task->status;
    if (task->error == 0) {
        task->output_bytes = came(task);
        if (task->output_bytes > task->output_max)
            task->error = -VINE_EOVERFLOW;
    }
    if (task->error == 0 && !task->is_taken_later)
        task->error = vine__remote_take(task, task->output);
    if (task->error != 0)
        task->output_bytes = 0;
    if (task->error != 0 || !task->is_taken_later)
        vine__remote_done(task);
    task->fn(task);
}

static void time_has_come(struct vine_timer *timer)
{
    struct vine_remote_task *const task = VINE_CONTAINER_OF(timer, struct vine_remote_task, timer);

    if (!task->has_ended)
        abandon(task, -ETIMEDOUT);
}

void vine_remote_cancel(struct vine_remote_task *task)
{
    if (!task->has_ended)
        abandon(task, -ECANCELED);
}

/* ---- issue ----------------------------------------------------------------------------------- */

/* What a procedure takes, of what can be told so. */
struct shape {
    const struct vine_argument *input, *output, *bytes;
    bool has_result;
};

static int see_shape(const struct vine_procedure *procedure, struct shape *ret_shape)
{
    const struct vine_procedure_info *const info = vine_procedure_describe(procedure);

    *ret_shape = (struct shape){0};
    for (uint32_t i = 0; i < info->argument_count; i++) {
        const struct vine_argument *const argument = &info->arguments[i];

        if ((argument->kind == VINE_INPUT && ret_shape->input != NULL) ||
            (argument->kind == VINE_OUTPUT && ret_shape->output != NULL))
            return -VINE_EARGUMENT;
        if (argument->kind == VINE_INPUT)
            ret_shape->input = argument;
        else if (argument->kind == VINE_OUTPUT)
            ret_shape->output = argument;
        else if (argument->kind == VINE_BYTES)
            ret_shape->bytes = argument;
    }
    return 0;
}

static int make_input(struct vine_remote_task *task, struct vine_pipe *pipe,
                      const struct shape *shape)
{
    int error;

    if (shape->input == NULL)
        return 0;
    error = vine_data_create(pipe, shape->input->data_type, task->input_bytes, &task->input_data);
    if (error != 0 || task->input_bytes == 0)
        return error;
    return vine_data_write(task->input_data, 0, task->input, task->input_bytes);
}

static int make_output(struct vine_remote_task *task, struct vine_pipe *pipe,
                       const struct shape *shape)
{
    uint64_t room;

    if (shape->output == NULL)
        return 0;
    room = vine__min_u64(task->output_max, shape->output->max);
    room -= room % vine__type_bytes(shape->output->data_type);
    if (room < shape->output->min)
        return -VINE_EOVERFLOW;
    return vine_data_expect(pipe, shape->output->data_type, room, &task->output_data);
}

/* What travels with it: scalars, and the input where that is bytes. Returns 0 or an error. */
static int pack(const struct vine_remote_task *task, const struct shape *shape,
                unsigned char packed[VINE_TASK_BYTES_MAX], size_t *ret_size)
{
    const size_t scalars = task->scalar_count * SCALAR_BYTES;
    const size_t bytes = shape->input == NULL ? task->input_bytes : 0;

    if (task->scalar_count > VINE_ARGUMENTS_MAX || (bytes > 0 && shape->bytes == NULL))
        return -VINE_EARGUMENT;
    if (bytes > VINE_TASK_BYTES_MAX - scalars)
        return -VINE_ETOOBIG;
    if (scalars > 0)
        memcpy(packed, task->scalars, scalars);
    if (bytes > 0)
        memcpy(packed + scalars, task->input, bytes);
    *ret_size = scalars + bytes;
    return 0;
}

/* Within a poll: what follows is in a work of its own. */
static void has_ended(struct vine_task *there, int status, void *context)
{
    (void)there;
    end(context, status);
}

static int issue(struct vine_remote_task *task, struct vine_pipe *pipe,
                 struct vine_procedure *procedure, const struct shape *shape)
{
    unsigned char packed[VINE_TASK_BYTES_MAX];
    struct vine_task_options options = {
        .size_bytes = sizeof(options),
        .bytes = packed,
        .inputs = &task->input_data,
        .input_count = shape->input != NULL,
        .outputs = &task->output_data,
        .output_count = shape->output != NULL,
        .callback = has_ended,
        .context = task,
    };
    const int error = pack(task, shape, packed, &options.bytes_size);

    return error != 0 ? error : vine_task_issue(pipe, procedure, &options, &task->task);
}

static int go(struct vine__way_user *user, struct vine_pipe *pipe, struct vine_procedure *procedure)
{
    struct vine_remote_task *const task = task_of(user);
    struct shape shape;
    int error = see_shape(procedure, &shape);

    if (error == 0)
        error = make_input(task, pipe, &shape);
    if (error == 0)
        error = make_output(task, pipe, &shape);
    if (error == 0)
        error = issue(task, pipe, procedure, &shape);
    if (error == 0)
        return 0;
    vine_data_free(task->input_data);
    vine_data_free(task->output_data);
    task->input_data = NULL;
    task->output_data = NULL;
    if (error == -VINE_EQUOTA)
        return -EAGAIN;
    return error == -EINVAL ? -VINE_EARGUMENT : error;
}

static void fail(struct vine__way_user *user, int error)
{
    end(task_of(user), error);
}

/* One that has ended has its results there still, until it is told. */
static void lose(struct vine__way_user *user, int error)
{
    struct vine_remote_task *const task = task_of(user);

    if (!task->has_ended)
        abandon(task, error);
}

static const struct vine__way_user_ops ops = {.go = go, .fail = fail, .lose = lose};

static void begin(struct vine_remote_task *task, struct vine_remote remote, const char *procedure,
                  vine_remote_fn fn)
{
    task->error = 0;
    task->output_bytes = 0;
    task->fn = fn;
    task->user =
        (struct vine__way_user){.ops = &ops, .procedure = procedure, .remote = remote.number};
    task->input_data = NULL;
    task->output_data = NULL;
    task->task = NULL;
    task->copy = NULL;
    task->has_ended = false;
    task->has_deadline = task->deadline_ns != 0;
    vine_work_init(&task->work, tell);
    if (task->has_deadline) {
        vine_timer_init(&task->timer, VINE_CLOCK_COARSE, time_has_come);
        vine_timer_arm_at(&task->timer, task->deadline_ns);
    }
    vine__way_ask(&task->user);
}

void vine_remote_run(struct vine_remote_task *task, struct vine_remote remote,
                     const char *procedure, vine_remote_fn fn)
{
    task->is_taken_later = false;
    begin(task, remote, procedure, fn);
}

void vine__remote_begin(struct vine_remote_task *task, struct vine_remote remote,
                        const char *procedure, vine_remote_fn fn)
{
    task->is_taken_later = true;
    begin(task, remote, procedure, fn);
    if (!task->user.is_waiting || task->input_bytes == 0)
        return;
    task->copy = vine__closed_alloc_raw(task->input_bytes);
    if (task->copy == NULL) {
        abandon(task, -ENOMEM);
        return;
    }
    memcpy(task->copy, task->input, task->input_bytes);
    task->input = task->copy;
}
