/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/allocator.h - hands out parts of an extent, with the books kept outside of it.
 *
 * Owns:     the books. The extent stays the caller's and is never read or written; what is handed
 *           out are offsets in bytes from its start.
 * Threads:  an allocator with private books is not thread-safe: the caller locks. One that lies in
 *           shared memory (vine_allocator_format) locks itself, across processes.
 * Blocking: private books never. Shared books wait for the process that holds them; a holder that
 *           died is noticed, and what it left half-done is repaired by the next one.
 * Trust:    no offset is trusted: one that names no living block is -VINE_ETOKEN. Shared books are
 *           for processes that cooperate; damaged ones are answered with -VINE_ECORRUPT and no
 *           memory outside of them is touched.
 * Limits:   2^30 - 1 granules an extent: 16 GiB with granules of 16 bytes, 64 GiB with 64. Books
 *           are a header of 6.6 KiB and a table of 32-byte entries, 25 to 62 % of them in use.
 *
 * Strategies:
 *   general   quick lists of sizes that were used lately over segregated best fit with
 *             coalescing. The fastest in the mean. Rounds sizes up to 64 KiB up by 3.1 %
 *             at most.
 *   tlsf      two-level segregated fit: immediate coalescing, sizes exact to the granule, and no
 *             operation takes more than VINE_ALLOCATOR_STEPS_MAX steps from block to block.
 *   bump      allocates forward, frees all at once (vine_allocator_reset) and nothing else.
 *
 * Caveats:  a handle of shared books does not survive fork: its lock names the parent. The child
 *           attaches anew. The lock names processes by pid: all that attach share a pid namespace.
 *           What a process had allocated stays allocated when it dies.
 */
#ifndef VINE_ALLOCATOR_H
#define VINE_ALLOCATOR_H

#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

enum vine_allocator_strategy {
    VINE_ALLOCATOR_GENERAL = 0,
    VINE_ALLOCATOR_TLSF = 1,
    VINE_ALLOCATOR_BUMP = 2,
};

/* An operation of tlsf looks at no more entries of its books than this, whatever the blocks are: 64
 * to find or make the place of one (two, as a rule), 8 to find a fit, 12 for neighbours and
 * lists. */
#define VINE_ALLOCATOR_STEPS_MAX 84

/* The largest extent, in granules. */
#define VINE_ALLOCATOR_GRANULES_MAX 0x3fffffffu

struct vine_allocator;

struct vine_allocator_options {
    size_t size_bytes;                     /* sizeof this struct */
    enum vine_allocator_strategy strategy; /* general, if zero */
    uint32_t granule_bytes;                /* 16 or 64; 64 if zero; offsets are multiples of it */
    uint64_t extent_bytes;                 /* a rest below one granule stays unused */
    /* Blocks, living and free, that the books have room for. Zero: general's private books begin
     * with 20 and double within an allocation that finds them full; tlsf's and shared ones are
     * made for one block in 64 granules, at least for 256. A number: that many, and never more. */
    uint64_t blocks_max;
    /* Where general's books double: not beyond room for so many, so that no doubling takes long.
     * Zero: as far as there is memory. The real limit is the next one that fills a table. */
    uint64_t blocks_limit;
};

struct vine_allocator_stats {
    uint64_t extent_bytes;       /* what can be handed out when all is free */
    uint64_t live_bytes;         /* asked for and not freed */
    uint64_t granted_bytes;      /* the same blocks with rounding */
    uint64_t free_bytes;         /* extent_bytes - granted_bytes */
    uint64_t largest_free_bytes; /* the largest size that can be had at once */
    uint64_t books_bytes;        /* memory of the books, touched or not */
    uint32_t live_blocks;
    uint32_t free_blocks;
    uint32_t books_blocks; /* blocks that the books have room for now */
    uint32_t repairs;      /* times that a dead holder's work was repaired (shared books) */
};

/*
 * Make an allocator whose books lie in private memory. Any thread.
 *
 * Returns 0        `ret_allocator` is ready, all of the extent is free;
 *         -EINVAL  an option is out of its range, or the extent has no granule or too many;
 *         -ENOMEM  no memory for the books.
 */
VINE_API VINE_MUST_CHECK int vine_allocator_create(const struct vine_allocator_options *options,
                                                   struct vine_allocator **ret_allocator);

/* Give back the books, or, for an attached allocator, the handle alone: the shared books and their
 * blocks stay. NULL is fine. */
VINE_API void vine_allocator_destroy(struct vine_allocator *allocator);

/*
 * Take a block of at least `size_bytes`. The caller's thread, as for all that follows.
 *
 * Returns 0        `ret_offset` is a multiple of the granule;
 *         -EINVAL  the size is zero;
 *         -ENOMEM  there is no room of that size, or the books are full;
 *         -VINE_ECORRUPT  shared books are damaged;
 *         -EBUSY   another living process has held shared books for a second.
 * The last two may be the answer of every call below that returns a result.
 */
VINE_API VINE_MUST_CHECK int vine_allocator_alloc(struct vine_allocator *allocator,
                                                  uint64_t size_bytes, uint64_t *ret_offset);

/*
 * Give a block back.
 *
 * Returns 0             the block is free;
 *         -VINE_ETOKEN  no living block begins at `offset`, nothing was changed;
 *         -EOPNOTSUPP   bump frees all or nothing.
 */
VINE_API VINE_MUST_CHECK int vine_allocator_free(struct vine_allocator *allocator, uint64_t offset);

/*
 * Tell how many bytes a living block has, rounding included.
 *
 * Returns 0, -VINE_ETOKEN or -EOPNOTSUPP as vine_allocator_free does.
 */
VINE_API VINE_MUST_CHECK int vine_allocator_size_of(struct vine_allocator *allocator,
                                                    uint64_t offset, uint64_t *ret_size_bytes);

/*
 * Give back the end of a living block, beyond `size_bytes`. The beginning stays where it is. Where
 * the books have no room for one more free block, the end stays with the block.
 *
 * Returns 0        at least `size_bytes` are left;
 *         -EINVAL  the size is zero or more than the block has;
 *         -VINE_ETOKEN or -EOPNOTSUPP as vine_allocator_free does.
 */
VINE_API VINE_MUST_CHECK int vine_allocator_shrink(struct vine_allocator *allocator,
                                                   uint64_t offset, uint64_t size_bytes);

/* Free all blocks at once. Takes time in proportion to the books. Returns 0. */
VINE_API VINE_MUST_CHECK int vine_allocator_reset(struct vine_allocator *allocator);

/* Tell what is used and what is left. Empties the quick lists, so that the largest free size is
 * what an allocation would find; walks one list of free blocks. Returns 0. */
VINE_API VINE_MUST_CHECK int vine_allocator_stats(struct vine_allocator *allocator,
                                                  struct vine_allocator_stats *ret_stats);

/* Memory of the books, touched or not. Constant time. */
VINE_API uint64_t vine_allocator_books_bytes(const struct vine_allocator *allocator);

/* Walk all blocks and lists and prove the equation of the books. For tests and after repairs: takes
 * time in proportion to the blocks. Returns 0 or -VINE_ECORRUPT. */
VINE_API VINE_MUST_CHECK int vine_allocator_validate(struct vine_allocator *allocator);

/*
 * Make shared books in `memory`, with the extent behind them in the same memory: header, books and
 * extent are one continuous block that may be mapped anywhere. Whoever creates the segment calls
 * this once, before anyone attaches. `extent_bytes` zero takes what the books leave.
 *
 * Returns 0        others may attach;
 *         -EINVAL  an option is out of its range, or `memory` is not aligned to 64 bytes;
 *         -ENOMEM  `size` has no room for books and extent.
 */
VINE_API VINE_MUST_CHECK int vine_allocator_format(void *memory, size_t size,
                                                   const struct vine_allocator_options *options);

/*
 * Open shared books. Checks the header and walks all blocks before anything is used; repairs what a
 * holder that died left. Any thread of any process that maps `memory`, which stays mapped until
 * vine_allocator_destroy.
 *
 * Returns 0                   `ret_allocator` is ready;
 *         -VINE_EMAGIC, -VINE_EVERSION, -VINE_EFINGERPRINT, -VINE_ETRUNCATED,
 *         -VINE_EINITIALIZING what the header says;
 *         -VINE_ECORRUPT      the books contradict themselves;
 *         -EINVAL, -ENOMEM    memory is not aligned; no memory for the handle.
 */
VINE_API VINE_MUST_CHECK int vine_allocator_attach(void *memory, size_t size,
                                                   struct vine_allocator **ret_allocator);

/* The address of offset 0 as this process maps it; NULL where the books are private. Any thread. */
VINE_API void *vine_allocator_base(const struct vine_allocator *allocator);

/* The most entries that one call has looked at since creation or attach. tlsf promises
 * VINE_ALLOCATOR_STEPS_MAX; doubling, resetting and general's walk of a whole list are not
 * counted. */
VINE_API uint32_t vine_allocator_steps_seen(const struct vine_allocator *allocator);

VINE_END_DECLARATIONS

#endif
