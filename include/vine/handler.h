/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/handler.h - what a coroutine learns that is the handler of a procedure.
 *
 * Owns:     nothing.
 * Threads:  coroutines of a procedure (`coroutine` of struct vine_procedure_definition), of each
 *           micro-process that runs for a task or a session.
 * Blocking: never.
 * Trust:    scalars are within the bounds that the procedure states; what is read from the task is
 *           the application's, and nobody has looked at it.
 * Limits:   VINE_ARGUMENTS_MAX scalars.
 *
 *     VINE_COROUTINE(echo)
 *     {
 *         struct { int unused; } *self;
 *
 *         vine_begin();
 *         vine_forward(that->socket, that->socket);
 *         vine_end();
 *     }
 *
 *     VINE_PROCEDURE(echo, .coroutine = VINE_COROUTINE_OF(echo), .arguments = ...);
 *
 * Standard input is what the task brings: the bytes that travelled with it, then its inputs, in
 * order. Standard output goes to its outputs, in order, or to its result where it has none; more
 * than they have room for is -EPIPE to the coroutine, and -VINE_EOVERFLOW to the application. The
 * task ends when the micro-process does: well, or with what nobody caught (-VINE_EFAILED for a
 * fault or an errno).
 *
 * Work that would hold up the core goes to a worker by vine/filter.h.
 *
 * In a stream the micro-process lives as long as that, and reads what its tasks bring, one after
 * the other (see vine/stream.h). A write waits for room, and a read for what comes. Behind the
 * last input it reads 0. Where there is a result and no output, its room is that of the last task,
 * and of those that bring nothing. When the application ends the session before, or the pipe is
 * lost, whatever it waits for ends with -ECANCELED, and a second later it is gone.
 */
#ifndef VINE_HANDLER_H
#define VINE_HANDLER_H

#include <vine/outside.h>
#include <vine/procedure.h>

VINE_BEGIN_DECLARATIONS

/* What is known of its task; of a session, of the first one. */
struct vine_handled {
    size_t size_bytes;    /* of this */
    uint64_t pipe;        /* whose it is: the number that events tell */
    uint64_t input_bytes; /* that it brings */
    uint64_t room_bytes;  /* that it takes */
    bool is_session;
    uint32_t scalar_count; /* those that were sent: the last ones may be missing */
    uint64_t scalars[VINE_ARGUMENTS_MAX];
};

/* Learn it: `handled` is a struct vine_handled * in the heap. Raises -ENOENT: this micro-process
 * runs for no task; -EFAULT: the memory is not its own. */
#define vine_handled(handled) vine__do_at("vine_handled", vine__handled_get(that, (handled)))

/* Say why its tasks fail, if they do, as vine_call_reason says: `text` is a const char * of its
 * heap, as in an array of the frame, that ends within VINE_REASON_MAX bytes. Raises -ENOENT: this
 * micro-process runs for no task; -EFAULT: the memory is not its own. */
#define vine_handled_reason(text)                                                                  \
    vine__do_at("vine_handled_reason", vine__handled_reason(that, (text)))

/*
 * The task is done: it ends well, with what was written, and what it brought and was not read is
 * thrown away. Wait for the next one of the same pipe and procedure, which has the standard input
 * and output anew; `is_there_lvalue`: whether there is one, else come to the end. The first
 * coroutine's alone.
 *
 *     vine_begin();
 *     do {
 *         ...                             as a handler of one task would be
 *         vine_task_next(self->is_there);
 *     } while (self->is_there);
 *     vine_end();
 *
 * What lies in the heap stays, children and files as well, and so does what the coroutine knows of
 * earlier tasks; a deadline does not. There is no next one in a session, for who was cancelled or
 * has written more than there was room for, where somebody still reads or writes on the standard
 * input or output, and after a second without tasks, or sooner where memory is short. An error or
 * fault ends the task at hand, and the micro-process with it; the next task has another one.
 */
#define vine_task_next(is_there_lvalue)                                                            \
    do {                                                                                           \
        vine__block_at("vine_task_next", vine__task_next_begin(that));                             \
        (is_there_lvalue) = that->result != 0;                                                     \
    } while (0)

/* Private. */
VINE_API void vine__handled_get(struct vine_coroutine *that, struct vine_handled *handled);
VINE_API void vine__task_next_begin(struct vine_coroutine *that);
VINE_API void vine__handled_reason(struct vine_coroutine *that, const char *text);

VINE_END_DECLARATIONS

#endif
