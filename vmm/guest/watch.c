/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "children.h"

#define OPTION  "vine.status="
#define PROGRAM "/usr/bin/vine"

static char *argv[] = {PROGRAM, "agent", "--watch", NULL};

bool watch_is_told(const char *command_line)
{
    while (*command_line != '\0') {
        command_line += strspn(command_line, " \n");
        const size_t length = strcspn(command_line, " \n");

        if (length > sizeof(OPTION) - 1 && strncmp(command_line, OPTION, sizeof(OPTION) - 1) == 0)
            return true;
        command_line += length;
    }
    return false;
}

void watch_start(const struct configuration *configuration)
{
    char line[4096] = "";
    const int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    const ssize_t length = fd >= 0 ? read(fd, line, sizeof(line) - 1) : -1;
    bool wanted = length > 0 && watch_is_told(line) && access(PROGRAM, X_OK) == 0;

    if (fd >= 0)
        close(fd);
    for (size_t i = 0; i < configuration->line_count; i++)
        if (configuration->lines[i].kind == LINE_WATCH)
            wanted = wanted && strcmp(configuration->lines[i].words[0], "yes") == 0;
    if (wanted)
        children_start("watch", argv, CHILD_KEEP);
}
