/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/arena/arena.h - memory of one core: a reservation on its node, and who frees what where.
 *
 * Owns:     an arena owns its reservation until the process ends, since mimalloc, which hands out
 *           blocks of it, takes memory and never gives it back. One that is destroyed is used again
 *           by the next one of its kind.
 * Threads:  one at a time is attached to an arena and allocates there. Blocks are freed by any
 *           thread: where they are freed by another arena's they are collected and sent home in
 *           batches, and its owner frees them.
 * Blocking: creating does as the kernel does, all else never. No call that allocates or frees makes
 *           a system call, once its arena has been created.
 * Trust:    blocks carry no guards: who writes beyond one is not found out.
 * Limits:   VINE__ARENAS_MAX arenas, of whole VINE__ARENA_STEP_BYTES each; a block of more than
 *           half a step takes whole steps.
 *
 * A program that is linked with libvine-runtime has this malloc (docs/decisions/0020): a thread
 * that is attached takes its blocks from its arena, every other one from a heap of mimalloc's own.
 *
 * Caveats:  who has filled its arena gets NULL and ENOMEM, however much others have left. An arena
 *           gives nothing back to the kernel. In a child of fork there is the thread that forked
 *           and its arena; blocks of other arenas that it frees lie there for good.
 */
#ifndef VINE_CORE_ARENA_ARENA_H
#define VINE_CORE_ARENA_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/reservation/reservation.h"

#define VINE__ARENAS_MAX       64                   /* mimalloc 2.0 takes no more */
#define VINE__ARENA_STEP_BYTES (UINT64_C(32) << 20) /* what mimalloc takes memory by */
#define VINE__ARENA_BYTES_MAX  (UINT64_C(1) << 42)
#define VINE__ARENA_NODE_ANY   (-1)
#define VINE__ARENA_PIECES_MAX 8

struct vine__arena;

/* An allocation has failed because the arena is full. Called on its core, before NULL is returned.
 * It may free blocks and dump the arena, which changes nothing for this allocation. It is not
 * called for what fails within it. */
typedef void (*vine__arena_exhausted_fn)(void *context, struct vine__arena *arena, size_t size);

/* Zero is the default of every field but the node. */
struct vine__arena_options {
    uint64_t size_bytes; /* a multiple of VINE__ARENA_STEP_BYTES */
    int node;            /* or VINE__ARENA_NODE_ANY */
    /* Instead of one node: what comes from which, if it can be had there. */
    struct vine__reservation_piece pieces[VINE__ARENA_PIECES_MAX];
    uint32_t piece_count;
    bool huge_pages;              /* from the kernel's pool */
    const char *huge_page_folder; /* or from this mount of hugetlbfs; NULL: no */
    bool lock;                    /* never paged out */
    bool exclusive;               /* nobody else who uses mimalloc directly takes memory of it */
    bool abort_on_exhaustion;     /* end the process then, after the callback */
    vine__arena_exhausted_fn exhausted; /* may be NULL */
    void *exhausted_context;
};

#define VINE__ARENA_OPTIONS_DEFAULT                                                                \
    {                                                                                              \
        .node = VINE__ARENA_NODE_ANY, .exclusive = true                                            \
    }

/* Counted from the arena's creation. Another thread than the owner sees them a little late. */
struct vine__arena_stats {
    uint64_t reserved_bytes;
    uint64_t allocations;
    uint64_t frees;                 /* of its blocks by its owner, those that came home included */
    uint64_t remote_frees_sent;     /* blocks of others that its owner has freed */
    uint64_t remote_frees_received; /* blocks of its own that came home */
    uint64_t failures;              /* allocations that the arena had no room for */
    /* As vine__arena_measure last found them, or 0. */
    uint64_t used_bytes;    /* in the owner's blocks; not in those of an owner before */
    uint64_t peak_bytes;    /* the most that `used_bytes` ever was then */
    uint64_t touched_bytes; /* of pages that were ever needed: what it took at most. Locked: all */
};

/* ---- an arena's life ------------------------------------------------------------------------- */

/* Create an arena to which nobody is attached. Any thread; no two at once.
 *
 * Returns 0; on failure `*ret_what`, if it is not NULL, says what failed and what would help:
 *         -EINVAL   a size or pieces that are none; -ENOSPC  there are VINE__ARENAS_MAX already;
 *         or what vine__reservation_open returns. */
__attribute__((warn_unused_result)) int
vine__arena_create(const struct vine__arena_options *options, struct vine__arena **ret_arena,
                   const char **ret_what);

/* Let the arena go; nobody is attached to it. Blocks of it that are still used stay valid. Any
 * thread; none creates or destroys at the same time. NULL is fine. */
void vine__arena_destroy(struct vine__arena *arena);

/* From now on this thread allocates there. It ends when the thread detaches or ends.
 *
 * Returns 0; -EBUSY  this thread has an arena, or this arena a thread; -ENOMEM  not even a heap. */
__attribute__((warn_unused_result)) int vine__arena_attach(struct vine__arena *arena);

/* Send home what was collected, take home what came, and allocate as other threads do again. What
 * comes home later waits for the next who attaches. Nothing if the thread has no arena. */
void vine__arena_detach(void);

/* The calling thread's arena, or NULL. */
struct vine__arena *vine__arena_current(void);

/* The arena in which an address lies, or NULL. Any thread. */
struct vine__arena *vine__arena_of(const void *address);

/* Whether malloc and its kin take from the arena of a thread that attaches from now on (they do, if
 * nobody says otherwise), or from a heap apart. Any thread, before any attaches.
 *
 * Returns 0; -EBUSY  somebody is attached; -EOPNOTSUPP  `use`, and malloc is another one: a
 *            sanitizer's, or one that came before ours. */
__attribute__((warn_unused_result)) int vine__arena_use_for_malloc(bool use);

/* Whether malloc of a thread that attaches takes from its arena. */
bool vine__arena_is_used_for_malloc(void);

/* ---- blocks ---------------------------------------------------------------------------------- */

/* As malloc's kin, from the calling thread's arena, whatever is said of malloc; without an arena
 * from the thread's own heap. Any thread. `alignment` is a power of two.
 *
 * Return NULL, and errno ENOMEM, if there is no room or a failure was asked for. */
void *vine__arena_alloc(size_t size);
void *vine__arena_alloc_zeroed(size_t count, size_t size);
void *vine__arena_alloc_aligned(size_t alignment, size_t size);
void *vine__arena_realloc(void *block, size_t size);

/* Free a block that these have given. Any thread. NULL is fine. Where malloc is ours, free and this
 * are one. */
void vine__arena_free(void *block);

/* How many bytes a block has. Any thread, while it is used. */
size_t vine__arena_usable(const void *block);

/* ---- blocks that were freed elsewhere -------------------------------------------------------- */

/* Send home what this thread has collected of others' blocks, batches that are not full included:
 * for the end of a turn of its loop. Returns how many blocks that were. */
uint32_t vine__arena_flush_remote(void);

/* Free what came home for this thread's arena, a bounded number: for each turn of its loop. Reads
 * one line if nothing came. Returns how many blocks that were. */
uint32_t vine__arena_take_home(void);

/* ---- what a person or a test asks ------------------------------------------------------------ */

/* Any thread; reads a few words. */
void vine__arena_get_stats(const struct vine__arena *arena, struct vine__arena_stats *ret_stats);

/* Count what the calling thread's arena has in use, by a walk over its pages, its own and the
 * kernel's: a millisecond for each GiB that is touched. So each minute, perhaps, and not each turn.
 * A collection of metrics does it, each minute at most; who detaches does, and a dump, and an arena
 * that is full. Nothing without an arena. */
void vine__arena_measure(void);

/* Takes one line of a dump, without a newline, valid during the call. */
typedef void (*vine__arena_line_fn)(void *context, const char *line);

/* Say line by line what the arena holds: sums, then blocks by their size. Any thread; without
 * sizes, unless it is the owner. Allocates nothing. */
void vine__arena_dump(struct vine__arena *arena, vine__arena_line_fn line, void *context);

/* For tests: the `nth` allocation from now on, of the calling thread or of all threads together,
 * fails as an exhausted arena does, and those after it do not; 1 is the next one, and 0 takes it
 * back. Through malloc too, where malloc is ours. Any thread. */
void vine__arena_fail_nth(uint64_t nth);
void vine__arena_fail_nth_of_all(uint64_t nth);

/* How many allocations have failed because they were asked to, of all threads. */
uint64_t vine__arena_injected_failures(void);

#endif
