/* SPDX-License-Identifier: Apache-2.0 */
/* The executor of a part: it begins a micro-process for each task or session, and ends them. */
#include "core/appliance/coroutines.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include <vine/error.h>

#include "arch/guard/closed.h"
#include "arch/guard/guard.h"
#include "arch/memory/memory.h"
#include "core/appliance/stream_internal.h"
#include "core/service/service.h"
#include "utils/container_of.h"

#define HEAP_BYTES 65536U
#define KILL_NS    VINE_NS_PER_SECOND /* that one has to end in once it is cancelled */
#define IO_BYTES   (3 * 16384U)       /* blocks that it reads and writes */

/* What all micro-processes of a procedure have in common. */
struct kind {
    struct vine__process_kind base;
    const struct vine_procedure_definition *definition;
    struct kind *next;
};

struct vine__coroutines {
    struct vine__executor executor;
    struct vine_appliance *part;
    struct kind *kinds;
    uint32_t count;         /* of streams */
    struct vine_work *none; /* when there is none left; or NULL */
};

/* ---- procedures ------------------------------------------------------------------------------ */

/* Any thread may register. */
static pthread_mutex_t check_lock = PTHREAD_MUTEX_INITIALIZER;

static int check(void *context, const struct vine_procedure_definition *definition)
{
    int error;

    (void)context;
    pthread_mutex_lock(&check_lock);
    error = vine__service_add_library(definition->coroutine);
    if (error == 0)
        error = vine__processes_prepare();
    pthread_mutex_unlock(&check_lock);
    return error;
}

/* What a procedure says of its task is none of its mistakes, and no line of the log. */
static void crashed(const struct vine__process_kind *kind, const struct vine__process_end *end)
{
    const bool is_answer = !end->is_fault && end->error <= -1000 && end->error != -VINE_ECORRUPT;

    if (!is_answer)
        vine__service_tell_crash(kind, end);
}

/* Those that have run are few. Returns NULL: no memory. */
static const struct vine__process_kind *kind_of(struct vine__coroutines *core,
                                                const struct vine_procedure_definition *definition)
{
    struct kind *kind = core->kinds;

    while (kind != NULL && kind->definition != definition)
        kind = kind->next;
    if (kind != NULL)
        return &kind->base;
    kind = vine__closed_alloc(sizeof *kind);
    if (kind == NULL)
        return NULL;
    *kind = (struct kind){
        .base = {.name = definition->name, .crashed = crashed},
        .definition = definition,
        .next = core->kinds,
    };
    core->kinds = kind;
    return &kind->base;
}

/* ---- streams --------------------------------------------------------------------------------- */

void vine__stream_look(struct vine__stream *stream)
{
    struct vine__coroutines *const core = stream->core;

    if (stream->has_connection || stream->held != NULL || stream->settle.is_posted ||
        (stream->session != NULL && !stream->is_left))
        return;
    VINE_ASSERT(stream->is_over);
    (void)vine_timer_cancel(&stream->kill);
    if (stream->session != NULL)
        vine__session_leave(stream->session);
    if (--core->count == 0 && core->none != NULL)
        vine_work_post(core->none);
    vine__closed_free(stream);
}

static void ended(void *context, const struct vine__process_end *end)
{
    struct vine__stream *const stream = context;

    vine__warm_leave(stream);
    if (end->is_fault) {
        (void)snprintf(stream->reason, sizeof stream->reason, "its handler ended by %s",
                       vine__guard_signal_name(end->fault.signal));
        stream->has_reason = true;
    }
    if (end->error != 0)
        vine__stream_fail(stream, end->error == -ECANCELED ? -VINE_ECANCELED : end->error);
}

static void gone(void *context)
{
    struct vine__stream *const stream = context;

    stream->held = NULL;
    vine__stream_finish(stream);
    vine__stream_look(stream);
}

static void kill_it(struct vine_timer *timer)
{
    struct vine__stream *const stream = VINE_CONTAINER_OF(timer, struct vine__stream, kill);

    if (stream->held != NULL)
        vine__process_kill(stream->held);
}

void vine__stream_end_soon(struct vine__stream *stream)
{
    if (!vine_timer_is_armed(&stream->kill))
        vine_timer_arm_after(&stream->kill, KILL_NS);
}

static void cancel_process(struct vine__stream *stream)
{
    if (stream->held == NULL)
        return;
    stream->is_cancelled = true;
    vine__process_cancel(stream->held);
    vine__stream_end_soon(stream);
}

static void start(struct vine__stream *stream, const struct vine_call *call)
{
    const struct vine_procedure_definition *const definition = vine_call_definition(call);
    const struct vine__process_options options = {
        .type = definition->coroutine,
        .kind = kind_of(stream->core, definition),
        .ended = ended,
        .gone = gone,
        .rests = stream->is_single ? vine__warm_rests : NULL,
        .dismissed = vine__warm_dismissed,
        .context = stream,
        .is_held = true,
    };

    vine_timer_init(&stream->kill, VINE_CLOCK_COARSE, kill_it);
    if (vine__process_start_held(&stream->base, &options, &stream->held) != 0)
        vine__stream_fail(stream, -VINE_EQUOTA);
    vine__stream_look(stream);
}

static void begin(void *context, struct vine_call *call)
{
    struct vine__coroutines *const core = context;
    struct vine__session *const session = vine__call_session(call);
    struct vine__stream *stream = session != NULL ? vine__session_kept(session) : NULL;

    if (stream != NULL) {
        vine__stream_add(stream, call);
        return;
    }
    stream = vine__stream_create(core, call);
    if (stream == NULL) {
        vine__call_end(call, -VINE_EQUOTA);
        return;
    }
    core->count++;
    stream->session = session;
    if (session != NULL)
        vine__session_keep(session, stream);
    vine__stream_add(stream, call);
    start(stream, call);
}

static bool begin_now(void *context, struct vine_call *call)
{
    struct vine__session *const session = vine__call_session(call);
    struct vine__stream *stream;

    (void)context;
    if (session == NULL)
        return vine__warm_begin(call);
    stream = vine__session_kept(session);
    if (stream == NULL || stream->is_over)
        return false; /* behind those that have ended with it */
    vine__stream_add_now(stream, call);
    return true;
}

static void pipe_ended(void *context, void *kept)
{
    (void)context;
    vine__warm_end(kept);
}

static bool spare(void *context, void *kept)
{
    (void)context;
    return vine__warm_spare(kept);
}

static void cancel(void *context, struct vine_call *call)
{
    struct vine__stream *const stream = vine__call_executed(call)->kept;

    (void)context;
    if (vine__stream_cancel(stream, call))
        cancel_process(stream);
}

static void session_ended(void *context, void *kept, bool is_pipe_over)
{
    struct vine__stream *const stream = kept;
    const bool is_cut = is_pipe_over || !stream->has_last || stream->is_given_up;

    (void)context;
    if (is_cut)
        vine__stream_fail(stream, -VINE_ECANCELED);
    vine__stream_leave(stream);
    if (is_cut)
        cancel_process(stream);
    vine__stream_look(stream);
}

/* ---- a part ---------------------------------------------------------------------------------- */

static const struct vine__memory_watch closing = {.mapped = vine__guard_paint_shared};

int vine__coroutines_create(struct vine_appliance *part, const struct vine_service_options *options,
                            struct vine__coroutines **ret_coroutines)
{
    static const struct vine_service procedures = {.size_bytes = sizeof procedures,
                                                   .name = "procedures"};
    const uint64_t heap_bytes = options->heap_bytes != 0 ? options->heap_bytes : HEAP_BYTES;
    struct vine__coroutines *core;
    int error = vine_core() == 0 ? vine__service_prepare(&procedures, options)
                                 : vine__service_start_core(&procedures, options);

    if (error != 0)
        return error;
    /* Pipes are the loop's and its workers', and no micro-process has anything to seek there. By
     * mprotect it would be two more system calls for each extent of each pipe, and each run. */
    if (vine__guard_kind() == VINE__GUARD_PKU)
        vine__memory_at_map(&closing);
    core = vine__closed_alloc(sizeof *core);
    if (core == NULL)
        return -ENOMEM;
    core->part = part;
    core->executor = (struct vine__executor){
        .bytes = heap_bytes + IO_BYTES + sizeof(struct vine__stream),
        .check = check,
        .begin = begin,
        .begin_now = begin_now,
        .pipe_ended = pipe_ended,
        .spare = spare,
        .cancel = cancel,
        .session_ended = session_ended,
    };
    vine__appliance_set_executor(part, &core->executor, core);
    *ret_coroutines = core;
    return 0;
}

struct vine_appliance *vine__coroutines_part(const struct vine__coroutines *coroutines)
{
    return coroutines->part;
}

void vine__coroutines_wait(struct vine__coroutines *coroutines, struct vine_work *none)
{
    coroutines->none = none;
    if (coroutines->count == 0)
        vine_work_post(none);
}

uint64_t vine__coroutines_bytes(const struct vine__coroutines *core)
{
    return core->executor.bytes;
}

uint32_t vine__coroutines_count(const struct vine__coroutines *coroutines)
{
    return coroutines->count;
}

void vine__coroutines_destroy(struct vine__coroutines *coroutines)
{
    struct kind *next;

    if (coroutines == NULL)
        return;
    VINE_ASSERT(coroutines->count == 0);
    for (struct kind *kind = coroutines->kinds; kind != NULL; kind = next) {
        next = kind->next;
        vine__closed_free(kind);
    }
    vine__closed_free(coroutines);
}
