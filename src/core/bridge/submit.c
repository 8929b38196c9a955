/* SPDX-License-Identifier: Apache-2.0 */
/* The side of a bridge that submits. */
#include <errno.h>

#include "core/bridge/bridge_internal.h"

/* Returns NULL if there is no place. */
static struct vine__op *add(struct vine__bridge *bridge,
                            const struct vine_bridge_operation *operation,
                            struct vine_operation_id *ret_id)
{
    struct vine__op *added = vine__op_take(&bridge->cache);
    struct vine__pending *pending = (struct vine__pending *)(void *)added;
    void *callback = NULL;

    if (added == NULL)
        return NULL;
    memcpy(&callback, &operation->callback, sizeof callback);
    vine__store_relaxed_pointer(&pending->callback, callback);
    vine__store_relaxed_pointer(&pending->context, operation->context);
    vine__store_relaxed_u64(&pending->deadline_ns,
                            operation->deadline_ns != 0 ? operation->deadline_ns : VINE_FOREVER);
    ret_id->value = vine__op_id(added) | (uint64_t)operation->kind << VINE__BRIDGE_KIND_SHIFT;
    vine__bridge_count(&bridge->submitted);
    return added;
}

int vine_bridge_submit(struct vine_bridge_submit *handle, void *wrapped, size_t size,
                       const struct vine_bridge_operation *operation,
                       struct vine_operation_id *ret_id)
{
    struct vine__bridge *bridge = handle->bridge;
    struct vine_operation_id ignored = {0};
    struct vine_operation_id before;
    struct vine__op *added;
    uint64_t word = 0;
    bool is_undone;
    int error = vine__bridge_over(bridge);

    if (error)
        return error;
    if (ret_id == NULL)
        ret_id = &ignored;
    before = *ret_id;
    vine__bridge_enter(bridge);
    added = add(bridge, operation, ret_id);
    if (added != NULL) {
        memcpy(wrapped, ret_id, sizeof *ret_id);
        word = vine__op_register(added, operation->kind);
    }
    vine__bridge_leave(bridge);
    if (added == NULL)
        return -EAGAIN;
    if (operation->deadline_ns != 0)
        vine__bridge_lower_deadline(bridge, operation->deadline_ns);
    error = vine_sender_send(&handle->out, wrapped, size);
    if (error == 0)
        return 0;
    vine__bridge_enter(bridge);
    is_undone = vine__op_retract(&bridge->cache, added, word);
    if (is_undone)
        vine__store_relaxed_u64(&bridge->submitted, vine__load_relaxed_u64(&bridge->submitted) - 1);
    vine__bridge_leave(bridge);
    if (!is_undone)
        return 0; /* it has ended all the same, and its callback knows */
    *ret_id = before;
    return error;
}

int vine_bridge_abandon(struct vine_bridge_submit *handle, struct vine_operation_id id)
{
    struct vine__bridge *bridge = handle->bridge;
    const uint64_t word =
        vine__op_word((uint32_t)(id.value >> 32), (uint8_t)(id.value >> VINE__BRIDGE_KIND_SHIFT),
                      VINE__OP_PENDING);
    bool is_ours;

    vine__bridge_enter(bridge);

    struct vine__op *operation = vine__op_find(&bridge->cache, id.value & ~VINE__BRIDGE_KIND_MASK);

    is_ours = operation != NULL && vine__op_abandon(operation, word);
    if (is_ours)
        vine__bridge_count(&bridge->abandoned);
    vine__bridge_leave(bridge);
    return is_ours ? 0 : -EALREADY;
}
