/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allocator_trace.h - the trace that bench_allocator runs on each allocator, one program each.
 *
 * A program that can be measured calls trace_serve() and answers commands on standard input; the
 * driver, bench_allocator, lets all of them run in turns, so that a phase of the machine meets all.
 *
 * The trace: 100,000 living blocks of 16 B to 64 KiB, log-uniform; a pair frees one at random and
 * allocates another. Its random numbers and sizes are drawn before the clock starts. The timed runs
 * do not touch the blocks; the run that measures memory touches every page of each.
 */
#ifndef VINE_BENCH_ALLOCATOR_TRACE_H
#define VINE_BENCH_ALLOCATOR_TRACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRACE_BLOCKS 100000u

struct trace_allocator {
    const char *name;
    int (*open)(void);                           /* 0, or what is missing was said on stderr */
    uint64_t (*alloc)(size_t size_bytes);        /* a handle; UINT64_MAX when there is no room */
    void (*free)(uint64_t handle, size_t index); /* index: which of the living blocks */
    unsigned char *(*memory)(uint64_t handle);   /* where a block lies */
    uint32_t (*steps)(void);                     /* most of an operation so far; may be NULL */
};

/* The commands are "pairs SEED COUNT" (answer: ns a pair, p50 and p99 of single pairs),
 * "memory SEED COUNT" (answer: resident / live) and "steps 0 0". Returns the program's exit
 * code. */
int trace_serve(const struct trace_allocator *allocator);

#ifdef __cplusplus
}
#endif

#endif
