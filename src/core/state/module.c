/* SPDX-License-Identifier: Apache-2.0 */
/* core/state/module.c - the programs and libraries that have coroutines, and their tables. */

#include "core/state/state.h"
#include "utils/assert.h"
#include "utils/atomic.h"

/* Numbers are bytes in a heap, and 0 is none. */
#define MODULES_MAX 255U

/* Modules come before main or by dlopen, one at a time, and never go: M1 publishes one when it is
 * whole. */
static const struct vine__module *modules[MODULES_MAX + 1];
static uint32_t module_count;

void vine__module_add(struct vine__module *module)
{
    if (module->number != 0)
        return; /* each of its files says so */

    const uint32_t count = vine__load_relaxed_u32(&module_count);

    VINE_ASSERT(count < MODULES_MAX);
    module->number = count + 1;
    modules[count + 1] = module;
    /* M1 (release) pairs with M2 (acquire): a module is whole before its number counts. */
    vine__store_release_u32(&module_count, count + 1);
}

VINE__INSIDE uint32_t vine__module_count(void)
{
    /* M2 (acquire) pairs with M1 (release). */
    return vine__load_acquire_u32(&module_count);
}

VINE__INSIDE const struct vine__module *vine__module_at(uint32_t number)
{
    return number == 0 || number > vine__module_count() ? NULL : modules[number];
}

VINE__INSIDE const struct vine_coroutine_type *vine__type_of(uint32_t module, uint32_t type)
{
    const struct vine__module *const of = vine__module_at(module);

    if (of == NULL || type >= (uint32_t)(of->types_end - of->types))
        return NULL;
    return &of->types[type];
}

VINE__INSIDE const struct vine__point *vine__point_of(uint32_t module, uint32_t state)
{
    const struct vine__module *const of = vine__module_at(module);

    if (of == NULL || state == 0 || state > (uint32_t)(of->points_end - of->points))
        return NULL;
    return &of->points[state - 1];
}
