/* SPDX-License-Identifier: Apache-2.0 */
#include "own.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "status.h"
#include "utils/tables.h"

static bool look(const char *name, char *ret_path, size_t size)
{
    static const char *const places[] = {"", "../lib/vine/"};
    char command[4096];
    const ssize_t length = readlink("/proc/self/exe", command, sizeof(command) - 1);

    if (length <= 0)
        return false;
    command[length] = '\0';
    char *const slash = strrchr(command, '/');
    slash[1] = '\0';
    for (size_t i = 0; i < VINE_ARRAY_COUNT(places); i++)
        if ((size_t)snprintf(ret_path, size, "%s%s%s", command, places[i], name) < size &&
            access(ret_path, R_OK) == 0)
            return true;
    return false;
}

int own_find(const char *name, char *ret_path, size_t size)
{
    if (look(name, ret_path, size))
        return STATUS_DONE;
    message_error("%s is neither beside this command nor in ../lib/vine from there", name);
    return STATUS_FAILED;
}

bool own_has(const char *name)
{
    char path[4096];

    return look(name, path, sizeof(path));
}

int own_become(const char *name, int argc, char **argv)
{
    char path[4096];
    char **const line = calloc((size_t)argc + 2, sizeof(char *));
    int status = own_find(name, path, sizeof(path));

    if (status == STATUS_DONE && line != NULL) {
        /* What is ignored here would be there. */
        signal(SIGPIPE, SIG_DFL);
        signal(SIGXFSZ, SIG_DFL);
        line[0] = path;
        memcpy(line + 1, argv, (size_t)argc * sizeof(char *));
        execv(path, line);
        message_error("%s: %m", path);
        status = STATUS_FAILED;
    } else if (status == STATUS_DONE) {
        message_error("out of memory");
        status = STATUS_FAILED;
    }
    free(line);
    return status;
}
