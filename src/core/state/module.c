/* SPDX-License-Identifier: Apache-2.0 */
/* core/state/module.c - the programs and libraries that have coroutines, and their tables. */

#include "core/state/state.h"
#include "utils/assert.h"
#include "utils/atomic.h"

/* Numbers are bytes in a heap, and 0 is none. */
#define MODULES_MAX 255U

/* Modules come before main or by dlopen, and go by dlclose or at the end of the process, one at a
 * time: M1 publishes one when it is whole. Who unloads a library has seen to it that no heap has
 * its number, as of one whose procedures were refused; then another one gets it. */
static const struct vine__module *modules[MODULES_MAX + 1]; /* atomic; NULL: none */
static uint32_t module_count;                               /* the greatest number that there was */

static void publish(uint32_t number, const struct vine__module *module)
{
    /* M1 (release) pairs with M2 (acquire): a module is whole before anybody finds it. */
    vine__store_release_pointer((void **)(uintptr_t)&modules[number], (void *)(uintptr_t)module);
}

void vine__module_add(struct vine__module *module)
{
    const uint32_t count = vine__load_relaxed_u32(&module_count);
    uint32_t number = 1;

    if (module->number != 0)
        return; /* each of its files says so */
    while (number <= count && modules[number] != NULL)
        number++;
    VINE_ASSERT(number <= MODULES_MAX);
    module->number = number;
    publish(number, module);
    if (number > count)
        /* M3 (release) pairs with M4 (acquire): nothing but the bound of a walk. */
        vine__store_release_u32(&module_count, number);
}

void vine__module_drop(struct vine__module *module)
{
    if (module->number == 0)
        return;
    VINE_ASSERT(modules[module->number] == module);
    publish(module->number, NULL);
    module->number = 0;
}

VINE__INSIDE uint32_t vine__module_count(void)
{
    /* M4 (acquire) pairs with M3 (release). */
    return vine__load_acquire_u32(&module_count);
}

VINE__INSIDE const struct vine__module *vine__module_at(uint32_t number)
{
    /* M2 (acquire) pairs with M1 (release). */
    return number > MODULES_MAX
               ? NULL
               : vine__load_acquire_pointer((void *const *)(uintptr_t)&modules[number]);
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
