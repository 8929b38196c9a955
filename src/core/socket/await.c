/* SPDX-License-Identifier: Apache-2.0 */
/* core/socket/await.c - tasks elsewhere that a coroutine waits for, inside. */

#include <string.h>

#include <vine/await.h>
#include <vine/error.h>

#include "core/socket/socket.h"

VINE__INSIDE void vine__await(struct vine_coroutine *that, struct vine_remote remote,
                              const char *procedure, const struct vine_awaited *awaited)
{
    const size_t length = procedure != NULL ? strnlen(procedure, VINE__PROCEDURE_BYTES) : 0;
    struct vine__awaiting *awaiting;

    if (procedure == NULL)
        vine__misuse(that, "vine_await of nothing");
    if (awaited->scalar_count > VINE__SCALARS_MAX)
        vine__misuse(that, "vine_await with %u scalars: a procedure has %u at most",
                     awaited->scalar_count, VINE__SCALARS_MAX);
    if (vine__is_local(that, awaited->input) || vine__is_local(that, awaited->output))
        vine__misuse(that, "a local variable, which is gone when the coroutine waits");
    that->operand = NULL;
    that->operand_at = 0;
    that->result = 0;
    if (length == VINE__PROCEDURE_BYTES) {
        vine__raise(that, -VINE_EPROCEDURE);
        return;
    }
    awaiting = (void *)vine__beyond_create(that, sizeof(*awaiting));
    if (awaiting == NULL)
        return;
    memcpy(awaiting->procedure, procedure, length + 1);
    awaiting->remote = remote;
    awaiting->awaited = *awaited;
    if (awaited->scalar_count > 0)
        memcpy(awaiting->scalars, awaited->scalars,
               awaited->scalar_count * sizeof(awaiting->scalars[0]));
    that->operand = awaiting;
}

VINE__INSIDE bool vine__awaited(struct vine_coroutine *that)
{
    if (that->operand == NULL || that->operand_at++ > 0)
        return true;
    vine__ask(that, VINE__ASK_AWAIT, 0, (uintptr_t)that->operand, NULL);
    return false;
}
