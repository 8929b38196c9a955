/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One task of an application, carried to the far appliance and back, on a worker of the near one.
 *
 * Inputs are copied once, out of the application's memory into ours that the far side reads, and
 * outputs once, out of the far appliance's memory into what the application reads. What an
 * application changes meanwhile, it changes for itself. How the task ended over there is how it
 * ends here.
 */
#include <errno.h>
#include <poll.h>

#include <vine/error.h>

#include "agent.h"
#include "human.h"

#define SLICE_NS    (VINE_NS_PER_SECOND / 10) /* between two looks whether it is still wanted */
#define PATIENCE_NS (5 * VINE_NS_PER_SECOND)  /* for room that others have */
#define HEED_NS     VINE_NS_PER_SECOND        /* that a canceled one has to end by itself */
#define RETRY_MS    10

/* What a session's tasks share here: what stands for it over there. */
struct passage_state {
    struct far *far;
    struct vine_session *session;
};

struct passage {
    struct vine_call *call;
    struct far *far;
    struct vine_procedure *procedure;
    struct passage_state *state; /* NULL: no session */
    struct gate_pass pass;
    struct vine_data *inputs[VINE_TASK_DATA_MAX];
    struct vine_data *outputs[VINE_TASK_DATA_MAX];
    uint32_t input_count, output_count;
    struct vine_task *task;
};

size_t forward_state_bytes(void)
{
    return sizeof(struct passage_state);
}

void forward_end(void *state)
{
    struct passage_state *own = state;

    if (own->far == NULL)
        return;
    vine_session_close(own->session);
    agent_let_go(own->far);
}

/* ---- there ----------------------------------------------------------------------------------- */

static uint64_t bytes_of(struct vine_call *call)
{
    const struct vine_procedure_definition *definition = vine_call_definition(call);
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < definition->argument_count; i++) {
        size_t size = 0;

        if (definition->arguments[i].kind == VINE_INPUT)
            (void)vine_call_bytes(call, i, &size);
        else if (definition->arguments[i].kind == VINE_OUTPUT)
            (void)vine_call_output(call, i, &size);
        bytes += size;
    }
    return bytes;
}

/* Whether to go on waiting. */
static int is_wanted(const struct passage *passage)
{
    return vine_call_is_canceled(passage->call) ? -VINE_ECANCELED : agent_check(passage->far);
}

/* Until there is room for its bytes beside those of others. */
static int enter(struct passage *passage, uint64_t until_ns)
{
    struct gate *gate = &passage->far->gate;

    gate_come(gate, &passage->pass, vine_call_pipe(passage->call), bytes_of(passage->call));
    while (!gate_wait(gate, &passage->pass, SLICE_NS)) {
        const int error = is_wanted(passage);

        if (error < 0)
            return error;
        if (human_now_ns() >= until_ns)
            return -VINE_EQUOTA;
    }
    return 0;
}

static int add_input(struct passage *passage, uint32_t argument, uint32_t data_type)
{
    struct vine_data **data = &passage->inputs[passage->input_count];
    size_t size;
    const void *bytes = vine_call_bytes(passage->call, argument, &size);
    int error = vine_data_create(passage->far->pipe, data_type, size, data);

    if (error < 0)
        return error;
    passage->input_count++;
    return vine_data_write(*data, 0, bytes, size);
}

static int add_output(struct passage *passage, uint32_t argument, uint32_t data_type)
{
    struct vine_data **data = &passage->outputs[passage->output_count];
    size_t room;

    (void)vine_call_output(passage->call, argument, &room);

    const int error = vine_data_expect(passage->far->pipe, data_type, room, data);

    passage->output_count += error == 0;
    return error;
}

static int add_data(struct passage *passage)
{
    const struct vine_procedure_definition *definition = vine_call_definition(passage->call);
    int error = 0;

    for (uint32_t i = 0; error == 0 && i < definition->argument_count; i++) {
        const struct vine_argument *argument = &definition->arguments[i];

        if (argument->kind == VINE_INPUT)
            error = add_input(passage, i, argument->data_type);
        else if (argument->kind == VINE_OUTPUT)
            error = add_output(passage, i, argument->data_type);
    }
    return error;
}

static int open_session(struct passage *passage)
{
    struct passage_state *state = passage->state;

    if (state == NULL || state->session != NULL)
        return 0;

    const int error = vine_session_open(passage->far->pipe, passage->procedure, &state->session);

    if (error == 0) {
        agent_hold_too(passage->far);
        state->far = passage->far;
    }
    return error;
}

static int issue(struct passage *passage)
{
    struct vine_task_options options = {
        .size_bytes = sizeof(options),
        .accelerator = passage->far->accelerator,
        .inputs = passage->inputs,
        .input_count = passage->input_count,
        .outputs = passage->outputs,
        .output_count = passage->output_count,
        .session = passage->state != NULL ? passage->state->session : NULL,
        .session_last = passage->state != NULL && vine_call_is_last(passage->call),
    };

    options.bytes = vine_call_task_bytes(passage->call, &options.bytes_size);
    return vine_task_issue(passage->far->pipe, passage->procedure, &options, &passage->task);
}

static void clear(struct passage *passage)
{
    vine_task_free(passage->task);
    passage->task = NULL;
    while (passage->input_count > 0)
        vine_data_free(passage->inputs[--passage->input_count]);
    while (passage->output_count > 0)
        vine_data_free(passage->outputs[--passage->output_count]);
}

/* Everything that it holds over there is given back before it waits for more: no two wait for each
 * other. */
static int begin(struct passage *passage)
{
    const uint64_t until_ns = human_now_ns() + PATIENCE_NS;

    for (;;) {
        int error = enter(passage, until_ns);
        const bool is_in = error == 0;

        if (error == 0)
            error = open_session(passage);
        if (error == 0)
            error = add_data(passage);
        if (error == 0)
            error = issue(passage);
        if (error == 0)
            return 0;
        clear(passage);
        gate_go(&passage->far->gate, &passage->pass);
        if (error == -EAGAIN || error == -ENOMEM)
            error = -VINE_EQUOTA; /* there is no room */
        if (!is_in || error != -VINE_EQUOTA || human_now_ns() >= until_ns)
            return error;
        (void)poll(NULL, 0, RETRY_MS);
    }
}

/* ---- and back -------------------------------------------------------------------------------- */

static int wait_for_end(const struct passage *passage)
{
    uint64_t until_ns = 0; /* 0: nobody has canceled it */

    for (;;) {
        const int error = vine_task_wait(passage->task, SLICE_NS);

        if (error != -ETIMEDOUT) {
            char reason[VINE_REASON_MAX + 1];

            if (error < 0 && vine_task_reason(passage->task, reason, sizeof(reason)) > 0)
                vine_call_reason(passage->call, "%s", reason);
            return error;
        }
        if (until_ns == 0 && vine_call_is_canceled(passage->call)) {
            until_ns = human_now_ns() + HEED_NS;
            const int canceled = vine_task_cancel(passage->task);
            if (canceled < 0)
                return canceled;
        }
        /* One that does not heed is left to itself: the worker has other things to do. */
        if (until_ns != 0 && human_now_ns() >= until_ns)
            return -VINE_ECANCELED;
    }
}

static int take_output(struct passage *passage, uint32_t argument, struct vine_data *data)
{
    size_t room;
    void *memory = vine_call_output(passage->call, argument, &room);
    const size_t size = (size_t)vine_data_size(data);

    if (size > room)
        return -VINE_EOVERFLOW;

    const int error = size > 0 ? vine_data_read(data, 0, memory, size) : 0;

    return error < 0 ? error : vine_call_output_size(passage->call, argument, size);
}

static int take_results(struct passage *passage)
{
    const struct vine_procedure_definition *definition = vine_call_definition(passage->call);
    unsigned char result[VINE_RESULT_MAX];
    uint32_t output = 0;
    int error = 0;

    for (uint32_t i = 0; error == 0 && i < definition->argument_count; i++)
        if (definition->arguments[i].kind == VINE_OUTPUT)
            error = take_output(passage, i, passage->outputs[output++]);
    if (error < 0)
        return error;

    const size_t size = vine_task_result(passage->task, result, sizeof(result));

    return size > 0 ? vine_call_result(passage->call, result, size) : 0;
}

static int carry(struct passage *passage)
{
    int error = begin(passage);

    if (error == 0) {
        error = wait_for_end(passage);
        if (error == 0)
            error = take_results(passage);
        clear(passage);
        gate_go(&passage->far->gate, &passage->pass);
    }
    if (error == 0)
        return 0;

    /* Of a pipe that is over, that is what there is to say. */
    const int over = agent_check(passage->far);

    return over < 0 ? over : error;
}

/* A far one that is beside us is started anew when it ends, which takes a moment. */
static struct far *await_far(struct agent *agent, struct vine_call *call)
{
    const uint64_t until_ns = human_now_ns() + PATIENCE_NS;
    struct far *far = agent_hold(agent);

    while (far == NULL && agent->is_beside && human_now_ns() < until_ns &&
           !vine_call_is_canceled(call)) {
        (void)poll(NULL, 0, RETRY_MS);
        far = agent_hold(agent);
    }
    return far;
}

int forward_run(struct vine_call *call)
{
    const struct forward *forward = (const struct forward *)vine_call_definition(call);
    struct passage_state *state = vine_call_state(call);
    struct passage passage = {.call = call, .state = state};

    if (state != NULL && state->far != NULL) {
        passage.far = state->far;
        agent_hold_too(passage.far);
    } else {
        passage.far = await_far(forward->agent, call);
    }
    if (passage.far == NULL)
        return -VINE_EPEERLOST;
    passage.procedure = passage.far->procedures[forward->index];

    const int error = passage.procedure != NULL ? carry(&passage) : -VINE_EPROCEDURE;

    agent_let_go(passage.far);
    return error;
}
