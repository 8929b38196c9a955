/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/await.h - tasks of appliances elsewhere, awaited by coroutines.
 *
 * Owns:     nothing: a task goes with the operation, however that ends.
 * Threads:  coroutines; remotes are added on core 0 before services start (vine/remote.h).
 * Blocking: the coroutine alone, and until its deadline (vine_deadline) at the latest.
 * Trust:    as vine/remote.h. A micro-process reaches what whoever wrote it has added, and no
 *           other appliance; what it brings is copied out of its heap once, and what comes is
 *           copied into it.
 * Limits:   as many at once as sockets of a micro-process; what fits into its heap.
 *
 * Caveats:  as vine/remote.h: a task that was left (by a deadline, by vine_cancel, or since its
 *           micro-process ended) may be run all the same. Pipes are no heap's memory: a wild
 *           pointer of a coroutine can reach them, as it does malloc's; with protection keys in
 *           an appliance with coroutines (vine/serving.h) it is trapped.
 */
#ifndef VINE_AWAIT_H
#define VINE_AWAIT_H

#include <vine/remote.h>
#include <vine/socket.h>
#include <vine/state.h>

VINE_BEGIN_DECLARATIONS

/* What a task brings and where what it makes goes: memory of the heap, or what is looked at
 * (vine_look) as its input. Zeroed fields: nothing. */
struct vine_awaited {
    const void *input; /* the procedure's VINE_INPUT, or where it has none its VINE_BYTES */
    size_t input_bytes;
    void *output; /* its VINE_OUTPUT, or its VINE_RESULT */
    size_t output_max;
    const uint64_t *scalars; /* of its VINE_SCALAR arguments, the first, */
    uint32_t scalar_count;   /* so many */
};

/*
 * Have the appliance `remote`, a struct vine_remote, run a procedure, and wait for its end:
 *
 *     vine_await(self->size, hashes, "sha256", .input = self->text, .input_bytes = self->length,
 *                .output = self->digest, .output_max = sizeof self->digest);
 *
 * `size_lvalue` is how much came. Raises -VINE_ENOAPPLIANCE: nobody is there; -VINE_EPROCEDURE: it
 * has no such procedure; -VINE_EARGUMENT: which takes other arguments; -VINE_EOVERFLOW: more comes
 * than there is room for; -VINE_EPEERLOST: the appliance is gone, and how the task ended is not
 * known; how the task failed (-VINE_EFAILED, ...); -EFAULT: the memory is not its own; -EINVAL:
 * there is no such remote; -ETIMEDOUT; -EMFILE: this micro-process has too many of all; -ENOMEM.
 */
#define vine_await(size_lvalue, remote, procedure, ...)                                            \
    do {                                                                                           \
        vine__operation(                                                                           \
            "vine_await",                                                                          \
            vine__await(that, (remote), (procedure), &(const struct vine_awaited){__VA_ARGS__}),   \
            vine__awaited(that));                                                                  \
        (size_lvalue) = (size_t)that->result;                                                      \
    } while (0)

/*
 * Connect to a procedure whose handler is a coroutine: a stream (vine/stream.h), as a socket like
 * those of vine_connect. What is written there is its standard input, what it writes is read here;
 * vine_close_output_on ends what it reads. It goes with the coroutine that has made it, and gives
 * the other one up unless its end was read.
 *
 * Raises what vine_await does; -VINE_ESESSION: the procedure has no streams. Reading and writing
 * raise how the stream failed. As many as the pipe has room for are open on a core (some twenty);
 * more wait in turn.
 */
#define vine_connect_remote(ret_socket, remote, procedure)                                         \
    do {                                                                                           \
        vine__operation("vine_connect_remote", vine__connect_remote(that, (remote), (procedure)),  \
                        vine__connected_remote(that));                                             \
        (ret_socket) = that->on;                                                                   \
    } while (0)

/* ---- what stands behind them; private -------------------------------------------------------- */

VINE_API void vine__await(struct vine_coroutine *that, struct vine_remote remote,
                          const char *procedure, const struct vine_awaited *awaited);
VINE_API bool vine__awaited(struct vine_coroutine *that);
VINE_API void vine__connect_remote(struct vine_coroutine *that, struct vine_remote remote,
                                   const char *procedure);
VINE_API bool vine__connected_remote(struct vine_coroutine *that);

VINE_END_DECLARATIONS

#endif
