/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "guest_console.h"
#include "json.h"
#include "message.h"

/* A line that was drawn over is progress: of no use in a record, and the last one on a terminal. */
static void draw_over(struct guest_console *console)
{
    static const char erase[] = "\033[K";
    char text[256];

    console->line[console->size] = '\0';
    if (console->size >= sizeof(erase) - 1 &&
        strcmp(console->line + console->size - (sizeof(erase) - 1), erase) == 0)
        console->line[console->size - (sizeof(erase) - 1)] = '\0';
    console->size = 0;
    if (console->json || console->is_attached || console->is_hidden || console->line[0] == '\0')
        return;
    snprintf(text, sizeof(text), "%s | %s", console->name, message_escape(console->line));
    message_progress_line(console->index, text);
}

/* A guest may say anything: what is not printable is no command to the terminal. */
static void print_line(struct guest_console *console)
{
    static const char erase[] = "\033[K";
    const int fd = fileno(stdout);
    const char *text = console->line;

    console->line[console->size] = '\0';
    console->size = 0;
    /* What was drawn, and ends by erasing the rest of its line, is no part of what follows it. */
    for (const char *at = text; (at = strstr(at, erase)) != NULL; text = at)
        at += sizeof(erase) - 1;
    message_progress_line(console->index, "");
    if (console->log != NULL) {
        fprintf(console->log, "%s | %s\n", console->name, message_escape(text));
        fflush(console->log);
    }
    if (console->is_attached || console->is_hidden)
        return;
    if (console->json) {
        json_t *object = json_object();

        json_object_set_new(object, "event", json_string("line"));
        json_set_name(object, "machine", console->name);
        json_set_name(object, "text", text);
        (void)json_print_line(object);
        return;
    }
    if (console->is_named)
        printf("%s%s |%s ", message_colour_of(fd, COLOUR_DIM), console->name,
               message_colour_of(fd, COLOUR_PLAIN));
    printf("%s\n", message_escape(text));
    fflush(stdout);
}

bool guest_console_read(struct guest_console *console, int fd)
{
    char bytes[4096];
    const ssize_t got = read(fd, bytes, sizeof(bytes));

    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    if (console->is_attached) {
        (void)fwrite(bytes, 1, (size_t)got, stdout);
        fflush(stdout);
    }

    for (ssize_t i = 0; i < got; i++) {
        /* Many are sent where one is meant. */
        if (console->is_returned && bytes[i] != '\n' && bytes[i] != '\r')
            draw_over(console);
        if (bytes[i] == '\r') {
            console->is_returned = true;
            continue;
        }
        console->is_returned = false;
        if (bytes[i] == '\n' || console->size == sizeof(console->line) - 1)
            print_line(console);
        if (bytes[i] != '\n' && bytes[i] != '\0')
            console->line[console->size++] = bytes[i];
    }
    return true;
}

void guest_console_end(struct guest_console *console)
{
    if (console->size > 0)
        print_line(console);
}
