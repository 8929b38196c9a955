/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/foreign.h - an object of one core that another one reads, and sends home to be destroyed.
 *
 * Owns:     nothing: the holder lies in the object, which stays its home's until it is destroyed.
 * Threads:  reactors. A holder is made at home and released once, on any core; between these it is
 *           handed over by calls, or whatever else orders what was written before.
 * Blocking: never; the destructor is called from the top of its home's loop.
 * Trust:    all cores are one process and trust each other.
 * Limits:   any number. One core at a time has it: who wants several readers counts them at home.
 *
 * The memory of an object is its home's, and so may be what it refers to. So whoever has read it
 * releases it where he is; what a core has released in a turn goes home together as the turn ends,
 * and is destroyed there, in no order, in the default scheduling group, within the turn's quota.
 *
 * The end: what was released while the loops run is destroyed, at the latest when its home's loop
 * has returned and those of all others have: by its home's thread, where nothing is called any more
 * that a destructor posts, arms or sends, but others that it releases are destroyed as well. Of
 * these, what belongs to a core that is gone is destroyed by whoever ends the last one, who is no
 * reactor, and may release others and free memory there. What nobody has released stays as it is.
 */
#ifndef VINE_FOREIGN_H
#define VINE_FOREIGN_H

#include <vine/reactor.h>

VINE_BEGIN_DECLARATIONS

struct vine_foreign;
/* Destroys the object of the holder, and may free both. At home. */
typedef void (*vine_foreign_fn)(struct vine_foreign *foreign);

/* To be embedded in the object. Private fields. */
struct vine_foreign {
    struct vine_foreign *next;
    vine_foreign_fn destroy;
    uint32_t state;
    uint32_t home;
};

/* Make the calling core the home of the object in which it lies. */
VINE_API void vine_foreign_init(struct vine_foreign *foreign, vine_foreign_fn destroy);

/* End a holder that is not to be released, because its home destroys the object itself. At home,
 * which is asserted. */
VINE_API void vine_foreign_fini(struct vine_foreign *foreign);

/* Give the object up: its destructor is called later, at home. Any core, the home too. Once, which
 * is asserted; the caller does not touch the object any more. */
VINE_API void vine_foreign_release(struct vine_foreign *foreign);

/* The core on which it will be destroyed. */
static inline uint32_t vine_foreign_home(const struct vine_foreign *foreign)
{
    return foreign->home;
}

VINE_END_DECLARATIONS

#endif
