/* SPDX-License-Identifier: Apache-2.0 */
/* Procedures of the protocol itself: what the appliance offers, and virtual accelerators. They are
 * tasks like any other, so that every kind of link carries them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <vine/error.h>

#include "core/talk/appliance_internal.h"

static const struct vine_argument lookup_arguments[] = {
    {"name", VINE_BYTES, 0, 1, VINE_NAME_MAX},
    {"description", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1u << 20},
};
static const struct vine_argument list_arguments[] = {
    {"list", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1u << 20},
};
static const struct vine_argument page_arguments[] = {
    {"from", VINE_BYTES, 0, 0, sizeof(uint64_t)},
    {"page", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1u << 20},
};
static const struct vine_argument acquire_arguments[] = {
    {"request", VINE_BYTES, 0, sizeof(struct vine_wire_acquire), sizeof(struct vine_wire_acquire)},
};
static const struct vine_argument release_arguments[] = {
    {"accelerator", VINE_BYTES, 0, 2, 2},
};

#define BUILTIN(text, list)                                                                        \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_procedure_definition), .name = (text),                    \
        .arguments = (list), .argument_count = sizeof(list) / sizeof((list)[0]),                   \
    }

static const struct vine_procedure_definition builtins[] = {
    [VINE_WIRE_LOOKUP] = BUILTIN("vine.lookup", lookup_arguments),
    [VINE_WIRE_LIST_PROCEDURES] = BUILTIN("vine.procedures", list_arguments),
    [VINE_WIRE_LIST_ACCELERATORS] = BUILTIN("vine.accelerators", list_arguments),
    [VINE_WIRE_ACQUIRE_ACCELERATOR] = BUILTIN("vine.acquire", acquire_arguments),
    [VINE_WIRE_RELEASE_ACCELERATOR] = BUILTIN("vine.release", release_arguments),
    [VINE_WIRE_LIST_STATISTICS] = BUILTIN("vine.statistics", page_arguments),
    [VINE_WIRE_LIST_PIPES] = BUILTIN("vine.pipes", page_arguments),
    [VINE_WIRE_EXAMINE] = BUILTIN("vine.examine", page_arguments),
};

const struct vine_procedure_definition *vine__builtin_definition(uint16_t procedure)
{
    if (procedure >= sizeof builtins / sizeof builtins[0] || builtins[procedure].name == NULL)
        return NULL;
    return &builtins[procedure];
}

static void describe(const struct vine_appliance *appliance,
                     const struct vine_procedure_definition *definition, uint32_t id,
                     struct vine_wire_description *ret)
{
    const bool has_streams = vine__has_streams(appliance, definition);

    memset(ret, 0, sizeof *ret);
    (void)snprintf(ret->name, sizeof ret->name, "%s", definition->name);
    (void)snprintf(ret->accelerator_type, sizeof ret->accelerator_type, "%s",
                   definition->accelerator_type ? definition->accelerator_type : "cpu");
    (void)snprintf(ret->summary, sizeof ret->summary, "%s",
                   definition->summary ? definition->summary : "");
    ret->id = (uint16_t)id;
    ret->flags = (uint16_t)(definition->flags & (VINE_ARGUMENTS_SHARED | VINE_PROCEDURE_SHORT));
    if ((definition->flags & VINE_ARGUMENTS_COPIED_BY_HANDLER) == VINE_ARGUMENTS_COPIED_BY_HANDLER)
        ret->flags &= (uint16_t)~VINE_ARGUMENTS_SHARED;
    if (definition->state_bytes > 0 || has_streams)
        ret->flags |= VINE_WIRE_HAS_SESSIONS;
    if (has_streams)
        ret->flags |=
            definition->state_bytes > 0 ? VINE_WIRE_HAS_STREAMS_TOO : VINE_WIRE_HAS_STREAMS;
    if ((definition->flags & VINE_PROCEDURE_IDEMPOTENT) != 0)
        ret->flags |= VINE_WIRE_IS_IDEMPOTENT;
    ret->argument_count = definition->argument_count;
    for (uint32_t i = 0; i < definition->argument_count; i++) {
        const struct vine_argument *argument = &definition->arguments[i];

        (void)snprintf(ret->arguments[i].name, sizeof ret->arguments[i].name, "%s",
                       argument->name ? argument->name : "");
        ret->arguments[i].kind = argument->kind;
        ret->arguments[i].data_type = argument->data_type;
        ret->arguments[i].min = argument->min;
        ret->arguments[i].max = argument->max;
    }
}

/* Append a record to the call's only output. */
static int append(struct vine_call *call, const void *record, size_t size)
{
    struct vine__call_output *output = &call->outputs[0];

    if (output->memory == NULL || output->room_bytes - output->size_bytes < size)
        return -VINE_EOVERFLOW;
    memcpy((unsigned char *)output->memory + output->size_bytes, record, size);
    output->size_bytes += size;
    return 0;
}

static int list_procedures(struct vine_call *call, const char *name)
{
    struct vine_appliance *appliance = call->pipe->appliance;
    /* P2 pairs with P1. */
    const uint32_t count = vine__load_acquire_u32(&appliance->common->procedure_count);

    for (uint32_t i = 0; i < count; i++) {
        const struct vine_procedure_definition *definition = vine__procedure_at(appliance, i);
        struct vine_wire_description description;

        if (definition == NULL || (name != NULL && strcmp(name, definition->name) != 0))
            continue;
        describe(appliance, definition, VINE_WIRE_PROCEDURES_FROM + i, &description);

        const int error = append(call, &description, sizeof description);

        if (error || name != NULL)
            return error;
    }
    return name != NULL ? -VINE_EPROCEDURE : 0;
}

static int lookup(struct vine_call *call)
{
    char name[VINE_NAME_MAX + 1] = {0};

    memcpy(name, call->bytes, call->bytes_size);
    return list_procedures(call, name);
}

static int list_accelerators(struct vine_call *call)
{
    const struct vine__common *common = call->pipe->appliance->common;
    const uint32_t workers = vine__load_relaxed_u32(&common->worker_count);
    struct vine_wire_accelerator cpu = {
        .type = "cpu",
        .name = "processors of the appliance",
        .parallelism = workers ? workers : 1,
    };

    for (uint32_t i = 0; i < vine__parts_count(common); i++) {
        const struct vine_appliance *part = vine__part_at(common, i);

        if (part == NULL)
            continue;
        cpu.tasks_queued += (uint32_t)vine__load_relaxed_u64(&part->tasks_taken);
        cpu.tasks_done += vine__load_relaxed_u64(&part->tasks_done);
        cpu.busy_ns += vine__load_relaxed_u64(&part->busy_ns);
    }
    return append(call, &cpu, sizeof cpu);
}

static int acquire(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    struct vine_wire_acquire request;

    memcpy(&request, call->bytes, sizeof request);
    if (memcmp(request.type, "cpu", sizeof "cpu") != 0)
        return -VINE_EACCELERATOR;
    if (request.accelerator >= pipe->appliance->options.accelerators_max)
        return -VINE_EQUOTA;
    if (request.accelerator == 0 || pipe->accelerators[request.accelerator].is_used ||
        request.order > VINE_PARALLEL)
        return -VINE_EARGUMENT;
    pipe->accelerators[request.accelerator].is_used = true;
    pipe->accelerators[request.accelerator].is_ordered = request.order == VINE_ORDERED;
    return 0;
}

static int release(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    uint16_t accelerator;

    memcpy(&accelerator, call->bytes, sizeof accelerator);
    if (accelerator == 0 || accelerator >= pipe->appliance->options.accelerators_max ||
        !pipe->accelerators[accelerator].is_used)
        return -VINE_EACCELERATOR;
    pipe->accelerators[accelerator].is_used = false;
    return 0;
}

int vine__builtin_run(struct vine_call *call, uint16_t procedure)
{
    VINE_ASSERT(call->is_builtin && call->definition != NULL);
    switch (procedure) {
    case VINE_WIRE_LOOKUP:
        return lookup(call);
    case VINE_WIRE_LIST_PROCEDURES:
        return list_procedures(call, NULL);
    case VINE_WIRE_LIST_ACCELERATORS:
        return list_accelerators(call);
    case VINE_WIRE_ACQUIRE_ACCELERATOR:
        return acquire(call);
    case VINE_WIRE_LIST_STATISTICS:
        return vine__builtin_list_statistics(call);
    case VINE_WIRE_LIST_PIPES:
        return vine__builtin_list_pipes(call);
    case VINE_WIRE_EXAMINE:
        return vine__builtin_examine(call);
    default:
        return release(call);
    }
}
