/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptors.h - how many descriptors this process may have open.
 */
#ifndef VINE_TOOLS_DESCRIPTORS_H
#define VINE_TOOLS_DESCRIPTORS_H

#include <stdint.h>

/* Raise the soft limit to the hard one. Returns the limit that holds from here on. */
uint64_t descriptors_raise(void);

/* How many an appliance wants that is to serve so many pipes. */
uint64_t descriptors_for(uint32_t pipes);

/* Say so if `limit` is less than that. */
void descriptors_say_if_few(uint64_t limit, uint32_t pipes);

#endif
