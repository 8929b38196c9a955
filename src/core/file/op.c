/* SPDX-License-Identifier: Apache-2.0 */
#include "core/file/file_internal.h"

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "utils/atomic.h"

/* So many requests go to the kernel at once. All of a turn in one go would take less of the
 * processor (a fifth, measured at depth 32), but the kernel holds a batch back until it is whole,
 * and the device has nothing to do meanwhile (7 to 9 % fewer reads in a second). */
#define FLUSH_EVERY 4

/* One set of reactors at a time; each core writes its own. */
static struct vine__file_core *cores[VINE_CORES_MAX];

struct vine__file_core *vine__file_here(void)
{
    struct vine__file_core *const core = cores[vine_core()];

    VINE_ASSERT(core != NULL); /* vine__file_start was not called here */
    return core;
}

/* ---- operations ------------------------------------------------------------------------------ */

static struct vine_file_op *op_of_work(struct vine_work *work)
{
    return VINE_CONTAINER_OF(work, struct vine_file_op, work);
}

static void run_step(struct vine_work *work)
{
    struct vine_file_op *const op = op_of_work(work);

    op->step(op);
}

void vine_file_op_init(struct vine_file_op *op, vine_file_fn fn)
{
    VINE_ASSERT(fn != NULL);
    *op = (struct vine_file_op){.fn = fn};
    vine_work_init(&op->work, run_step);
}

void vine_file_op_set_class(struct vine_file_op *op, struct vine_io_class io_class)
{
    VINE_ASSERT(op->state == VINE__FILE_IDLE && io_class.id < VINE_IO_CLASSES_MAX);
    op->io_class = io_class.id;
}

void vine__file_begin(struct vine_file_op *op, struct vine_file *file,
                      void (*step)(struct vine_file_op *op))
{
    VINE_ASSERT(op->fn != NULL && op->state == VINE__FILE_IDLE);
    op->result = 0;
    op->count = 0;
    op->step = step;
    op->file = file;
    op->is_cancelled = false;
    op->holds_file = false;
    op->cuts_tail = false;
    op->bounce = NULL;
    if (file != NULL)
        file->pending++;
}

void vine__file_post(struct vine_file_op *op)
{
    op->state = VINE__FILE_POSTED;
    vine_work_post(&op->work);
}

/* What it held goes to others before its owner is told, who may free it. */
void vine__file_finish(struct vine_file_op *op, int64_t result)
{
    op->result = result;
    vine__file_count(vine__file_here(), op);
    vine__file_bounce_release(op);
    if (op->file != NULL) {
        vine__file_let_go(op);
        op->file->pending--;
    }
    op->state = VINE__FILE_IDLE;
    op->fn(op);
}

static void finish_posted(struct vine_file_op *op)
{
    vine__file_finish(op, op->result);
}

void vine__file_post_finish(struct vine_file_op *op, int64_t result)
{
    op->result = result;
    op->step = finish_posted;
    vine__file_post(op);
}

/* ---- requests -------------------------------------------------------------------------------- */

void vine__io_arrive(struct vine_io_request *request)
{
    request->state = VINE__IO_IDLE;
    request->is_away = false;
    vine__file_post(VINE_CONTAINER_OF(request, struct vine_file_op, request));
}

/* On the core whose kernel queue had it. */
static void see_end(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct vine_io_request *const request =
        VINE_CONTAINER_OF((uint64_t(*)[12])(void *)operation, struct vine_io_request, operation);
    struct vine__file_core *const core = request->core;

    (void)flags;
    request->result = result;
    if (!vine_on_reactor())
        return; /* the reactor is being destroyed: nobody is left to be told */
    if (request->is_queued)
        vine__io_queue_ended(&core->queue, request);
    if (request->origin != core->core)
        vine__io_send_back(core, request);
    else
        vine__io_arrive(request);
}

struct vine__operation *vine__file_operation(struct vine_file_op *op, enum vine__poll_kind kind)
{
    struct vine__operation *const operation = vine__io_operation(&op->request);

    *operation = (struct vine__operation){
        .fn = see_end,
        .kind = (uint8_t)kind,
        .fd = op->file != NULL ? op->file->fd : -1,
    };
    return operation;
}

void vine__file_request(struct vine_file_op *op)
{
    struct vine__file_core *const core = vine__file_here();
    struct vine_io_request *const request = &op->request;

    op->state = VINE__FILE_REQUESTED;
    request->core = core;
    request->origin = core->core;
    request->is_queued = false;
    request->state = VINE__IO_SUBMITTED;
    vine__poller_begin(core->poller, vine__io_operation(request));
}

static void submit(struct vine__io_queue *queue, struct vine_io_request *request)
{
    struct vine__file_core *const core = VINE_CONTAINER_OF(queue, struct vine__file_core, queue);

    vine__poller_begin(core->poller, vine__io_operation(request));
    if (++core->begun % FLUSH_EVERY == 0)
        (void)vine__poller_flush(core->poller);
}

void vine__io_take(struct vine__file_core *core, struct vine_io_request *request)
{
    request->core = core;
    vine__io_queue_add(&core->queue, request);
}

void vine__file_request_data(struct vine_file_op *op)
{
    struct vine__file_core *const core = vine__file_here();
    struct vine_io_request *const request = &op->request;
    struct vine__operation *const operation = vine__io_operation(request);

    op->state = VINE__FILE_REQUESTED;
    request->origin = core->core;
    request->io_class = op->io_class;
    request->is_queued = true;
    if (!core->has_queue) {
        vine__io_send(core, request);
        return;
    }
    /* What our kernel queue keeps hold of, a neighbour's does not. */
    if (op->file->place != 0) {
        operation->is_fixed = true;
        operation->fd = (int)op->file->place - 1;
    }
    if ((operation->kind == VINE__POLL_READ || operation->kind == VINE__POLL_WRITE) &&
        vine__file_pool_knows(&core->pool, operation->bytes, operation->size))
        operation->buffer_index = 1;
    vine__io_take(core, request);
}

bool vine__file_is_disturbed(struct vine_file_op *op)
{
    if (op->request.result != -EINTR || op->is_cancelled)
        return false;
    if (op->request.is_queued)
        vine__file_request_data(op);
    else
        vine__file_request(op);
    return true;
}

int32_t vine__file_request_result(const struct vine_file_op *op)
{
    return op->request.result == -EINTR ? -ECANCELED : op->request.result;
}

/* ---- cancelling ------------------------------------------------------------------------------ */

void vine__io_cancel(struct vine__file_core *core, struct vine_io_request *request)
{
    if (request->state == VINE__IO_SUBMITTED) {
        vine__poller_cancel(core->poller, vine__io_operation(request));
    } else if (request->state == VINE__IO_QUEUED) {
        vine__io_queue_remove(&core->queue, request);
        request->state = VINE__IO_ENDED;
        request->result = -ECANCELED;
        if (request->origin != core->core)
            vine__io_send_back(core, request);
        else
            vine__io_arrive(request);
    }
}

void vine_file_cancel(struct vine_file_op *op)
{
    struct vine__file_core *const core = vine__file_here();

    if (op->state == VINE__FILE_IDLE || op->is_cancelled)
        return;
    op->is_cancelled = true;
    switch (op->state) {
    case VINE__FILE_HOLDING_ON:
        vine__file_stop_waiting(op);
        vine__file_post_finish(op, -ECANCELED);
        break;
    case VINE__FILE_UNBUFFERED:
        vine__file_bounce_stop_waiting(op);
        vine__file_post_finish(op, -ECANCELED);
        break;
    case VINE__FILE_REQUESTED:
        if (op->request.is_away)
            vine__io_send_cancel(core, &op->request);
        else
            vine__io_cancel(core, &op->request);
        break;
    default:
        break; /* its step will look */
    }
}

/* ---- cores ----------------------------------------------------------------------------------- */

static void init_batch(struct vine__io_batch *batch)
{
    batch->last = &batch->first;
}

int vine__file_start(const struct vine__file_options *options)
{
    const uint32_t id = vine_core();
    struct vine__file_core *core;

    VINE_ASSERT(cores[id] == NULL);
    if (options->buffer_bytes % VINE__FILE_BUFFER_ALIGN != 0)
        return -EINVAL;
    core = vine__closed_alloc(sizeof(*core));
    if (core == NULL)
        return -ENOMEM;
    core->core = id;
    core->core_count = vine_core_count();
    core->neighbour = id;
    core->poller = vine__reactor_poller();
    init_batch(&core->out);
    init_batch(&core->cancels);
    vine__file_pool_init(&core->pool, options);
    if (options->requests_max > 0) {
        core->returns = vine__closed_alloc(core->core_count * sizeof(*core->returns));
        if (core->returns == NULL) {
            vine__closed_free(core);
            return -ENOMEM;
        }
        for (uint32_t i = 0; i < core->core_count; i++)
            init_batch(&core->returns[i]);
        vine__io_queue_init(&core->queue, options->requests_max, submit);
        core->has_queue = true;
    }
    if (id == 0)
        vine__io_classes_reset();
    cores[id] = core;
    return 0;
}

void vine__io_queue_assign(uint32_t neighbour)
{
    struct vine__file_core *const core = vine__file_here();

    VINE_ASSERT(!core->has_queue && neighbour < core->core_count && neighbour != core->core);
    core->neighbour = neighbour;
}

struct vine__io_queue *vine__io_queue_own(void)
{
    struct vine__file_core *const core = vine__file_here();

    return core->has_queue ? &core->queue : NULL;
}

void vine__file_end(uint32_t id)
{
    struct vine__file_core *const core = cores[id];

    if (core == NULL)
        return;
    vine__file_pool_fini(&core->pool);
    vine__io_queue_fini(&core->queue);
    vine__closed_free(core->returns);
    vine__closed_free(core);
    cores[id] = NULL;
}
