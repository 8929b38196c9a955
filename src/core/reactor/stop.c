/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end. Core 0 decides on it; each core calls what was registered there, the last one first, one
 * after the other; when all cores have, or after a limit, the loops return.
 */
#include "core/reactor/reactor_internal.h"

#include "utils/atomic.h"
#include "utils/container_of.h"

static void finish(struct vine__mesh *mesh)
{
    /* R5 pairs with R6: all that was done on this core before the end. */
    vine__store_release_u32(&mesh->has_stopped, 1);
    vine__fence_full(); /* R1 pairs with R2 */
    for (uint32_t core = 1; core < mesh->options.core_count; core++)
        vine__wake_core(mesh, core);
}

static void give_up(struct vine_timer *timer)
{
    struct vine__mesh *const mesh = VINE_CONTAINER_OF(timer, struct vine__mesh, stop_limit);

    mesh->is_cut_short = true;
    finish(mesh);
}

static void see_stopped_core(struct vine_call *call)
{
    struct vine__mesh *const mesh = vine__reactor_here()->mesh;

    (void)call;
    if (--mesh->cores_stopping > 0 || mesh->is_cut_short)
        return;
    (void)vine_timer_cancel(&mesh->stop_limit);
    finish(mesh);
}

static void stop_next(struct vine__reactor *reactor)
{
    struct vine_stopper *const stopper = reactor->stoppers;

    if (stopper == NULL) {
        vine_call_reply(reactor->stop_reply, 0);
        return;
    }
    reactor->stoppers = stopper->next;
    stopper->fn(stopper);
}

static int64_t stop_core(void *nothing)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    (void)nothing;
    reactor->stop_reply = vine_call_defer();
    stop_next(reactor);
    return 0;
}

static int64_t begin_to_stop(void *code)
{
    struct vine__mesh *const mesh = vine__reactor_here()->mesh;

    if (mesh->is_stopping)
        return 0;
    mesh->is_stopping = true;
    mesh->exit_code = (int)(intptr_t)code;
    mesh->cores_stopping = mesh->options.core_count;
    vine_timer_init(&mesh->stop_limit, VINE_CLOCK_COARSE, give_up);
    vine_timer_arm_after(&mesh->stop_limit, mesh->options.stop_limit_ns);
    for (uint32_t core = 0; core < mesh->options.core_count; core++)
        vine_call(&mesh->stop_calls[core], core, stop_core, NULL, see_stopped_core);
    return 0;
}

static void forget(struct vine_call *call)
{
    (void)call;
}

void vine_stop(int code)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    if (reactor->has_asked_to_stop)
        return;
    reactor->has_asked_to_stop = true;
    vine_call(&reactor->stop_call, 0, begin_to_stop, (void *)(intptr_t)code, forget);
}

bool vine__mesh_was_cut_short(const struct vine__mesh *mesh)
{
    return mesh->is_cut_short;
}

static void go_on(struct vine_work *work)
{
    (void)work;
    stop_next(vine__reactor_here());
}

void vine_at_stop(struct vine_stopper *stopper, vine_stopper_fn fn)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    *stopper = (struct vine_stopper){.fn = fn, .next = reactor->stoppers};
    vine_work_init(&stopper->work, go_on);
    reactor->stoppers = stopper;
}

void vine_stopper_done(struct vine_stopper *stopper)
{
    vine_work_post(&stopper->work);
}
