/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/file/file.h - files as those see them who start a reactor.
 *
 * Owns:     what a core needs for files: its I/O queue, if it has one, and its buffers.
 * Threads:  each core's own, but for vine__file_end.
 * Blocking: never.
 * Trust:    all cores are one process.
 * Limits:   those of vine/file.h.
 */
#ifndef VINE_CORE_FILE_FILE_H
#define VINE_CORE_FILE_FILE_H

#include <vine/file.h>

struct vine__io_queue;

struct vine__file_options {
    uint32_t requests_max; /* given to the device at once by this core's I/O queue; 0: it has none,
                              and is assigned to a neighbour's */
    uint32_t buffer_count; /* for direct I/O, made when the first is needed; 0: 32 */
    uint32_t buffer_bytes; /* of each, a multiple of a page; 0: 128 KiB */
};

/* Make what this core needs for files. On its reactor, before the first operation there; core 0's
 * before any other's uses a class. Returns 0, -EINVAL or -ENOMEM. */
VINE_MUST_CHECK int vine__file_start(const struct vine__file_options *options);

/* Have the calling core, which has no queue of its own, use that of `core`, which has one. Before
 * its first operation. */
void vine__io_queue_assign(uint32_t core);

/* The calling core's own queue, or NULL. */
struct vine__io_queue *vine__io_queue_own(void);

/* Have the calling core's files counted and measured, by class, in its metrics, until those end,
 * which is before vine__file_end. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__file_metrics_start(void);

/* Give back what `core` has. When its reactor has gone, or has no operation under way. */
void vine__file_end(uint32_t core);

#endif
