/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_console.h - what a machine says, line by line on standard output.
 */
#ifndef VINE_TOOLS_GUEST_CONSOLE_H
#define VINE_TOOLS_GUEST_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

#define GUEST_CONSOLE_LINE 4096 /* longer ones are cut into several */

struct guest_console {
    const char *name;
    bool is_named; /* before each line */
    bool json;
    bool is_returned; /* to the beginning of its line, which is what was drawn there so far */
    size_t size;
    char line[GUEST_CONSOLE_LINE];
};

void guest_console_init(struct guest_console *console, const char *name, bool is_named, bool json);

/* Read what is there, and print the lines that are whole. */
void guest_console_read(struct guest_console *console, int fd);

/* It says no more: print what is there of its last line. */
void guest_console_end(struct guest_console *console);

#endif
