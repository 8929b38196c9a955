/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_console.h - what a machine says, line by line on standard output.
 */
#ifndef VINE_TOOLS_GUEST_CONSOLE_H
#define VINE_TOOLS_GUEST_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define GUEST_CONSOLE_LINE 4096 /* longer ones are cut into several */

struct guest_console {
    const char *name;
    unsigned index; /* of its machine, and of its line at the bottom of a terminal */
    FILE *log;      /* NULL, or what has its lines too; the caller's */
    bool is_named;  /* before each line */
    bool json;
    bool is_attached; /* its bytes go to standard output as they are; lines go to the log */
    bool is_hidden;   /* behind one that is: for the log alone */
    bool is_over;     /* nothing comes any more */
    bool is_returned; /* to the beginning of its line, which is what was drawn there so far */
    size_t size;
    char line[GUEST_CONSOLE_LINE];
};

/* Read what is there, and print the lines that are whole. Returns false at its end: QEMU has closed
 * it, and more will not come. */
bool guest_console_read(struct guest_console *console, int fd);

/* It says no more: print what is there of its last line. */
void guest_console_end(struct guest_console *console);

#endif
