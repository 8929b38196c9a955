/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipeline of coroutines in each client's micro-process: trim | number | shout, joined like the
 * commands of a shell. None of them knows that the others are there. A service as a library:
 *
 *     vine serve ./pipeline.so --listen 127.0.0.1:7011
 */
#include <vine/coroutine.h>

#define TEXT_BYTES 1024

/* Lines without blanks at their end; empty ones are left out. */
VINE_COROUTINE(trim)
{
    struct {
        char text[TEXT_BYTES];
        ssize_t length;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            break;
        while (self->length > 0 && (unsigned char)self->text[self->length - 1] <= ' ')
            self->length--;
        if (self->length > 0)
            vine_writef("%.*s\n", (int)self->length, self->text);
    }
    vine_end();
}

VINE_COROUTINE(number)
{
    struct {
        size_t line;
        char text[TEXT_BYTES];
        ssize_t length;
    } *self;

    vine_begin();
    for (self->line = 1;; self->line++) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            break;
        vine_writef("%zu: %.*s", self->line, (int)self->length, self->text);
    }
    vine_end();
}

VINE_COROUTINE(shout)
{
    struct {
        char bytes[256];
        ssize_t length;
    } *self;

    vine_begin();
    for (;;) {
        vine_read(self->length, self->bytes, sizeof self->bytes);
        if (self->length == 0)
            break;
        for (ssize_t i = 0; i < self->length; i++)
            if (self->bytes[i] >= 'a' && self->bytes[i] <= 'z')
                self->bytes[i] = (char)(self->bytes[i] - 'a' + 'A');
        vine_write(self->bytes, (size_t)self->length);
    }
    vine_end();
}

VINE_COROUTINE(pipeline)
{
    struct {
        struct vine_socket *trimmed, *numbered;
        struct vine_coroutine *trim, *number, *shout;
    } *self;

    vine_begin();
    vine_pipe(self->trimmed);
    vine_pipe(self->numbered);
    vine_child_on(trim, NULL, that->socket, self->trimmed, self->trim);
    vine_child_on(number, NULL, self->trimmed, self->numbered, self->number);
    vine_child_on(shout, NULL, self->numbered, that->socket, self->shout);
    vine_join(self->shout);
    vine_end();
}

VINE_SERVICE(pipeline, .summary = "trim | number | shout");
