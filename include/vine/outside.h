/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/outside.h - what the connections of a service share, kept where none of them can reach it.
 *
 * Owns:     what a function outside has said to keep for a connection (struct vine_kept), until
 *           that one ends, however it does; also while it is parked, without a micro-process.
 * Threads:  the core of the micro-process. Functions outside run there, one at a time.
 * Blocking: never; a function outside holds up its core as long as it runs.
 * Trust:    what a micro-process says is believed of nothing: what it asks with is copied before
 *           anybody looks at it, and where it says that bytes are is to be looked up.
 * Limits:   VINE_OUTSIDE_BYTES_MAX bytes are asked with.
 *
 * A coroutine has the rights of its own heap alone. What all connections share (a table of keys, a
 * count) would have to be open to each of them: any of them could overwrite it by a mistake, and it
 * would be half changed where one of them faults. So it is the business of functions that run
 * outside, with the rights of the runtime: a coroutine calls one by vine_outside, and gets what it
 * returns. A call costs about as much as one of a function by a pointer and, with `pku`, two
 * writes of a register.
 *
 *     static int64_t next_number(struct vine_outside *outside, const void *asked)
 *     {
 *         (void)outside, (void)asked;
 *         return ++last_number;
 *     }
 *     ...
 *         vine_outside(self->number, next_number, NULL, 0);
 *
 * A function outside is no VINE_SERVICE_CODE: a fault there is no coroutine's mistake, and ends the
 * process. It may call malloc, take locks, and start what reactors have.
 */
#ifndef VINE_OUTSIDE_H
#define VINE_OUTSIDE_H

#include <vine/state.h>

VINE_BEGIN_DECLARATIONS

/* The micro-process that calls, while it does. */
struct vine_outside;

/* `asked` is a private copy, aligned as malloc's memory; or NULL. Returns what the coroutine gets.
 */
typedef int64_t (*vine_outside_fn)(struct vine_outside *outside, const void *asked);

#define VINE_OUTSIDE_BYTES_MAX 128

/* Call `function` with a copy of `size_bytes` bytes, which are the heap's (0: nothing). Does not
 * block. Raises -EFAULT: they are not. */
#define vine_outside(result_lvalue, function, asked, size_bytes)                                   \
    do {                                                                                           \
        vine__do_at("vine_outside", vine__outside(that, (function), (asked), (size_bytes)));       \
        (result_lvalue) = that->result;                                                            \
    } while (0)

/* ---- for functions outside ------------------------------------------------------------------- */

/* Whether the micro-process has these bytes: of its heap, of what it has received and looks at, or
 * of the room that it has to write. 0 bytes it has in any case. They are as they are until the
 * function returns. */
VINE_API bool vine_outside_can_read(const struct vine_outside *outside, const void *bytes,
                                    size_t size_bytes);
VINE_API bool vine_outside_can_write(const struct vine_outside *outside, const void *bytes,
                                     size_t size_bytes);

/* What is kept for a micro-process, as the first field of something that the service has allocated.
 * `end` is called once, with nothing running, when the micro-process has ended. Where that has
 * parked (vine_park), the next one of its connection has it. */
struct vine_kept {
    void (*end)(struct vine_kept *kept);
};

/* Keep this, if nothing is kept yet; and what is kept, or NULL. */
VINE_API void vine_outside_keep(struct vine_outside *outside, struct vine_kept *kept);
VINE_API struct vine_kept *vine_outside_kept(const struct vine_outside *outside);

/* ---- what stands behind it; private ---------------------------------------------------------- */

VINE_API void vine__outside(struct vine_coroutine *that, vine_outside_fn function,
                            const void *asked, size_t size_bytes);

VINE_END_DECLARATIONS

#endif
