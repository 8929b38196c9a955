/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "arch/guest/guest.h"

#include "children.h"

#define PROGRAM "/usr/bin/vine"

static char *argv[] = {PROGRAM, "agent", "--watch", NULL};

bool watch_is_told(const char *command_line)
{
    char device[16];

    return vine__guest_option(command_line, VINE_GUEST_STATUS_OPTION, 0, device, sizeof(device)) &&
           device[0] != '\0';
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
