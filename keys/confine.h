/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.h - what the process of keys cannot do, and what cannot be done to it.
 *
 * Owns:     nothing.
 * Threads:  before there is more than one: what is taken is taken from the calling thread and those
 *           that it starts.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   confine_reach wants Landlock, Linux 5.13; older kernels do without.
 */
#ifndef VINE_KEYS_CONFINE_H
#define VINE_KEYS_CONFINE_H

/* No core dump, no debugger, no /proc/PID/mem or environ for whoever has no power over all
 * processes; no program that would give us more rights. Inherited by fork. Returns 0 or a negated
 * errno. */
int confine_memory(void);

/* From here on no file can be opened but below /proc, no program run, no TCP used: whoever took
 * this process over could do no more with it than its socket allows. What is open stays. Returns 0;
 * -EOPNOTSUPP: the kernel has no way; or a negated errno. */
int confine_reach(void);

#endif
