/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/procedure.h - how a procedure is written: what it declares, what its handler may do.
 *
 * Owns:     nothing; a definition is constant and lives as long as the appliance that offers it.
 * Threads:  a handler runs on a worker thread, several at once; one marked VINE_PROCEDURE_SHORT,
 *           or a task within its `short_input_max`, runs on the serving loop, one at a time. A
 *           session's tasks run one at a time, not always on the same thread.
 * Blocking: a handler may block, unless it runs on the loop. A coroutine waits without a thread.
 * Trust:    sizes, counts, types and limits are checked before a handler runs. With
 *           VINE_ARGUMENTS_COPIED (the default) inputs are private copies. With
 *           VINE_ARGUMENTS_SHARED they are the application's memory, which can change while it is
 *           read: the handler's author promises to read each byte once, or to tolerate change.
 *           Outputs lie in memory that the application reads while it is written, never writes.
 * Limits:   VINE_ARGUMENTS_MAX arguments; VINE_RESULT_MAX bytes of result.
 */
#ifndef VINE_PROCEDURE_H
#define VINE_PROCEDURE_H

#include <vine/talk.h>

VINE_BEGIN_DECLARATIONS

/* One invocation, as its handler sees it; valid until the handler returns. Arguments are named by
 * their index in the definition. */
struct vine_call;

struct vine_coroutine_type;

enum vine_procedure_flags {
    VINE_ARGUMENTS_COPIED = 0,
    VINE_ARGUMENTS_SHARED = 1, /* zero-copy inputs: see Trust */
    VINE_PROCEDURE_SHORT = 2,  /* takes microseconds: run on the loop itself */
    /* Shared with a handler that itself copies each input, once, before anything looks at it: so
     * applications are told VINE_ARGUMENTS_COPIED. For handlers that pass tasks on. */
    VINE_ARGUMENTS_COPIED_BY_HANDLER = 4 | VINE_ARGUMENTS_SHARED,
    /* A task that runs twice has the effects of one: applications may issue it anew when they have
     * lost the appliance while it ran. */
    VINE_PROCEDURE_IDEMPOTENT = 8,
};

/* Returns 0, or a negative code with which the task ends: one of Vine's own, or an errno, which
 * the application sees as -VINE_EFAILED. */
typedef int (*vine_procedure_fn)(struct vine_call *call);

struct vine_procedure_definition {
    size_t size_bytes;            /* sizeof(struct vine_procedure_definition) */
    const char *name;             /* 1 .. VINE_NAME_MAX bytes of [a-z0-9_.-] */
    const char *summary;          /* one line for `vine procs` */
    const char *accelerator_type; /* NULL: "cpu" */
    uint32_t flags;               /* enum vine_procedure_flags */
    uint32_t argument_count;
    const struct vine_argument *arguments;
    vine_procedure_fn run;

    /* Tasks whose inputs hold at most this many bytes together run on the loop, as those of a
     * VINE_PROCEDURE_SHORT one always do; larger ones on a worker. 0: none do. Choose what takes
     * a few microseconds: handing a task to a worker costs about as much. */
    size_t short_input_max;

    /* Work that spans tasks: `state_bytes` > 0 allows sessions. `begin` (may be NULL) prepares the
     * zeroed state before the session's first task; `end` (may be NULL) runs once, after the last
     * task, a cancel, or the loss of the pipe. */
    size_t state_bytes;
    int (*begin)(void *state);
    void (*end)(void *state);

    /* A coroutine (vine/coroutine.h, VINE_COROUTINE_OF), which has a micro-process for each task or
     * session: its standard input is the bytes and inputs of the task, its standard output the
     * task's outputs, or its result where there are none (vine/handler.h). It always has streams
     * (vine/stream.h).
     * In place of `run`: all else above but for name, summary, type and arguments is zero, its
     * sessions are streams, and it is for appliances on reactors (vine/serving.h) alone.
     * Beside `run`: that is for tasks without a session and, where there is a `state_bytes`, for
     * sessions, and this for streams; without it all sessions are streams. An appliance that runs
     * no coroutines does without. */
    const struct vine_coroutine_type *coroutine;
};

/* A VINE_SCALAR argument; `otherwise` where the task did not send it. */
VINE_API uint64_t vine_call_scalar(const struct vine_call *call, uint32_t argument,
                                   uint64_t otherwise);

/* A VINE_BYTES or VINE_INPUT argument and its size. Never NULL where *ret_size is not 0. */
VINE_API const void *vine_call_bytes(const struct vine_call *call, uint32_t argument,
                                     size_t *ret_size);

/* The memory for a VINE_OUTPUT argument and the room that the task stated. NULL with room 0 where
 * the task did not ask for it. */
VINE_API void *vine_call_output(struct vine_call *call, uint32_t argument, size_t *ret_room);

/* How much of it was written; 0 if never called. Returns 0; -VINE_EOVERFLOW  more than the room. */
VINE_API VINE_MUST_CHECK int vine_call_output_size(struct vine_call *call, uint32_t argument,
                                                   size_t size);

/* Set the VINE_RESULT argument; copied. Returns 0; -VINE_EOVERFLOW  more than the stated
 * maximum. */
VINE_API VINE_MUST_CHECK int vine_call_result(struct vine_call *call, const void *bytes,
                                              size_t size);

/* Say why the task fails, as printf does: a short sentence for people, which vine_task_reason gives
 * them. The last one counts, if the handler returns an error then. Cut off behind VINE_REASON_MAX
 * bytes; what is not printable ASCII becomes a `?`. Where the pipe's quota has no room for it,
 * nothing is said. Coroutines have vine_handled_reason (vine/handler.h). */
VINE_API void vine_call_reason(struct vine_call *call, const char *format, ...) VINE_PRINTF(2, 3);

/* The session's state, or NULL outside of one; whether this task is its last. */
VINE_API void *vine_call_state(const struct vine_call *call);
VINE_API bool vine_call_is_last(const struct vine_call *call);

/* Whether the result is no longer wanted (canceled, pipe lost). Long handlers ask now and then and
 * return -VINE_ECANCELED. */
VINE_API bool vine_call_is_canceled(const struct vine_call *call);

/* The definition that the task was checked against: of a handler that serves many, made while the
 * program runs, it is the way to the struct that holds it. */
VINE_API const struct vine_procedure_definition *vine_call_definition(const struct vine_call *call);

/* All that travelled with the task itself, as it was sent: scalars (uint64_t each, in order; the
 * last ones may be missing), then bytes. A private copy. Never NULL where *ret_size is not 0. */
VINE_API const void *vine_call_task_bytes(const struct vine_call *call, size_t *ret_size);

/* Whose task it is: the number of its pipe, as events tell it. */
VINE_API uint64_t vine_call_pipe(const struct vine_call *call);

/* Hold `bytes` more (or less: negative) of the pipe's quota for what the state allocated itself.
 * Returns 0; -VINE_EQUOTA. Given back when the session ends. */
VINE_API VINE_MUST_CHECK int vine_call_charge(struct vine_call *call, int64_t bytes);

/* ---- procedure libraries --------------------------------------------------------------------- */

/* What `vine appliance --procs DIR` finds in a shared object. */
struct vine_procedure_library {
    uint64_t magic;
    uint32_t abi_version;
    uint32_t definition_bytes;
    const struct vine_procedure_definition *const *begin;
    const struct vine_procedure_definition *const *end;
};

#define VINE_PROCEDURE_LIBRARY_MAGIC  0x3142494c454e4956ULL /* "VINELIB1" */
#define VINE_PROCEDURE_LIBRARY_ABI    2u
#define VINE_PROCEDURE_LIBRARY_SYMBOL "vine_procedure_library"

VINE_END_DECLARATIONS

#ifndef __cplusplus
/*
 * Declare a procedure of this shared object, at file scope, once for each:
 *
 *     VINE_PROCEDURE(rot13, .summary = "rotate letters by 13", .run = rot13,
 *                    .arguments = rot13_arguments, .argument_count = 2);
 *
 * The name is used as it stands. The linker gathers those of all files in one table.
 */
#define VINE_PROCEDURE(procedure_name, ...)                                                        \
    static const struct vine_procedure_definition vine_procedure_##procedure_name = {              \
        .size_bytes = sizeof(struct vine_procedure_definition),                                    \
        .name = #procedure_name,                                                                   \
        __VA_ARGS__};                                                                              \
    static const struct vine_procedure_definition *const vine_procedure_entry_##procedure_name     \
        __attribute__((used, section("vine_procedures"))) = &vine_procedure_##procedure_name

/* Once in each shared object, in any of its files: shows the table to `vine appliance`. The bounds
 * are hidden, so that each object finds its own. */
#define VINE_PROCEDURE_LIBRARY()                                                                   \
    extern const struct vine_procedure_definition *const __start_vine_procedures[]                 \
        __attribute__((visibility("hidden")));                                                     \
    extern const struct vine_procedure_definition *const __stop_vine_procedures[]                  \
        __attribute__((visibility("hidden")));                                                     \
    VINE_API const struct vine_procedure_library vine_procedure_library = {                        \
        VINE_PROCEDURE_LIBRARY_MAGIC,                                                              \
        VINE_PROCEDURE_LIBRARY_ABI,                                                                \
        sizeof(struct vine_procedure_definition),                                                  \
        __start_vine_procedures,                                                                   \
        __stop_vine_procedures,                                                                    \
    }
#endif

#endif
