/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end. Core 0 decides on it, and is the first to call what was registered there, the last one
 * first, one after the other: what it stops may be on all cores, which still work as ever. The
 * others follow, beside each other. When all have, or after a limit, the loops return.
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

static void stop_next(struct vine__reactor *reactor)
{
    struct vine_stopper *const stopper = reactor->stoppers;

    if (stopper == NULL) {
        reactor->has_called_stoppers = true;
        vine_core_call_reply(reactor->stop_reply, 0);
        return;
    }
    reactor->stoppers = stopper->next;
    reactor->has_called_stoppers |= stopper->is_last;
    stopper->is_stopping = true;
    stopper->fn(stopper);
}

static int64_t stop_core(void *nothing)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    (void)nothing;
    reactor->stop_reply = vine_core_call_defer();
    stop_next(reactor);
    return 0;
}

static void see_stopped_core(struct vine_core_call *call)
{
    struct vine__mesh *const mesh = vine__reactor_here()->mesh;
    const uint32_t core_count = mesh->options.core_count;

    if (mesh->is_cut_short)
        return;
    if (call == &mesh->stop_calls[0]) {
        for (uint32_t core = 1; core < core_count; core++)
            vine_core_call(&mesh->stop_calls[core], core, stop_core, NULL, see_stopped_core);
    }
    if (--mesh->cores_stopping > 0)
        return;
    (void)vine_timer_cancel(&mesh->stop_limit);
    finish(mesh);
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
    vine_core_call(&mesh->stop_calls[0], 0, stop_core, NULL, see_stopped_core);
    return 0;
}

static void forget(struct vine_core_call *call)
{
    (void)call;
}

void vine_stop(int code)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    if (reactor->has_asked_to_stop)
        return;
    reactor->has_asked_to_stop = true;
    vine_core_call(&reactor->stop_call, 0, begin_to_stop, (void *)(intptr_t)code, forget);
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

    VINE_ASSERT(fn != NULL);
    *stopper = (struct vine_stopper){.fn = fn, .next = reactor->stoppers};
    vine_work_init(&stopper->work, go_on);
    reactor->stoppers = stopper;
}

bool vine__at_stop_last(struct vine_stopper *stopper, vine_stopper_fn fn)
{
    struct vine__reactor *const reactor = vine__reactor_here();
    struct vine_stopper **link = &reactor->stoppers;

    if (reactor->has_called_stoppers)
        return false;
    while (*link != NULL)
        link = &(*link)->next;
    *stopper = (struct vine_stopper){.fn = fn, .is_last = true};
    vine_work_init(&stopper->work, go_on);
    *link = stopper;
    return true;
}

void vine_stopper_done(struct vine_stopper *stopper)
{
    VINE_ASSERT(stopper->is_stopping); /* else the ones behind it would be called too early */
    stopper->is_stopping = false;
    vine_work_post(&stopper->work);
}
