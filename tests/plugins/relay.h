/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/plugins/relay.h - a library whose procedure is a coroutine: `relay` sends each line back
 * behind VERSION. "fault" is none that it survives.
 */
#include <string.h>

#include <vine/coroutine.h>
#include <vine/handler.h>

VINE_COROUTINE(relay)
{
    struct {
        char line[256];
        ssize_t length;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->line, sizeof self->line);
        if (self->length == 0)
            break;
        if (self->length == 6 && memcmp(self->line, "fault\n", 6) == 0)
            __builtin_trap();
        vine_writef("%d %.*s", VERSION, (int)self->length, self->line);
        vine_flush();
    }
    vine_end();
}

static const struct vine_argument relay_arguments[] = {
    {.name = "in", .kind = VINE_INPUT, .data_type = VINE_TYPE_BYTES, .max = 1 << 20},
    {.name = "out", .kind = VINE_OUTPUT, .data_type = VINE_TYPE_BYTES, .max = 1 << 20},
};

VINE_PROCEDURE(relay, .summary = "send lines back", .coroutine = VINE_COROUTINE_OF(relay),
               .arguments = relay_arguments, .argument_count = 2);
