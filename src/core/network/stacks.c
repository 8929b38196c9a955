/* SPDX-License-Identifier: Apache-2.0 */
/* Which stacks there are, and which one is used: one in a process. */
#include "core/network/network.h"

#include <errno.h>
#include <string.h>

#include "core/network/network_internal.h"
#include "utils/tables.h"

static const struct vine__network_stack *const stacks[] = {&vine__posix_stack};

/* Written before any core is there, and only read by them. */
static const struct vine__network_stack *chosen = &vine__posix_stack;

int vine__network_choose_stack(const char *name)
{
    for (size_t i = 0; i < VINE_ARRAY_COUNT(stacks); i++) {
        if (strcmp(stacks[i]->name, name) == 0) {
            chosen = stacks[i];
            return 0;
        }
    }
    return -ENOENT;
}

const char *vine__network_stack_text(void)
{
    return chosen->text;
}

const struct vine__network_stack *vine__network_stack(void)
{
    return chosen;
}
