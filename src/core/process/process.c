/* SPDX-License-Identifier: Apache-2.0 */
/* core/process/process.c - micro-processes of a core: how they begin, and how they end. */

#include <string.h>

#include <vine/error.h>

#include "arch/guard/closed.h"
#include "core/network/network.h"
#include "core/process/process_internal.h"
#include "utils/assert.h"
#include "utils/atomic.h"

#define COUNT_MAX   16384U
#define SOCKETS_MAX 16U
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
    for (uint32_t i = 0; i < VINE__GUARD_COLOURS_MAX; i++)
        vine__blocks_fini(&core->blocks[i]);
    vine__senders_fini(core);
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
    static uint32_t added; /* of the modules */
    int error = 0;

    while (error == 0 && added < vine__module_count()) {
        const struct vine__module *const module = vine__module_at(added + 1);

        if (module->text != module->text_end)
            error = vine__guard_add_text(module->text, module->text_end);
        added++;
    }
    return error;
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
        return here->is_stopping ? -VINE_ECLOSED : 0;
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
    core->page->record.quota = VINE__QUOTA;
    core->page->record.lent_bytes = VINE__BLOCK_BYTES;
    core->page->record.places_max = options->sockets_max != 0 ? options->sockets_max : SOCKETS_MAX;
    if (core->page->record.places_max >= VINE__PLACES_MAX)
        core->page->record.places_max = VINE__PLACES_MAX - 1;
    for (uint32_t i = 0; i < VINE__GUARD_COLOURS_MAX; i++)
        core->blocks[i].colour = i;
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
    return here != NULL && here->running != NULL ? here->running->io.connection : NULL;
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

static void run(struct vine_work *work)
{
    vine__process_dispatch(VINE_CONTAINER_OF(work, struct vine__process, work));
}

static void time_has_come(struct vine_timer *timer)
{
    struct vine__process *const process = VINE_CONTAINER_OF(timer, struct vine__process, timer);

    process->due_ns = 0;
    if (process->has_ended)
        vine__outlet_hurry(&process->io);
    else
        vine__process_dispatch(process);
}

/* The kernel has nothing of it any more. */
static void closed(struct vine_work *work)
{
    struct vine__process *const process = VINE_CONTAINER_OF(work, struct vine__process, closed);
    struct processes *const core = process->core;
    struct vine__process_options options = {.type = NULL};

    if (process->work.is_posted ||
        (process->furthers != NULL && process->furthers->hung_up.is_posted)) {
        vine_work_post(work); /* behind that one */
        return;
    }
    process->is_closed = true;
    if (!vine__furthers_are_closed(process))
        return; /* the last of them comes here again */
    (void)vine_timer_cancel(&process->timer);
    vine__outlet_fini(&process->io);
    vine__closed_free(process->furthers);
    vine__closed_free(process->last_fault);
    vine__list_remove(&process->link);
    core->count--;
    if (process->origin != NULL) {
        options = process->origin->options;
        vine__origin_give(process->origin);
    }
    vine__closed_free(process);
    if (options.gone != NULL)
        options.gone(options.context);
    vine__processes_let_go(core);
}

void vine__process_paint(const struct vine__process *process, struct vine_connection *connection)
{
    if (vine__guard_colour_count() > 1)
        vine__connection_paint(connection, process->colour);
}

static int init_inside(struct vine__process *process)
{
    const struct vine__process_options *const options = &process->origin->options;
    struct inside *const inside = (struct inside *)vine__inside_init(
        process->heap, sizeof(struct inside), options->type, (void *)(uintptr_t)options->argument);

    if (inside == NULL)
        return -ENOMEM;
    vine__socket_init(&inside->io, 0);
    process->inside = &inside->base;
    process->io.place = (uint32_t)((unsigned char *)&inside->io - process->heap->region.start);
    if (process->io.connection != NULL)
        inside->base.first->socket = &inside->io;
    vine__guard_close(&process->heap->region);
    return 0;
}

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
                        const struct vine_receive *receive)
{
    struct vine__process *const process = vine__closed_alloc(sizeof(*process));
    int error = -ENOMEM;

    if (process == NULL)
        goto fail;
    process->core = core;
    process->origin = vine__origin_take(core, options);
    if (process->origin == NULL)
        goto fail;
    process->io.process = process;
    process->io.connection = connection;
    error = vine__heap_take(core->heaps, colour, &process->heap);
    if (VINE__UNLIKELY(error != 0) && vine__parkers_hurry(core))
        error = vine__heap_take(core->heaps, colour, &process->heap);
    if (error != 0)
        goto fail;
    process->colour = (uint8_t)process->heap->region.colour;
    if (connection != NULL && receive == NULL)
        vine__process_paint(process, connection);
    error = init_inside(process);
    if (error != 0) {
        vine__heap_give(process->heap);
        goto fail;
    }
    if (receive != NULL)
        vine__outlet_came(&process->io, receive->bytes, receive->size);
    vine_work_init(&process->work, run);
    vine_work_init(&process->closed, closed);
    vine_timer_init(&process->timer, VINE_CLOCK_COARSE, time_has_come);
    vine__list_push_back(&core->all, &process->link);
    core->count++;
    core->counts.begun++;
    vine_work_post(&process->work);
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
    return vine__process_begin(here, connection, options, VINE__HEAP_ANY_COLOUR, NULL);
}

void vine__process_end(struct vine__process *process, const struct vine__process_end *end,
                       bool at_once)
{
    VINE_ASSERT(!process->has_ended);
    process->has_ended = true;
    (void)vine_timer_cancel(&process->timer);
    vine__mail_destroy(process->mail);
    process->mail = NULL;
    vine__heap_give(process->heap);
    process->heap = NULL;
    process->inside = NULL;
    vine__outside_end(process);
    vine__furthers_close(process, at_once);
    vine__outlet_close(&process->io, at_once);
    if (process->origin != NULL && process->origin->options.ended != NULL)
        process->origin->options.ended(process->origin->options.context, end);
}
