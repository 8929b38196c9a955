/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers the lines of any number of clients, each in a micro-process of its own.
 *
 *     line_numbers                              at 127.0.0.1:7010
 *     line_numbers --listen=unix:./lines.sock --smp=2
 */
#include <vine/coroutine.h>
#include <vine/runtime.h>

#include <stdio.h>

static const char *where;
static struct vine_running *running;

VINE_COROUTINE(line_numbers)
{
    struct {
        size_t line;
        char text[1024];
        ssize_t length;
    } * self;

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

static int begin(int argc, char **argv)
{
    const struct vine_service_options options = {.size_bytes = sizeof(options)};
    char text[VINE_ADDRESS_TEXT_BYTES];
    struct vine_address address;
    int error = vine_address_parse(where, &address);

    (void)argc;
    (void)argv;
    if (error == 0)
        error = vine_service_start(&vine_service_line_numbers, &address, &options, &running);
    if (error != 0) {
        fprintf(stderr, "line_numbers: %s: %s\n", where, vine_error_text(error));
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
        .fallback = "127.0.0.1:7010",
        .help = "where to listen: HOST:PORT, [HOST]:PORT, unix:PATH or unix:@NAME",
    }};
    const struct vine_options options = {
        .size_bytes = sizeof(options),
        .summary = "Number lines.",
        .version = "0.1",
        .options = own,
        .option_count = 1,
    };

    return vine_main(argc, argv, &options, begin);
}
