/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/allocator/marks.h - boxes that are marked by who makes them, and a look at all boxes of a
 * book: by these it is told what they are for.
 *
 * Owns:     nothing.
 * Threads:  that of the book.
 * Blocking: never; a walk looks at as many entries as it is told to.
 * Trust:    the book's own side alone.
 * Limits:   marks up to VINE__BOX_MARK_MAX.
 */
#ifndef VINE_CORE_ALLOCATOR_MARKS_H
#define VINE_CORE_ALLOCATOR_MARKS_H

#include <stdbool.h>

#include <vine/box.h>

#define VINE__BOX_MARK_MAX 2047u

/* As vine_box_create, which marks with 0. */
VINE_MUST_CHECK int vine__box_create_marked(struct vine_box_book *book, struct vine_box_type type,
                                            uint32_t length, uint32_t mark,
                                            struct vine_box *ret_box);

/* Whether a token names a box that was not freed. Unlike others it does not count one that does
 * not. */
bool vine__box_is_living(const struct vine_box_book *book, const struct vine_token *token);

struct vine__box_seen {
    uint32_t generation; /* they are given in order */
    uint64_t bytes;
    uint16_t type;
    uint16_t mark;
};

typedef void (*vine__box_seen_fn)(void *context, const struct vine__box_seen *box);

/* Where a walk is; zeros: at its start. */
struct vine__box_walk {
    uint32_t extent;
    uint32_t entry;
};

/* Show each box, of at most so many entries; whether there are more. Between two calls boxes may
 * come and go: of those that stay, one may be shown twice, or not, if the books double then. */
bool vine__boxes_walk(const struct vine_box_book *book, struct vine__box_walk *walk,
                      uint32_t entries_max, vine__box_seen_fn seen, void *context);

#endif
