/* SPDX-License-Identifier: Apache-2.0 */
/* core/remote/remote.c - which appliances elsewhere may be used. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/remote/remote_internal.h"

/* Written before services start, and read by all cores. NULL: the default. */
static char *addresses[VINE_REMOTES_MAX];
static uint32_t remote_count;

int vine_remote_add(const char *address, struct vine_remote *ret_remote)
{
    char *copy = NULL;

    if (remote_count == VINE_REMOTES_MAX)
        return -ENOSPC;
    if (address != NULL) {
        copy = strdup(address);
        if (copy == NULL)
            return -ENOMEM;
    }
    addresses[remote_count] = copy;
    ret_remote->number = ++remote_count;
    return 0;
}

const char *vine__remote_address(uint32_t number, bool *ret_is_known)
{
    *ret_is_known = number != 0 && number <= remote_count;
    return *ret_is_known ? addresses[number - 1] : NULL;
}
