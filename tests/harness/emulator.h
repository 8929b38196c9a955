/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness/emulator.h - tests of the kernel itself are left out where an emulator stands in for it,
 * and say so.
 */
#ifndef VINE_TESTS_HARNESS_EMULATOR_H
#define VINE_TESTS_HARNESS_EMULATOR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

/* Says in a build for another machine that something is skipped. `what` the emulator does. */
static inline bool is_emulated(const char *what)
{
    if (!getenv("VINE_TEST_EMULATED"))
        return false;
    print_message("skipped: the emulator %s\n", what);
    return true;
}

/* Ends the running test as skipped there. */
static inline void skip_if_emulated(const char *what)
{
    if (is_emulated(what))
        skip();
}

#endif
