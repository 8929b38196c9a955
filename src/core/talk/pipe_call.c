/* SPDX-License-Identifier: Apache-2.0 */
/* The shortest way to run a procedure: bytes in, bytes out. */
#include <errno.h>
#include <string.h>

#include <vine/error.h>

#include "core/ring/deadline.h"
#include "core/talk/pipe_internal.h"

/* What one call makes. Data are NULL where the procedure has none. */
struct call {
    struct vine_data *input;
    struct vine_data *output;
    struct vine_task *task;
};

static int make_input(struct vine_pipe *pipe, const struct vine_procedure *procedure,
                      const void *input, size_t input_size, struct vine_data **ret_data)
{
    int error;

    if (procedure->input_count == 0)
        return input_size > 0 ? -VINE_EARGUMENT : 0;
    error = vine_data_create(pipe, procedure->inputs[0]->data_type, input_size, ret_data);
    return error ? error : vine_data_write(*ret_data, 0, input, input_size);
}

static int make_output(struct vine_pipe *pipe, const struct vine_procedure *procedure,
                       size_t output_max, struct vine_data **ret_data)
{
    if (procedure->output_count == 0)
        return 0;

    const struct vine_argument *argument = procedure->outputs[0];
    uint64_t room = output_max < argument->max ? output_max : argument->max;

    room -= room % vine__type_bytes(argument->data_type);
    /* Less than the least is no room at all. */
    if (room < argument->min)
        return -VINE_EOVERFLOW;
    return vine_data_expect(pipe, argument->data_type, room, ret_data);
}

static int take_result(const struct call *call, void *output, size_t output_max, size_t *ret_size)
{
    size_t size;
    int error = 0;

    if (call->output != NULL) {
        size = (size_t)vine_data_size(call->output);
        error = vine_data_read(call->output, 0, output, size);
    } else {
        size = vine_task_result(call->task, output, output_max);
        if (size > output_max)
            return -VINE_EOVERFLOW;
    }
    if (!error && ret_size != NULL)
        *ret_size = size;
    return error;
}

int vine_pipe_call(struct vine_pipe *pipe, const char *procedure_name, const void *input,
                   size_t input_size, void *output, size_t output_max, size_t *ret_size)
{
    struct vine_procedure *procedure = NULL;
    struct vine__deadline deadline = vine__deadline_after(pipe->call_timeout_ns);
    struct call call = {NULL, NULL, NULL};
    int error;

    vine__this_thread.reason[0] = 0;
    (void)vine__deadline_left(&deadline); /* it begins */
    error = vine_procedure_get(pipe, procedure_name, &procedure);

    if (error)
        return error;
    if (procedure->input_count > 1 || procedure->output_count > 1)
        return -VINE_EARGUMENT;
    error = make_input(pipe, procedure, input, input_size, &call.input);
    if (!error)
        error = make_output(pipe, procedure, output_max, &call.output);
    if (error == -EINVAL)
        error = -VINE_EARGUMENT;
    if (!error) {
        const struct vine_task_options options = {
            .size_bytes = sizeof options,
            .inputs = &call.input,
            .input_count = procedure->input_count,
            .outputs = &call.output,
            .output_count = procedure->output_count,
        };

        error = vine_task_issue(pipe, procedure, &options, &call.task);
    }
    if (!error)
        error = vine_task_wait(call.task, vine__deadline_left(&deadline));
    if (error && call.task != NULL)
        vine__task_remember_reason(call.task);
    if (!error)
        error = take_result(&call, output, output_max, ret_size);
    vine_task_free(call.task);
    vine_data_free(call.input);
    vine_data_free(call.output);
    return error;
}
