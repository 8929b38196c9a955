/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness/must.h - what has to be so in threads and children, from where cmocka cannot go back to
 * the test: what is not so is told, with its place, and ends the process.
 */
#ifndef VINE_TESTS_HARNESS_MUST_H
#define VINE_TESTS_HARNESS_MUST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(condition) must((condition), #condition, __FILE__, __LINE__)

#define MUST_BE(is, should_be) must_be((int64_t)(is), (int64_t)(should_be), #is, __FILE__, __LINE__)

static inline void must(bool is_so, const char *what, const char *file, int line)
{
    if (is_so)
        return;
    (void)fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    abort();
}

static inline void must_be(int64_t is, int64_t should_be, const char *what, const char *file,
                           int line)
{
    if (is == should_be)
        return;
    (void)fprintf(stderr, "%s:%d: %lld instead of %lld: %s\n", file, line, (long long)is,
                  (long long)should_be, what);
    abort();
}

#endif
