/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened in a program, in its order, once by a reference and once by what is tested: for
 * test_coroutine_programs.c and test_mail_programs.c.
 *
 * Whoever includes it has said before how many events a program may have: EVENTS_MAX. Later ones
 * are not noted.
 */
#ifndef TESTS_TRACE_H
#define TESTS_TRACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

struct event {
    int64_t value;
    uint32_t id, what;
};

struct trace {
    uint32_t count;
    struct event events[EVENTS_MAX];
};

static inline void note(struct trace *trace, uint32_t id, uint32_t what, int64_t value)
{
    if (trace->count < EVENTS_MAX)
        trace->events[trace->count++] = (struct event){.id = id, .what = what, .value = value};
}

static inline void tell_difference(const struct trace *expected, const struct trace *done,
                                   const char *who, uint32_t at)
{
    for (uint32_t n = at < 12 ? 0 : at - 12; n < at + 3; n++) {
        const struct event none = {0};
        const struct event *const a = n < expected->count ? &expected->events[n] : &none;
        const struct event *const b = n < done->count ? &done->events[n] : &none;

        fprintf(stderr, "%5u: reference %2u %2u %lld, %s %2u %2u %lld\n", n, a->id, a->what,
                (long long)a->value, who, b->id, b->what, (long long)b->value);
    }
}

/* What was done by `who` is what was expected of the program of that seed. */
static inline void expect_trace(const struct trace *expected, const struct trace *done,
                                const char *who, uint64_t seed)
{
    for (uint32_t n = 0; n < expected->count || n < done->count; n++)
        if (n >= expected->count || n >= done->count ||
            memcmp(&expected->events[n], &done->events[n], sizeof done->events[n]) != 0) {
            tell_difference(expected, done, who, n);
            fail_msg("VINE_SEED=%llu: event %u differs", (unsigned long long)seed, n);
        }
}

#endif
