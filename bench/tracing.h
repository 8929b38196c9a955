/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/tracing.h - count the instructions and the system calls of another process.
 *
 * Owns:     nothing; a traced process goes on by itself when we let go or end.
 * Threads:  one; the traced process has one.
 * Blocking: until the traced process gets to where it is wanted.
 * Trust:    both are ours.
 * Limits:   processes that we may trace: our children and theirs. No performance counters are
 *           needed, so that it works in a virtual machine, and the load of the machine changes
 *           little; but a step takes microseconds. So that whoever is stepped through does not
 *           think that all of its work is slow, its processor's counter goes on by one a step
 *           (x86-64; elsewhere it sees the true time).
 */
#ifndef VINE_BENCH_TRACING_H
#define VINE_BENCH_TRACING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Take hold of a process; false if the system does not let us. And let go of it. */
bool trace_begin(pid_t pid);
void trace_end(pid_t pid);

/* Let it run until it sends itself SIGUSR1, which it will not see. */
void trace_run_to_mark(pid_t pid);

/* The same, step by step; returns the instructions. */
uint64_t trace_step_to_mark(pid_t pid);

/* Stop it where it is, and step until `*word` has become `value` or more; returns the
 * instructions. */
void trace_stop(pid_t pid);
uint64_t trace_step_to_value(pid_t pid, const uint64_t *word, uint64_t value);

struct trace_calls {
    uint64_t looks;  /* at descriptors, by epoll */
    uint64_t offers; /* of the processor to others, by sched_yield, while there is nothing to do */
    uint64_t barriers; /* by membarrier, when idle pipes and channels are no longer looked at */
    uint64_t others;
};

/* Let it run to its next mark, or until `is_over` says so at one of its system calls, and count
 * those. */
void trace_calls_to_mark(pid_t pid, struct trace_calls *ret_calls);
void trace_calls_until(pid_t pid, bool (*is_over)(void *context), void *context,
                       struct trace_calls *ret_calls);

#endif
