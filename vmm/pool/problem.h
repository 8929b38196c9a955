/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/pool/problem.h - what is wrong, in words: a file, the field in it, and why.
 *
 * Owns:     nothing.
 * Threads:  any; one at a time on one problem.
 * Blocking: never.
 * Trust:    names of files may hold any bytes: who shows a problem makes it printable.
 * Limits:   a longer text is cut.
 */
#ifndef VINE_VMM_POOL_PROBLEM_H
#define VINE_VMM_POOL_PROBLEM_H

#include <vine/base.h>

#define VINE__PROBLEM_BYTES 512

struct vine__problem {
    char text[VINE__PROBLEM_BYTES]; /* "": none */
};

/* Say what is wrong, unless something has been said. Returns `error`, for whoever returns it. */
int vine__problem_set(struct vine__problem *problem, int error, const char *format, ...)
    VINE_PRINTF(3, 4);

#endif
