/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/box.h - allocations by pointer on one side and by token everywhere.
 *
 * Owns:     a book owns its list of extents. Extents, allocators and boxes stay the caller's.
 * Threads:  a book and its allocators are not thread-safe: the caller locks. vine_token_read and
 *           vine_token_check may be called by any thread.
 * Blocking: never. Creating boxes takes no memory but what the allocators' books take when they
 *           double (see vine/allocator.h).
 * Trust:    a token may come from a peer. The side that holds the book checks all of it, generation
 *           included; the other side checks bounds, type and size. No check reads the extent.
 * Limits:   boxes below 4 GiB, extents of 64 GiB, references to a box below 2^20.
 *
 * Who may free: the side that holds the book, by vine_box_free. The other side asks for it with a
 * message that carries the token; a token that names no living box is refused.
 *
 * Caveats:  a generation comes back after 2^32 - 1 further boxes of the book. Only a token kept for
 *           that long, at the very offset of the box that has its number, would pass for it.
 */
#ifndef VINE_BOX_H
#define VINE_BOX_H

#include <vine/allocator.h>
#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

#define VINE_TOKEN_UNIT_BYTES 64

/* The name of a box. It is the same wherever the extent is mapped. */
struct vine_token {
    uint32_t offset_units; /* from the extent's start, in units of 64 bytes */
    uint32_t length;       /* bytes, as asked for; not 0 */
    uint32_t generation;   /* not 0 */
    uint16_t type;         /* struct vine_box_type */
    uint16_t extent;       /* struct vine_extent_index */
};

/* What lies in a box, as both sides agreed. */
struct vine_box_type {
    uint16_t value;
};

/* Which extent of a half, in the order in which they were added. */
struct vine_extent_index {
    uint16_t value;
};

/* A box as its own side holds it. */
struct vine_box {
    void *memory; /* aligned to 64 bytes; its contents are whatever was there before */
    struct vine_token token;
};

/* What a token has to name. */
struct vine_box_expect {
    struct vine_box_type type;
    uint32_t element_bytes; /* length is a multiple of it; 0 is taken as 1 */
    uint32_t count_min;     /* elements */
    uint32_t count_max;     /* 0: as many as there are */
};

struct vine_box_extent {
    void *base;          /* where this side maps the extent */
    uint64_t size_bytes; /* of the mapping */
    uint64_t heap_bytes; /* where in it the allocator's offset 0 lies; a multiple of 64 */
    struct vine_allocator *allocator;
};

struct vine_box_book_stats {
    uint64_t created;
    uint64_t freed;    /* by vine_box_free, at once or later */
    uint64_t deferred; /* freed, but still referred to */
    uint64_t refused;  /* tokens that named no living box */
};

struct vine_box_book;

/*
 * Make a book without extents. Any thread.
 *
 * Returns 0; -EINVAL if `extents_max` is 0 or above 65,536; -ENOMEM.
 */
VINE_API VINE_MUST_CHECK int vine_box_book_create(uint32_t extents_max,
                                                  struct vine_box_book **ret_book);

/* Forget the book. Boxes stay allocated in their allocators. NULL is fine. */
VINE_API void vine_box_book_destroy(struct vine_box_book *book);

/*
 * Let boxes be made in a further extent. The caller's thread, as for all that follows. The
 * allocator has private books, granules of 64 bytes, is not bump, and stays usable for blocks that
 * are no boxes: no token names those.
 *
 * Returns 0        `ret_index` is the extent's number in tokens;
 *         -EINVAL  the allocator is of another kind or goes beyond the mapping;
 *         -ENOSPC  the book has extents_max of them.
 */
VINE_API VINE_MUST_CHECK int vine_box_book_add_extent(struct vine_box_book *book,
                                                      const struct vine_box_extent *extent,
                                                      struct vine_extent_index *ret_index);

/* What the book holds at this moment. The caller's thread; never blocks. */
VINE_API void vine_box_book_stats(const struct vine_box_book *book,
                                  struct vine_box_book_stats *ret_stats);

/*
 * Make a box for `length` bytes of a type. The oldest extent is tried first.
 *
 * Returns 0        the box is the caller's until vine_box_free;
 *         -EINVAL  the length is 0;
 *         -ENOMEM  no extent has room.
 */
VINE_API VINE_MUST_CHECK int vine_box_create(struct vine_box_book *book, struct vine_box_type type,
                                             uint32_t length, struct vine_box *ret_box);

/* Make a box for `count` elements. Returns what vine_box_create does; -EINVAL also if the product
 * is 0 or does not fit into a length. */
VINE_API VINE_MUST_CHECK int vine_box_create_slice(struct vine_box_book *book,
                                                   struct vine_box_type type,
                                                   uint32_t element_bytes, uint32_t count,
                                                   struct vine_box *ret_box);

/*
 * Find the box that a token names, on the side that holds the book.
 *
 * Returns 0                `ret_memory` is where it lies;
 *         -VINE_ETOKEN     no living box has this extent, offset, generation, length and type;
 *         -VINE_EARGUMENT  it is not what `expect` says (NULL expects nothing).
 */
VINE_API VINE_MUST_CHECK int vine_box_resolve(struct vine_box_book *book,
                                              const struct vine_token *token,
                                              const struct vine_box_expect *expect,
                                              void **ret_memory);

/*
 * Give the end of a box back; `token` gets the new length, the old token is stale.
 *
 * Returns 0; -EINVAL if `length` is 0 or more than the box has; -VINE_ETOKEN.
 */
VINE_API VINE_MUST_CHECK int vine_box_shrink(struct vine_box_book *book, struct vine_token *token,
                                             uint32_t length);

/*
 * Change what a living box is said to hold; `token` gets the new type, the old token is stale. A
 * box that must not be named yet is made with a type that no token from outside can have.
 *
 * Returns 0; -VINE_ETOKEN.
 */
VINE_API VINE_MUST_CHECK int vine_box_retype(struct vine_box_book *book, struct vine_token *token,
                                             struct vine_box_type type);

/*
 * Keep a box from being given back while an operation uses it, and let go of it again. A box that
 * was freed meanwhile goes with its last reference.
 *
 * Returns 0             counted;
 *         -VINE_ETOKEN  for _ref: no living box; for _unref: no box, or none that has references;
 *         -EAGAIN       for _ref: 2^31 - 1 references are taken.
 */
VINE_API VINE_MUST_CHECK int vine_box_ref(struct vine_box_book *book,
                                          const struct vine_token *token);
VINE_API VINE_MUST_CHECK int vine_box_unref(struct vine_box_book *book,
                                            const struct vine_token *token);

/*
 * Free a box, at once or with its last reference. From now on its token is refused.
 *
 * Returns 0; -VINE_ETOKEN for a token that is stale, forged or freed already: nothing was changed.
 */
VINE_API VINE_MUST_CHECK int vine_box_free(struct vine_box_book *book,
                                           const struct vine_token *token);

/* Copy a token out of shared memory, each word once. `shared` is aligned to 4 bytes. Check and use
 * the copy alone. Any thread. */
VINE_API void vine_token_read(const void *shared, struct vine_token *ret_token);

/*
 * Check a token of the other side, by its copy: whether it names memory within the extents that we
 * map, of the type and size that we expect. Whether that memory is allocated is the other side's
 * care. Any thread.
 *
 * Returns 0                offset and length lie within extent_bytes[token->extent];
 *         -VINE_ETOKEN     no such extent, beyond its end, or no length or generation;
 *         -VINE_EARGUMENT  another type, no multiple of the element, too few or too many (NULL
 *                          expects nothing).
 */
VINE_API VINE_MUST_CHECK int vine_token_check(const struct vine_token *token,
                                              const uint64_t *extent_bytes, uint32_t extent_count,
                                              const struct vine_box_expect *expect);

VINE_END_DECLARATIONS

#endif
