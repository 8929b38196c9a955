/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers the lines of any number of clients, each in a micro-process of its own. A service as a
 * library:
 *
 *     vine serve ./line_numbers.so --listen 127.0.0.1:7010
 */
#include <vine/coroutine.h>

VINE_COROUTINE(line_numbers)
{
    struct {
        size_t line;
        char text[1024];
        ssize_t length;
    } *self;

    vine_begin();
    for (self->line = 1;; self->line++) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            break;
        vine_writef("%zu: %.*s", self->line, (int)self->length, self->text);
        vine_flush();
    }
    vine_end();
}

VINE_SERVICE(line_numbers, .summary = "number lines");
