/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "guest_console.h"
#include "json.h"
#include "message.h"

void guest_console_init(struct guest_console *console, const char *name, bool is_named, bool json)
{
    *console = (struct guest_console){.name = name, .is_named = is_named, .json = json};
}

/* A guest may say anything: what is not printable is no command to the terminal. */
static void print_line(struct guest_console *console)
{
    const int fd = fileno(stdout);

    while (console->size > 0 && console->line[console->size - 1] == '\r')
        console->size--;
    console->line[console->size] = '\0';
    console->size = 0;
    if (console->json) {
        json_t *object = json_object();

        json_object_set_new(object, "event", json_string("line"));
        json_set_name(object, "machine", console->name);
        json_set_name(object, "text", console->line);
        (void)json_print_line(object);
        return;
    }
    if (console->is_named)
        printf("%s%s |%s ", message_colour_of(fd, COLOUR_DIM), console->name,
               message_colour_of(fd, COLOUR_PLAIN));
    printf("%s\n", message_escape(console->line));
    fflush(stdout);
}

void guest_console_read(struct guest_console *console, int fd)
{
    char bytes[4096];
    const ssize_t got = read(fd, bytes, sizeof(bytes));

    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i] == '\n' || console->size == sizeof(console->line) - 1)
            print_line(console);
        if (bytes[i] != '\n' && bytes[i] != '\0')
            console->line[console->size++] = bytes[i];
    }
}

void guest_console_end(struct guest_console *console)
{
    if (console->size > 0)
        print_line(console);
}
