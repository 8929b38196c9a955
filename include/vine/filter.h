/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/filter.h - long work on a stream, as a socket of a coroutine: what is written to it goes
 * through a function on a worker thread, and what that makes of it is read.
 *
 * Owns:     a filter owns its state, and what is on its way in it.
 * Threads:  vine_filter is for coroutines that are handlers of a procedure (vine/handler.h). The
 *           functions of a filter run on the appliance's workers, one at a time for each filter,
 *           not always on the same one; where there is no worker, on the core.
 * Blocking: as any socket: to write waits while much is on its way, and to read for what comes.
 * Trust:    the functions run outside of any micro-process, with all that the appliance has: what
 *           they are given is whatever somebody sent, in private memory that does not change.
 * Limits:   VINE_FILTER_BYTES on its way in, and as many out; these, the state and what `charge`
 *           and `more_memory` say are the pipe's, whose quota pays until the filter is gone.
 *
 * For what takes longer than a core may be held up, as compressing does. The coroutine stays what
 * it is, straight-line code that may do anything else besides:
 *
 *     VINE_COROUTINE(feeds)
 *     {
 *         struct { struct vine_socket *filter; } *self;
 *
 *         vine_begin();
 *         self->filter = *(struct vine_socket *const *)vine_argument();
 *         vine_forward(that->socket, self->filter);
 *         vine_close_output_on(self->filter);
 *         vine_end();
 *     }
 *
 *     VINE_COROUTINE(packs)
 *     {
 *         struct { struct vine_socket *filter; struct vine_coroutine *feeder; int level; } *self;
 *
 *         vine_begin();
 *         vine_filter(self->filter, &packing, &self->level, sizeof self->level);
 *         vine_child(feeds, &self->filter, self->feeder);
 *         vine_forward(self->filter, that->socket);
 *         vine_join(self->feeder);
 *         vine_end();
 *     }
 *
 * What is read ends when the output of the filter was closed and all was made of it. A function
 * that fails has its error raised by whoever reads or writes.
 */
#ifndef VINE_FILTER_H
#define VINE_FILTER_H

#include <vine/outside.h>
#include <vine/socket.h>

VINE_BEGIN_DECLARATIONS

#define VINE_FILTER_BYTES        262144
#define VINE_FILTER_ARGUMENT_MAX 64

/* What there is to be worked on, in one piece each. */
struct vine_filter_step {
    const unsigned char *input;
    size_t input_bytes; /* 0: what was taken before may still give something */
    bool is_last;       /* nothing follows it */
    size_t taken;       /* told: 0 at first */
    unsigned char *output;
    size_t room; /* 1 at least */
    size_t written;
    /* Told with VINE_FILTER_MORE: so many bytes the functions are about to take beside all that
     * was charged. They are the pipe's to pay for before the next step, or it ends with
     * -VINE_EQUOTA. */
    uint64_t more_memory;
    /* Told with an error, or NULL: why the task fails, if it does by that, as vine_call_reason
     * says. Copied. */
    const char *reason;
};

enum vine_filter_result {
    VINE_FILTER_ENOUGH = 0, /* all was taken, and nothing is to be written without more; of the
                             * last: all of it is written */
    VINE_FILTER_MORE = 1,   /* come again: the room was full, or not all was taken */
};

struct vine_filter_type {
    size_t size_bytes;  /* sizeof(struct vine_filter_type) */
    size_t state_bytes; /* at least 1; zeroed at first */
    /* How much memory the functions take beside the state, or NULL: none. On the core. */
    uint64_t (*charge)(const void *argument);
    /* Before the first step. Returns 0 or a negative error. Or NULL. */
    int (*begin)(void *state, const void *argument);
    /* Take and write as much as there is. Returns a vine_filter_result or a negative error, with
     * which all of it ends. To take nothing and write nothing and ask for more, but for more
     * memory, is a mistake: -VINE_EFAILED. */
    int (*step)(void *state, struct vine_filter_step *step);
    /* Once, where `begin` went well or is NULL. Or NULL. */
    void (*end)(void *state);
};

/*
 * Make one, of a `struct vine_filter_type *` that stays, with a copy of `argument_bytes` bytes at
 * `argument_pointer`. The socket is as one of vine_connect: it goes with the coroutine that has
 * made it, or by vine_close. Raises -EOPNOTSUPP: this micro-process runs for no task; -VINE_EQUOTA;
 * -EMFILE; -ENOMEM.
 */
#define vine_filter(ret_socket, filter_type, argument_pointer, argument_bytes)                     \
    do {                                                                                           \
        vine__operation("vine_filter",                                                             \
                        vine__filter(that, (filter_type), (argument_pointer), (argument_bytes)),   \
                        vine__filtered(that));                                                     \
        (ret_socket) = that->on;                                                                   \
    } while (0)

/* Private. */
VINE_API void vine__filter(struct vine_coroutine *that, const struct vine_filter_type *type,
                           const void *argument, size_t argument_bytes);
VINE_API bool vine__filtered(struct vine_coroutine *that);

VINE_END_DECLARATIONS

#endif
