/* SPDX-License-Identifier: Apache-2.0 */
#include "own.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "status.h"
#include "utils/tables.h"

int own_find(const char *name, char *ret_path, size_t size)
{
    static const char *const places[] = {"", "../lib/vine/"};
    char command[4096];
    const ssize_t length = readlink("/proc/self/exe", command, sizeof(command) - 1);

    if (length > 0) {
        command[length] = '\0';
        char *const slash = strrchr(command, '/');
        slash[1] = '\0';
        for (size_t i = 0; i < VINE_ARRAY_COUNT(places); i++)
            if ((size_t)snprintf(ret_path, size, "%s%s%s", command, places[i], name) < size &&
                access(ret_path, R_OK) == 0)
                return STATUS_DONE;
    }
    message_error("%s is neither beside this command nor in ../lib/vine from there", name);
    return STATUS_FAILED;
}
