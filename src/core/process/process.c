/* SPDX-License-Identifier: Apache-2.0 */
/* core/process/process.c - micro-processes of a core: how they begin, and how they end. */

#include <vine/error.h>

#include "arch/guard/closed.h"
#include "core/process/process_internal.h"
#include "utils/atomic.h"

#define COUNT_MAX   16384U
#define SOCKETS_MAX 16U
#define QUOTA       1024U /* how often coroutines go on in a run */
#define DRAIN_NS    (3 * VINE_NS_PER_SECOND)

static _Thread_local struct processes *here;

/* Each its core's. Not in what is freed at the end: the loop looks at them after that. */
static struct vine_stopper stoppers[VINE_CORES_MAX];

/* ---- a core ---------------------------------------------------------------------------------- */

static void let_go(void *context)
{
    struct processes *const core = context;

    vine__processes_drained(core);
    vine__parkers_end(core);
    vine__process_metrics_stop(core);
    vine__heap_pool_destroy(core->heaps);
    vine__polling_core_fini(&core->polling);
    vine__record_destroy(core);
    vine__guard_thread_stop();
    here = NULL;
    vine_stopper_done(&stoppers[vine_core()]);
    vine__closed_free(core);
}

void vine__processes_let_go(struct processes *core)
{
    if (core->is_stopping && core->count == 0 && core->parked_count == 0)
        vine__mail_core_stop(let_go, core);
}

static int64_t drain_here(void *nothing)
{
    (void)nothing;
    if (here != NULL)
        vine__processes_drain(here);
    return 0;
}

static void stop(struct vine_stopper *stopper)
{
    struct processes *const core = here;

    (void)stopper;
    core->is_stopping = true;
    vine__processes_drain(core);
    /* The others begin now, and not only when this core is done; at the latest then, though. */
    for (uint32_t other = 1; vine_core() == 0 && other < vine_core_count(); other++)
        if (vine_submit_to(other, drain_here, NULL) != 0)
            break;
    vine__processes_let_go(core);
}

int vine__processes_prepare(void)
{
    const uint32_t count = vine__module_count();
    int error = 0;

    /* All of them: a number may be another module's than at the last look. */
    for (uint32_t number = 1; error == 0 && number <= count; number++) {
        const struct vine__module *const module = vine__module_at(number);

        if (module != NULL && module->text != module->text_end)
            error = vine__guard_add_text(module->text, module->text_end);
    }
    return error;
}

/* Nothing is left of it but this. */
static void closed(struct vine__polling *polling)
{
    struct vine__process *const process = vine__process_of(polling);
    struct processes *const core = vine__core_of(process);
    struct vine__process_options options = {.type = NULL};

    vine__closed_free(process->last_fault);
    vine__list_remove(&process->link);
    core->count--;
    if (core->running == process)
        core->running = NULL;
    if (process->origin != NULL) {
        options = process->origin->options;
        vine__origin_give(process->origin);
    }
    vine__closed_free(process);
    if (options.gone != NULL)
        options.gone(options.context);
    vine__processes_let_go(core);
}

static const struct vine__polling_calls calls = {.run = vine__process_dispatch, .closed = closed};

static uint32_t places_of(const struct vine__processes_options *options)
{
    const uint32_t wished = options->sockets_max != 0 ? options->sockets_max : SOCKETS_MAX;

    return wished < VINE__PLACES_MAX ? wished : VINE__PLACES_MAX - 1;
}

/* What there is already serves another one, too. */
static int join_in(const struct vine__processes_options *options)
{
    if (here->is_stopping)
        return -VINE_ECLOSED;
    if (places_of(options) > here->polling.places_max) {
        here->polling.places_max = places_of(options);
        here->page->record.places_max = here->polling.places_max;
    }
    return 0;
}

int vine__processes_start(const struct vine__processes_options *options)
{
    const struct vine__heap_pool_options heaps = {
        .heap_bytes = options->heap_bytes,
        .count_max = options->count_max != 0 ? options->count_max : COUNT_MAX,
        .pool_count = vine_core_count(),
    };
    struct processes *core;
    int error;

    if (here != NULL)
        return join_in(options);
    core = vine__closed_alloc(sizeof(*core));
    if (core == NULL)
        return -ENOMEM;
    vine__list_init(&core->all);
    vine__list_init(&core->parked);
    error = vine__guard_thread_start();
    if (error != 0)
        goto fail;
    error = vine__record_create(core);
    if (error != 0)
        goto fail_record;
    core->drain_ns = options->drain_ns != 0 ? options->drain_ns : DRAIN_NS;
    core->page->record.quota = QUOTA;
    core->page->record.lent_bytes = VINE__BLOCK_BYTES;
    core->page->record.places_max = places_of(options);
    vine__polling_core_init(&core->polling, &calls, core->page->record.places_max);
    error = vine__mail_core_start();
    if (error == 0)
        error = vine__heap_pool_create(&heaps, &core->heaps);
    if (error != 0)
        goto fail_record;
    error = vine__process_metrics_start(core);
    if (error != 0) {
        vine__heap_pool_destroy(core->heaps);
        goto fail_record;
    }
    here = core;
    vine_at_stop(&stoppers[vine_core()], stop);
    return 0;
fail_record:
    vine__record_destroy(core);
    vine__guard_thread_stop();
fail:
    vine__closed_free(core);
    return error;
}

struct processes *vine__processes_here(void)
{
    return here;
}

const struct vine__process_kind *vine__process_running(struct vine__process_end *ret_end)
{
    if (here == NULL || here->running == NULL)
        return NULL;
    vine__process_describe(here->running, ret_end);
    return here->running->origin != NULL ? here->running->origin->options.kind : NULL;
}

struct vine_connection *vine__process_running_connection(void)
{
    return here != NULL && here->running != NULL ? here->running->polling.io.connection : NULL;
}

void vine__process_explain(char ret_text[VINE__HEAP_WHY_BYTES])
{
    ret_text[0] = '\0';
    if (here != NULL)
        vine__heap_pool_explain(here->heaps, ret_text);
}

uint32_t vine__process_count(void)
{
    return here != NULL ? here->count : 0;
}

/* ---- a micro-process ------------------------------------------------------------------------- */

static void refuse(struct vine_connection *connection, const struct vine__process_options *options,
                   int error)
{
    if (options->kind != NULL && options->kind->refuse != NULL)
        options->kind->refuse(options->kind, connection, error, options->context);
    else
        vine_connection_close(connection, NULL);
}

int vine__process_begin(struct processes *core, struct vine_connection *connection,
                        const struct vine__process_options *options, uint32_t colour,
                        const struct vine_receive *receive, struct vine_kept *kept)
{
    struct vine__process *const process = vine__closed_alloc_lines(sizeof(*process));
    struct vine__polling_options outside = {.core = &core->polling,
                                            .connection = connection,
                                            .receive = receive,
                                            .type = options->type,
                                            .argument = options->argument};
    int error = -ENOMEM;

    if (process == NULL)
        goto fail;
    process->origin = vine__origin_take(core, options);
    if (process->origin == NULL)
        goto fail;
    error = vine__heap_take(core->heaps, colour, &outside.heap);
    if (VINE__UNLIKELY(error != 0) && vine__parkers_hurry(core))
        error = vine__heap_take(core->heaps, colour, &outside.heap);
    if (error != 0)
        goto fail;
    error = vine__polling_begin(&process->polling, &outside);
    if (error != 0) {
        vine__heap_give(outside.heap);
        goto fail;
    }
    vine__list_push_back(&core->all, &process->link);
    core->count++;
    core->counts.begun++;
    process->kept = kept;
    vine_work_post(&process->polling.work);
    return 0;
fail:
    core->counts.refused++;
    if (process != NULL && process->origin != NULL)
        vine__origin_give(process->origin);
    vine__closed_free(process);
    if (connection != NULL)
        refuse(connection, options, error);
    return error;
}

int vine__process_start(struct vine_connection *connection,
                        const struct vine__process_options *options)
{
    if (here == NULL || here->is_stopping) {
        if (connection != NULL)
            refuse(connection, options, -VINE_ECLOSED);
        return -VINE_ECLOSED;
    }
    return vine__process_begin(here, connection, options, VINE__HEAP_ANY_COLOUR, NULL, NULL);
}

int vine__process_start_held(struct vine_connection *connection,
                             const struct vine__process_options *options,
                             struct vine__process **ret_process)
{
    const int error = vine__process_start(connection, options);

    VINE_ASSERT(options->is_held);
    if (error == 0)
        *ret_process = VINE_LIST_OBJECT(here->all.prev, struct vine__process, link);
    return error;
}

void vine__process_end(struct vine__process *process, const struct vine__process_end *end,
                       bool at_once)
{
    struct vine__heap *const heap = process->polling.heap;

    vine__polling_end(&process->polling, at_once);
    vine__heap_give(heap);
    vine__outside_end(process);
    if (process->origin != NULL && process->origin->options.ended != NULL)
        process->origin->options.ended(process->origin->options.context, end);
}
