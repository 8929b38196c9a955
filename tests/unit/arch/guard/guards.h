/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/arch/guard/guards.h - the same tests with each guard that there is here.
 *
 * Owns:     the guard of the process, and memory for regions.
 * Threads:  one.
 * Blocking: never.
 * Trust:    the test's own.
 * Limits:   a guard that cannot be had is told of, and its tests skip.
 */
#ifndef VINE_TESTS_UNIT_ARCH_GUARD_GUARDS_H
#define VINE_TESTS_UNIT_ARCH_GUARD_GUARDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/guard/guard.h"

#define PAGE 4096U

/* Text of the test's own whose faults are a service's. Nothing of it is looked at by a sanitizer,
 * which would see the fault first. */
#define SERVICE                                                                                    \
    __attribute__((section("test_service"), noinline,                                              \
                   no_sanitize("address", "thread", "undefined")))
extern const char __start_test_service[] __attribute__((weak, visibility("hidden")));
extern const char __stop_test_service[] __attribute__((weak, visibility("hidden")));

/* AddressSanitizer tells of some faults before they are any, and ends the program. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifndef HAS_ASAN
#define HAS_ASAN 0
#endif

static inline bool is_sanitized(void)
{
    const char *const sanitizers = getenv("VINE_SANITIZE");

    return sanitizers != NULL && *sanitizers != '\0';
}

static const enum vine__guard_kind guard_kinds[] = {VINE__GUARD_NONE, VINE__GUARD_MPROTECT,
                                                    VINE__GUARD_PKU};

/* Of runs; 0: none. */
static uint64_t guard_run_ns;

/* Choose a guard, and take part. Returns whether it can be had. */
static inline bool guard_begin(enum vine__guard_kind kind)
{
    char why[VINE__GUARD_WHY_BYTES] = "";
    const struct vine__guard_options options = {.wanted = kind, .run_ns = guard_run_ns};
    const int error = vine__guard_choose(&options, why);

    if (error != 0) {
        print_message("[  SKIPPED ] %s: %s\n", vine__guard_name(kind), why);
        return false;
    }
    assert_int_equal(vine__guard_kind(), kind);
    assert_int_equal(vine__guard_add_text(__start_test_service, __stop_test_service), 0);
    assert_int_equal(vine__guard_thread_start(), 0);
    return true;
}

static inline void guard_end(void)
{
    vine__guard_thread_stop();
}

/* Call `test` with each guard that there is here. */
static inline void guard_each(void (*test)(void))
{
    for (size_t i = 0; i < sizeof(guard_kinds) / sizeof(guard_kinds[0]); i++) {
        if (!guard_begin(guard_kinds[i]))
            continue;
        test();
        guard_end();
    }
}

/* A region of so many pages, and the forbidden one behind it. */
static inline struct vine__guard_region region_make(uint32_t pages, uint32_t colour)
{
    struct vine__guard_region region = {.colour = colour, .slot_bytes = (pages + 1) * PAGE};
    void *start;

    assert_int_equal(vine__guard_pages_reserve(region.slot_bytes, &start), 0);
    region.start = start;
    assert_int_equal(vine__guard_pages_prepare(&region, 0), 0);
    assert_int_equal(vine__guard_pages_grow(&region, pages * PAGE), 0);
    return region;
}

static inline void region_release(struct vine__guard_region *region)
{
    vine__guard_pages_release(region->start, region->slot_bytes);
}

#endif
