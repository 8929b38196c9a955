/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_segment.h - `vine doctor --segment`: what lies in a segment, and what is wrong with it.
 */
#ifndef VINE_TOOLS_DOCTOR_SEGMENT_H
#define VINE_TOOLS_DOCTOR_SEGMENT_H

#include <stdbool.h>

/* Whether this one looks at the address itself; else an appliance is to be asked. */
bool doctor_walks(const char *address);

/* Print a survey of the segment. Returns a status: STATUS_FAILED where there is an
 * inconsistency. */
int doctor_segment(const char *address, bool json);

#endif
