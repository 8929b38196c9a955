/* SPDX-License-Identifier: Apache-2.0 */
#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "console.h"

bool modules_parse_line(char *line, char **ret_file, char **ret_parameters)
{
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#')
        return false;

    char *end = line + strcspn(line, " \t");
    char *parameters = end + strspn(end, " \t");
    size_t length = strlen(parameters);

    *end = '\0';
    while (length > 0 && strchr(" \t\r", parameters[length - 1]) != NULL)
        parameters[--length] = '\0';
    *ret_file = line;
    *ret_parameters = parameters;
    return true;
}

static void load(const char *file, const char *parameters)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || (syscall(SYS_finit_module, fd, parameters, 0) != 0 && errno != EEXIST))
        console_say("cannot load %s: %m", file);
    if (fd >= 0)
        close(fd);
}

void modules_load(const char *list)
{
    FILE *file = fopen(list, "re");
    char line[512], *name, *parameters;

    if (file == NULL)
        return;
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (modules_parse_line(line, &name, &parameters))
            load(name, parameters);
    }
    fclose(file);
}
