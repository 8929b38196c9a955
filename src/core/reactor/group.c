/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduling groups. Core 0 describes them once, in the mesh; each other core makes its own of that
 * when it first meets the number.
 */
#include "core/reactor/reactor_internal.h"

#include <errno.h>
#include <string.h>

#include "utils/atomic.h"

#define DEFAULT_SHARES 100

void vine__group_init_mesh(struct vine__mesh *mesh)
{
    mesh->groups[0] = (struct vine__group_record){.name = "main", .shares = DEFAULT_SHARES};
    /* R3 pairs with R4. */
    vine__store_release_u32(&mesh->group_count, 1);
}

static void meet(struct vine__reactor *reactor, uint32_t id)
{
    const struct vine__group_record *const record = &reactor->mesh->groups[id];
    struct vine__group *const group = &reactor->groups[id];

    *group = (struct vine__group){
        .weight = 1.0 / record->shares,
        .parent = record->parent,
        .holds = record->holds,
    };
    vine__timers_init_group(reactor, id);
}

struct vine__group *vine__group_find(struct vine__reactor *reactor, uint8_t id)
{
    if (VINE__UNLIKELY(id >= reactor->group_count)) {
        /* R4 pairs with R3. */
        const uint32_t count = vine__load_acquire_u32(&reactor->mesh->group_count);

        VINE_ASSERT(id < count);
        while (reactor->group_count < count)
            meet(reactor, reactor->group_count++);
    }
    return &reactor->groups[id];
}

int vine_group_create(const char *name, uint32_t shares, struct vine_group parent, uint32_t flags,
                      struct vine_group *ret_group)
{
    struct vine__reactor *const reactor = vine__reactor_here();
    struct vine__mesh *const mesh = reactor->mesh;
    const uint32_t id = vine__load_relaxed_u32(&mesh->group_count);

    VINE_ASSERT(reactor->core == 0);
    if (name == NULL || shares == 0 || shares > VINE_SHARES_MAX || parent.id >= id ||
        (flags & ~VINE_GROUP_HOLDS) != 0)
        return -EINVAL;
    /* Below the root are groups and holders; below a holder, groups alone. */
    if (parent.id != 0 && (!mesh->groups[parent.id].holds || flags != 0))
        return -EINVAL;
    if (id == VINE_GROUPS_MAX)
        return -ENOSPC;
    struct vine__group_record *const record = &mesh->groups[id];

    *record = (struct vine__group_record){
        .shares = shares, .parent = parent.id, .holds = (flags & VINE_GROUP_HOLDS) != 0};
    memcpy(record->name, name, strnlen(name, sizeof(record->name) - 1));
    /* R3 pairs with R4: the record before its number. */
    vine__store_release_u32(&mesh->group_count, id + 1);
    ret_group->id = (uint8_t)id;
    return 0;
}

struct vine_group vine_group_current(void)
{
    return (struct vine_group){.id = vine__reactor_here()->group};
}

struct vine_group vine__group_enter(struct vine_group group)
{
    struct vine__reactor *const reactor = vine__reactor_here();
    const struct vine_group before = {.id = reactor->group};

    reactor->group = group.id;
    return before;
}
