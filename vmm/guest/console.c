/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void console_open(void)
{
    const int fd = open("/dev/console", O_RDWR | O_NOCTTY);

    if (fd < 0)
        return;
    for (int i = 0; i <= 2; i++)
        if (fd != i)
            dup2(fd, i);
    if (fd > 2)
        close(fd);
}

void console_say(const char *format, ...)
{
    static const char name[] = "vine-init: ";
    char line[512];
    const int error = errno; /* for %m, and for the caller */
    va_list arguments;

    memcpy(line, name, sizeof(name));
    errno = error;
    va_start(arguments, format);
    int length = vsnprintf(line + sizeof(name) - 1, sizeof(line) - sizeof(name), format, arguments);
    va_end(arguments);
    if (length < 0)
        length = 0;
    size_t size = sizeof(name) - 1 + (size_t)length;
    if (size > sizeof(line) - 2)
        size = sizeof(line) - 2;
    line[size++] = '\n';
    /* One write, so that the lines of others do not come between. A console that is full or gone
     * must not stop us. */
    if (write(STDERR_FILENO, line, size) < 0) {
    }
    errno = error;
}
