/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the appliance offers: procedures and accelerators, asked for by tasks of its own procedures.
 *
 * Answers are results like any other: copied once into private memory, then checked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "core/talk/message.h"
#include "core/talk/pipe_internal.h"

#define LIST_BYTES     (64u << 10) /* tried first */
#define LIST_BYTES_MAX (1u << 20)  /* what the protocol takes */
#define KNOWN_MAX      4096u       /* an appliance that thinks of new names has no end */

#define ROOM                                                                                       \
    {                                                                                              \
        .kind = VINE_OUTPUT, .data_type = VINE_TYPE_BYTES, .max = LIST_BYTES_MAX                   \
    }

struct vine_procedure vine__builtin_lookup = {
    .id = VINE_WIRE_LOOKUP,
    .info = {.is_idempotent = true,
             .argument_count = 2,
             .arguments = {{.kind = VINE_BYTES, .min = 1, .max = VINE_NAME_MAX}, ROOM}},
    .output_count = 1,
    .needs_bytes = true,
    .outputs = {&vine__builtin_lookup.info.arguments[1]},
};
struct vine_procedure vine__builtin_list_procedures = {
    .id = VINE_WIRE_LIST_PROCEDURES,
    .info = {.is_idempotent = true, .argument_count = 1, .arguments = {ROOM}},
    .output_count = 1,
    .outputs = {&vine__builtin_list_procedures.info.arguments[0]},
};
struct vine_procedure vine__builtin_list_accelerators = {
    .id = VINE_WIRE_LIST_ACCELERATORS,
    .info = {.is_idempotent = true, .argument_count = 1, .arguments = {ROOM}},
    .output_count = 1,
    .outputs = {&vine__builtin_list_accelerators.info.arguments[0]},
};
struct vine_procedure vine__builtin_acquire = {
    .id = VINE_WIRE_ACQUIRE_ACCELERATOR,
    .info = {.is_idempotent = true,
             .argument_count = 1,
             .arguments = {{.kind = VINE_BYTES, .max = sizeof(struct vine_wire_acquire)}}},
};
struct vine_procedure vine__builtin_release = {
    .id = VINE_WIRE_RELEASE_ACCELERATOR,
    .info = {.is_idempotent = true,
             .argument_count = 1,
             .arguments = {{.kind = VINE_BYTES, .max = sizeof(uint16_t)}}},
};

/* A private copy of what the appliance answered. */
struct answer {
    unsigned char *bytes; /* for who asked to free */
    size_t size;
};

static int ask(struct vine_pipe *pipe, struct vine_procedure *question, const char *bytes,
               uint64_t room, struct answer *ret_answer)
{
    struct vine_data *data = NULL;

    VINE_ASSERT(question->output_count == 1);

    int error = vine_data_expect(pipe, VINE_TYPE_BYTES, room, &data);

    if (error)
        return error;

    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .bytes = bytes,
        .bytes_size = bytes != NULL ? strlen(bytes) : 0,
        .outputs = &data,
        .output_count = 1,
    };

    error = vine__task_run_builtin(pipe, question, &options);
    if (!error) {
        const size_t size = (size_t)vine_data_size(data);
        const struct answer answer = {malloc(size + 1), size};

        error = answer.bytes == NULL ? -ENOMEM : vine_data_read(data, 0, answer.bytes, size);
        if (error)
            free(answer.bytes);
        else
            *ret_answer = answer;
    }
    vine_data_free(data);
    return error;
}

static int ask_for_list(struct vine_pipe *pipe, struct vine_procedure *question,
                        struct answer *ret_answer)
{
    uint64_t room = LIST_BYTES;
    int error;

    do {
        error = ask(pipe, question, NULL, room, ret_answer);
        room *= 4;
    } while (error == -VINE_EOVERFLOW && room <= LIST_BYTES_MAX);
    return error;
}

static bool is_argument(const struct vine_argument *argument)
{
    if (argument->kind < VINE_SCALAR || argument->kind > VINE_RESULT)
        return false;
    return argument->kind == VINE_INPUT || argument->kind == VINE_OUTPUT
               ? argument->data_type != 0 && argument->data_type <= VINE_WIRE_TYPE_MASK
               : true;
}

/* Fill a procedure in from a private copy of its description. Returns 0 or -VINE_EPROTOCOL. */
int vine__procedure_understand(struct vine_wire_description *wire, struct vine_procedure *procedure)
{
    struct vine_procedure_info *info = &procedure->info;

    if (wire->id < VINE_WIRE_PROCEDURES_FROM || wire->argument_count > VINE_ARGUMENTS_MAX ||
        memchr(wire->name, 0, sizeof wire->name) == NULL || wire->name[0] == 0)
        return -VINE_EPROTOCOL;
    vine__talk_tame(wire->name, sizeof wire->name);
    vine__talk_tame(wire->accelerator_type, sizeof wire->accelerator_type);
    vine__talk_tame(wire->summary, sizeof wire->summary);
    memcpy(info->name, wire->name, sizeof info->name);
    memcpy(info->accelerator_type, wire->accelerator_type, sizeof info->accelerator_type);
    memcpy(info->summary, wire->summary, sizeof info->summary);
    info->copies_arguments = (wire->flags & 1) == 0;
    info->has_sessions = (wire->flags & VINE_WIRE_HAS_SESSIONS) != 0;
    info->has_streams_only = (wire->flags & VINE_WIRE_HAS_STREAMS) != 0;
    info->has_streams = info->has_streams_only || (wire->flags & VINE_WIRE_HAS_STREAMS_TOO) != 0;
    info->is_idempotent = (wire->flags & VINE_WIRE_IS_IDEMPOTENT) != 0;
    info->argument_count = wire->argument_count;
    procedure->id = wire->id;
    for (uint32_t i = 0; i < wire->argument_count; i++) {
        struct vine_argument *argument = &info->arguments[i];

        vine__talk_tame(wire->arguments[i].name, sizeof wire->arguments[i].name);
        memcpy(procedure->names[i], wire->arguments[i].name, sizeof procedure->names[i]);
        *argument = (struct vine_argument){
            .name = procedure->names[i],
            .kind = wire->arguments[i].kind,
            .data_type = wire->arguments[i].data_type,
            .min = wire->arguments[i].min,
            .max = wire->arguments[i].max,
        };
        if (!is_argument(argument))
            return -VINE_EPROTOCOL;
        if (argument->kind == VINE_INPUT)
            procedure->inputs[procedure->input_count++] = argument;
        else if (argument->kind == VINE_OUTPUT)
            procedure->outputs[procedure->output_count++] = argument;
        else if (argument->kind == VINE_BYTES && argument->min > 0)
            procedure->needs_bytes = true;
    }
    return 0;
}

static struct vine_procedure *find(struct vine_pipe *pipe, const char *name)
{
    for (struct vine_procedure *known = pipe->procedures; known != NULL; known = known->next)
        if (strcmp(known->info.name, name) == 0)
            return known;
    return NULL;
}

/* Remember the procedure of one description; another thread may have been faster. Returns 0;
 * -VINE_EPROTOCOL; -VINE_EQUOTA  there are too many. */
static int learn(struct vine_pipe *pipe, const unsigned char *at,
                 struct vine_procedure **ret_procedure)
{
    struct vine_procedure *procedure = calloc(1, sizeof *procedure);
    struct vine_wire_description wire;

    if (procedure == NULL)
        return -ENOMEM;
    memcpy(&wire, at, sizeof wire);

    const int error = vine__procedure_understand(&wire, procedure);

    if (error) {
        free(procedure);
        return error;
    }
    pthread_mutex_lock(&pipe->lock);

    struct vine_procedure *known = find(pipe, procedure->info.name);

    if (known == NULL && pipe->procedure_count < KNOWN_MAX) {
        procedure->next = pipe->procedures;
        pipe->procedures = procedure;
        pipe->procedure_count++;
        known = procedure;
    }
    pthread_mutex_unlock(&pipe->lock);
    if (known != procedure)
        free(procedure);
    *ret_procedure = known;
    return known != NULL ? 0 : -VINE_EQUOTA;
}

int vine_procedure_get(struct vine_pipe *pipe, const char *name,
                       struct vine_procedure **ret_procedure)
{
    const size_t length = strlen(name);
    struct answer answer;
    int error = vine__pipe_ready(pipe);

    if (error)
        return error;
    if (length == 0 || length > VINE_NAME_MAX)
        return -VINE_EPROCEDURE;
    pthread_mutex_lock(&pipe->lock);

    struct vine_procedure *known = find(pipe, name);

    pthread_mutex_unlock(&pipe->lock);
    if (known != NULL) {
        *ret_procedure = known;
        return 0;
    }
    error = ask(pipe, &vine__builtin_lookup, name, sizeof(struct vine_wire_description), &answer);
    if (error)
        return error;
    error = answer.size != sizeof(struct vine_wire_description) ? -VINE_EPROTOCOL
                                                                : learn(pipe, answer.bytes, &known);
    free(answer.bytes);
    if (!error && strcmp(known->info.name, name) != 0)
        error = -VINE_EPROTOCOL;
    if (!error)
        *ret_procedure = known;
    return error;
}

const struct vine_procedure_info *vine_procedure_describe(const struct vine_procedure *procedure)
{
    return &procedure->info;
}

int vine_procedure_list(struct vine_pipe *pipe, struct vine_procedure **procedures, size_t count)
{
    struct answer answer;
    int error = ask_for_list(pipe, &vine__builtin_list_procedures, &answer);

    if (error)
        return error;

    const size_t found = answer.size / sizeof(struct vine_wire_description);

    if (answer.size % sizeof(struct vine_wire_description) != 0)
        error = -VINE_EPROTOCOL;
    for (size_t i = 0; i < found && !error; i++) {
        struct vine_procedure *procedure = NULL;

        error = learn(pipe, answer.bytes + i * sizeof(struct vine_wire_description), &procedure);
        if (!error && i < count)
            procedures[i] = procedure;
    }
    free(answer.bytes);
    return error ? error : (int)found;
}

int vine_accelerator_list(struct vine_pipe *pipe, const char *type,
                          struct vine_accelerator_info *infos, size_t count)
{
    struct answer answer;
    size_t found = 0;
    const int error = ask_for_list(pipe, &vine__builtin_list_accelerators, &answer);

    if (error)
        return error;
    for (size_t at = 0; answer.size - at >= sizeof(struct vine_wire_accelerator);
         at += sizeof(struct vine_wire_accelerator)) {
        struct vine_wire_accelerator wire;

        memcpy(&wire, answer.bytes + at, sizeof wire);
        vine__talk_tame(wire.type, sizeof wire.type);
        vine__talk_tame(wire.name, sizeof wire.name);
        if (type != NULL && strcmp(type, wire.type) != 0)
            continue;
        if (found < count) {
            infos[found] = (struct vine_accelerator_info){
                .parallelism = wire.parallelism,
                .tasks_queued = wire.tasks_queued,
                .tasks_done = wire.tasks_done,
                .busy_ns = wire.busy_ns,
            };
            memcpy(infos[found].type, wire.type, sizeof infos[found].type);
            memcpy(infos[found].name, wire.name, sizeof infos[found].name);
        }
        found++;
    }
    free(answer.bytes);
    return (int)found;
}
