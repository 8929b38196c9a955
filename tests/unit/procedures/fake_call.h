/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/procedures/fake_call.h - the interface of struct vine_call over plain buffers, so
 * that a handler can be tested without a pipe. Included once by a test program: it holds the
 * definitions.
 *
 * It checks what an appliance checks before a handler runs, and stands in its place for the rest:
 * outputs have exactly the room that was stated, on the heap, for the sanitizers to watch; so have
 * states, at no better alignment than malloc's.
 */
#ifndef VINE_TESTS_FAKE_CALL_H
#define VINE_TESTS_FAKE_CALL_H

#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/procedure.h>

#include "utils/assert.h"

struct fake_session {
    const struct vine_procedure_definition *definition;
    void *state;
    int64_t charged;
    int64_t charge_max; /* what the quota leaves */
};

struct vine_call {
    const struct vine_procedure_definition *definition;
    uint64_t scalar;
    bool has_scalar;
    const void *input;
    size_t input_size;
    uint8_t *output;
    size_t room;
    size_t output_size;
    uint8_t result[VINE_RESULT_MAX];
    size_t result_size;
    struct fake_session *session; /* NULL: none */
    bool is_last;
    uint32_t looks_until_cancel; /* 0: never canceled */
};

static const struct vine_argument *fake_argument(const struct vine_call *call, uint32_t index,
                                                 uint32_t kind)
{
    VINE_ASSERT(index < call->definition->argument_count);
    VINE_ASSERT(call->definition->arguments[index].kind == kind);
    return &call->definition->arguments[index];
}

uint64_t vine_call_scalar(const struct vine_call *call, uint32_t argument, uint64_t otherwise)
{
    const struct vine_argument *bounds = fake_argument(call, argument, VINE_SCALAR);

    if (!call->has_scalar)
        return otherwise;
    VINE_ASSERT(call->scalar >= bounds->min && call->scalar <= bounds->max);
    return call->scalar;
}

const void *vine_call_bytes(const struct vine_call *call, uint32_t argument, size_t *ret_size)
{
    const struct vine_argument *bounds = fake_argument(call, argument, VINE_INPUT);

    VINE_ASSERT(call->input_size >= bounds->min && call->input_size <= bounds->max);
    *ret_size = call->input_size;
    return call->input;
}

void *vine_call_output(struct vine_call *call, uint32_t argument, size_t *ret_room)
{
    const struct vine_argument *bounds = fake_argument(call, argument, VINE_OUTPUT);

    VINE_ASSERT(call->room >= bounds->min && call->room <= bounds->max);
    *ret_room = call->room;
    return call->output;
}

int vine_call_output_size(struct vine_call *call, uint32_t argument, size_t size)
{
    (void)fake_argument(call, argument, VINE_OUTPUT);
    if (size > call->room)
        return -VINE_EOVERFLOW;
    call->output_size = size;
    return 0;
}

int vine_call_result(struct vine_call *call, const void *bytes, size_t size)
{
    if (size > sizeof(call->result))
        return -VINE_EOVERFLOW;
    memcpy(call->result, bytes, size);
    call->result_size = size;
    return 0;
}

void *vine_call_state(const struct vine_call *call)
{
    return call->session ? call->session->state : NULL;
}

bool vine_call_is_last(const struct vine_call *call)
{
    return call->is_last;
}

void vine_call_reason(struct vine_call *call, const char *format, ...)
{
    (void)call, (void)format;
}

bool vine_call_is_canceled(const struct vine_call *call)
{
    struct vine_call *counted = (struct vine_call *)(uintptr_t)call;

    if (counted->looks_until_cancel == 0)
        return false;
    if (counted->looks_until_cancel > 1) {
        counted->looks_until_cancel--;
        return false;
    }
    return true;
}

int vine_call_charge(struct vine_call *call, int64_t bytes)
{
    VINE_ASSERT(call->session);
    if (bytes > 0 && call->session->charged + bytes > call->session->charge_max)
        return -VINE_EQUOTA;
    call->session->charged += bytes;
    VINE_ASSERT(call->session->charged >= 0);
    return 0;
}

/* ---- what tests use -------------------------------------------------------------------------- */

static inline int fake_session_begin(struct fake_session *session,
                                     const struct vine_procedure_definition *definition,
                                     int64_t charge_max)
{
    VINE_ASSERT(definition->state_bytes > 0);
    *session = (struct fake_session){.definition = definition, .charge_max = charge_max};
    session->state = calloc(1, definition->state_bytes);
    VINE_ASSERT(session->state);
    return definition->begin ? definition->begin(session->state) : 0;
}

static inline void fake_session_end(struct fake_session *session)
{
    if (session->definition->end)
        session->definition->end(session->state);
    free(session->state);
    session->state = NULL;
}

/* A call with a copy of `input`, as an appliance would hold it, and `room` bytes for an output. */
static inline void fake_call_init(struct vine_call *call,
                                  const struct vine_procedure_definition *definition,
                                  const void *input, size_t size, size_t room)
{
    void *copy = malloc(size > 0 ? size : 1);

    *call = (struct vine_call){.definition = definition, .input_size = size, .room = room};
    VINE_ASSERT(copy);
    if (size > 0)
        memcpy(copy, input, size);
    call->input = copy;
    call->output = room > 0 ? malloc(room) : NULL; /* as an appliance does */
    VINE_ASSERT(call->output || room == 0);
}

static inline void fake_call_fini(struct vine_call *call)
{
    free((void *)(uintptr_t)call->input);
    free(call->output);
}

/* Run without a session. */
static inline int fake_call_run(struct vine_call *call)
{
    return call->definition->run(call);
}

/* Run as a task of a session. */
static inline int fake_call_run_in(struct vine_call *call, struct fake_session *session,
                                   bool is_last)
{
    call->session = session;
    call->is_last = is_last;
    return call->definition->run(call);
}

#endif
