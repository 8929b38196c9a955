/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/backtrace/backtrace.h - where a thread is, as addresses and then as names.
 *
 * Owns:     a symbolizer owns the table of names of one file at a time.
 * Threads:  taking: the thread itself, in a signal handler too. A symbolizer is one thread's.
 * Blocking: taking never; naming reads files.
 * Trust:    files are read as they are now: one that was replaced since it was loaded gives wrong
 *           names, and one that is damaged gives none.
 * Limits:   names of VINE__FRAME_TEXT_BYTES, cut.
 */
#ifndef VINE_ARCH_BACKTRACE_BACKTRACE_H
#define VINE_ARCH_BACKTRACE_BACKTRACE_H

#include <stdint.h>

#include <vine/base.h>

/* Before the first is taken in a signal handler: what the unwinder allocates, it allocates here. */
void vine__backtrace_prepare(void);

/* Where the calling thread is, innermost first. In a signal handler `context` is its third
 * argument, and frames of the handler are left out; else NULL. Async-signal-safe once prepared.
 * Returns how many frames there are, at most `frames_max`. */
uint32_t vine__backtrace_take(void **ret_frames, uint32_t frames_max, void *context);

struct vine__symbolizer;

#define VINE__FRAME_TEXT_BYTES 256

/* Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__symbolizer_create(struct vine__symbolizer **ret_symbolizer);
void vine__symbolizer_destroy(struct vine__symbolizer *symbolizer);

/*
 * Say where an address is: "name+0x1c (file+0x1234)", or without a name "file+0x1234", which
 * addr2line takes, or the address alone. `index`: of the frame, 0 being where the thread is and all
 * others where it will return to.
 */
void vine__symbolizer_describe(struct vine__symbolizer *symbolizer, void *address, uint32_t index,
                               char ret_text[VINE__FRAME_TEXT_BYTES]);

#endif
