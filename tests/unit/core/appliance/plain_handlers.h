/* SPDX-License-Identifier: Apache-2.0 */
/* Coroutines that several tests have as handlers. */
#ifndef VINE_TESTS_PLAIN_HANDLERS_H
#define VINE_TESTS_PLAIN_HANDLERS_H

#include "handlers.h"

VINE_COROUTINE(echo)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_forward(that->socket, that->socket);
    vine_end();
}

VINE_COROUTINE(reads_a_byte)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    vine_write("done", 4);
    vine_end();
}

VINE_COROUTINE(sleeps)
{
    struct {
        char byte;
    } *self;

    vine_begin();
    for (;;)
        vine_sleep(100 * VINE_NS_PER_SECOND);
    vine_end();
}

#endif
