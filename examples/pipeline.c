/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipeline of coroutines in each client's micro-process: trim | number | shout, joined like the
 * commands of a shell. None of them knows that the others are there.
 *
 *     pipeline                              at 127.0.0.1:7011
 *     pipeline --listen=unix:./lines.sock --smp=2
 */
#include <vine/coroutine.h>
#include <vine/runtime.h>

#include <stdio.h>

#define TEXT_BYTES 1024

static const char *where;
static struct vine_running *running;

/* Lines without blanks at their end; empty ones are left out. */
VINE_COROUTINE(trim)
{
    struct {
        char text[TEXT_BYTES];
        ssize_t length;
    } * self;

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
    } * self;

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
    } * self;

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
    } * self;

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

static int begin(int argc, char **argv)
{
    const struct vine_service_options options = {.size_bytes = sizeof(options)};
    char text[VINE_ADDRESS_TEXT_BYTES];
    struct vine_address address;
    int error = vine_address_parse(where, &address);

    (void)argc;
    (void)argv;
    if (error == 0)
        error = vine_service_start(&vine_service_pipeline, &address, &options, &running);
    if (error != 0) {
        fprintf(stderr, "pipeline: %s: %s\n", where, vine_error_text(error));
        return 1;
    }
    vine_address_print(vine_service_address(running), text);
    printf("listening at %s on %u cores, isolation %s\n", text, vine_core_count(),
           vine_isolation_name());
    fflush(stdout);
    return VINE_MAIN_GOES_ON;
}

int main(int argc, char **argv)
{
    const struct vine_option own[] = {{
        .name = "listen",
        .kind = VINE_OPTION_TEXT,
        .value = &where,
        .shown = "ADDRESS",
        .fallback = "127.0.0.1:7011",
        .help = "where to listen: HOST:PORT, [HOST]:PORT, unix:PATH or unix:@NAME",
    }};
    const struct vine_options options = {
        .size_bytes = sizeof(options),
        .summary = "Trim, number and shout lines.",
        .version = "0.1",
        .options = own,
        .option_count = 1,
    };

    return vine_main(argc, argv, &options, begin);
}
