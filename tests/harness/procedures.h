/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness/procedures.h - handlers that more than one test registers.
 */
#ifndef VINE_TESTS_HARNESS_PROCEDURES_H
#define VINE_TESTS_HARNESS_PROCEDURES_H

#include <stddef.h>
#include <string.h>

#include <vine/appliance.h>
#include <vine/error.h>

static inline int run_noop(struct vine_call *call)
{
    (void)call;
    return 0;
}

/* Its input, as its output. */
static inline int run_echo(struct vine_call *call)
{
    size_t size = 0;
    size_t room = 0;
    const void *input = vine_call_bytes(call, 0, &size);
    void *output = vine_call_output(call, 1, &room);

    if (size > room)
        return -VINE_EOVERFLOW;
    if (size > 0)
        memcpy(output, input, size);
    return vine_call_output_size(call, 1, size);
}

/* The first and the last byte of its input, read in place. */
static inline int run_ends(struct vine_call *call)
{
    size_t size = 0;
    const unsigned char *input = vine_call_bytes(call, 0, &size);
    unsigned char ends[2] = {0};

    if (size > 0) {
        ends[0] = input[0];
        ends[1] = input[size - 1];
    }
    return vine_call_result(call, ends, sizeof ends);
}

#endif
