/* SPDX-License-Identifier: Apache-2.0 */
/* services/echo.c - send back what comes. */

#include "services.h"

VINE_COROUTINE(echo)
{
    struct {
        size_t size;
        const char *bytes;
    } *self;

    vine_begin();
    for (;;) {
        vine_look(self->size, self->bytes, 1);
        if (self->size == 0)
            break;
        vine_write(self->bytes, self->size);
        vine_skip(self->size);
    }
    vine_end();
}

VINE_SERVICE(echo, .summary = "send back what comes");
