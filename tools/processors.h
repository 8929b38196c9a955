/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processors.h - the processors that this process may use, and keeping two parties apart on them.
 */
#ifndef VINE_TOOLS_PROCESSORS_H
#define VINE_TOOLS_PROCESSORS_H

#include <stdbool.h>
#include <stdint.h>

/* How many there are; at least 1. */
uint32_t processors_count(void);

enum processors_part {
    PROCESSORS_FIRST, /* the first one */
    PROCESSORS_OTHERS,
};

/* Keep the calling thread, and those that it starts, to one part of what the process could use when
 * this was first called. Returns false, and does nothing, where there is only one processor. */
bool processors_keep_to(enum processors_part part);

#endif
