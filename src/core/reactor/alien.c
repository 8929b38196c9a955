/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of threads that are no reactor. They go onto a list of the core that they are for, newest
 * first, which that core takes as a whole and turns round (Treiber 1986; taking all of it at once
 * leaves no room for the ABA problem).
 *
 * Which mesh there is, and how many threads are at it, is one word each: who finds a mesh has
 * counted itself in before, so that the mesh is there until it has counted itself out.
 *
 *   A1  who opens or closes: full fence after the word   pairs with A2: either the alien sees no
 *   A2  an alien: full fence after its count              mesh, or who closes sees the alien
 */
#include "core/reactor/reactor_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/wake/futex.h"
#include "utils/atomic.h"
#include "utils/container_of.h"

static void *open_mesh;      /* atomic */
static uint32_t alien_count; /* atomic: threads that may hold it */

static struct vine__mesh *enter(void)
{
    (void)vine__fetch_add_acq_rel_u32(&alien_count, 1);
    vine__fence_full();                            /* A2 pairs with A1 */
    return vine__load_acquire_pointer(&open_mesh); /* A4 pairs with A3 */
}

static void leave(void)
{
    if (vine__fetch_sub_acq_rel_u32(&alien_count, 1) == 1)
        (void)vine__futex_wake_private(&alien_count, INT32_MAX);
}

void vine__mesh_open_to_aliens(struct vine__mesh *mesh)
{
    uint32_t count;

    vine__store_release_pointer(&open_mesh, mesh); /* A3 pairs with A4: the mesh is whole */
    vine__fence_full();                            /* A1 pairs with A2 */
    if (mesh != NULL)
        return;
    /* Acquire pairs with the release of who left last: it touches the mesh no more. */
    while ((count = vine__load_acquire_u32(&alien_count)) != 0)
        (void)!vine__futex_wait_private(&alien_count, count, VINE_NS_PER_SECOND);
}

static int submit(uint32_t core, struct vine__alien *alien)
{
    struct vine__mesh *const mesh = enter();
    int error = 0;

    if (mesh == NULL) {
        error = -ESHUTDOWN;
    } else if (core >= mesh->options.core_count) {
        error = -EINVAL;
    } else {
        void **const head = &mesh->inboxes[core].aliens;
        void *first = vine__load_relaxed_pointer(head);

        do
            alien->next = first;
        while (!vine__compare_exchange_acq_rel_pointer(head, &first, alien)); /* R7 pairs with R8 */
        vine__fence_full();                                                   /* R1 pairs with R2 */
        vine__wake_core(mesh, core);
    }
    leave();
    return error;
}

int vine_alien_submit_to(uint32_t core, vine_core_call_fn fn, void *argument)
{
    struct vine__alien *const alien = malloc(sizeof(*alien));

    if (alien == NULL)
        return -ENOMEM;
    *alien = (struct vine__alien){.fn = fn, .argument = argument, .frees_itself = true};
    const int error = fn != NULL ? submit(core, alien) : -EINVAL;

    if (error != 0)
        free(alien);
    return error;
}

int vine_alien_call(uint32_t core, vine_core_call_fn fn, void *argument, int64_t *ret_result)
{
    struct vine__alien alien = {.fn = fn, .argument = argument};

    VINE_ASSERT(!vine_on_reactor()); /* it would wait for itself */
    const int error = fn != NULL ? submit(core, &alien) : -EINVAL;

    if (error != 0)
        return error;
    /* R10 pairs with R9: the result before its end. */
    while (vine__load_acquire_u32(&alien.ended) == 0)
        (void)!vine__futex_wait_private(&alien.ended, 0, VINE_FOREVER);
    if (alien.error == 0)
        *ret_result = alien.result;
    return alien.error;
}

static void end(struct vine__alien *alien)
{
    const uint32_t *const word = &alien->ended;

    if (alien->frees_itself) {
        free(alien);
        return;
    }
    /* R9 pairs with R10. Whoever waits may be gone after it: to wake an address is harmless. */
    vine__store_release_u32(&alien->ended, 1);
    (void)vine__futex_wake_private(word, 1);
}

/* Those that are taken are known, as the reactor may stop before they have ended. */
static void keep_taken(struct vine__reactor *reactor, struct vine__alien *alien)
{
    alien->next = reactor->aliens;
    alien->link = &reactor->aliens;
    if (alien->next != NULL)
        alien->next->link = &alien->next;
    reactor->aliens = alien;
}

static void forget_taken(struct vine__alien *alien)
{
    *alien->link = alien->next;
    if (alien->next != NULL)
        alien->next->link = alien->link;
}

static void end_served(struct vine_core_call *call)
{
    struct vine__alien *const alien = VINE_CONTAINER_OF(call, struct vine__alien, call);

    alien->result = vine_core_call_result(call);
    forget_taken(alien);
    end(alien);
}

bool vine__aliens_are_there(const struct vine__reactor *reactor)
{
    /* Relaxed: who takes them reads it again. */
    return vine__load_relaxed_pointer(&reactor->mesh->inboxes[reactor->core].aliens) != NULL;
}

static struct vine__alien *take_all(struct vine__reactor *reactor)
{
    void **const head = &reactor->mesh->inboxes[reactor->core].aliens;
    void *first = vine__load_relaxed_pointer(head);
    struct vine__alien *oldest = NULL;

    while (first != NULL &&
           !vine__compare_exchange_acq_rel_pointer(head, &first, NULL)) /* R8 pairs with R7 */
        continue;
    for (struct vine__alien *alien = first; alien != NULL;) {
        struct vine__alien *const next = alien->next;

        alien->next = oldest;
        oldest = alien;
        alien = next;
    }
    return oldest;
}

bool vine__aliens_take(struct vine__reactor *reactor)
{
    if (!vine__aliens_are_there(reactor))
        return false;
    for (struct vine__alien *alien = take_all(reactor); alien != NULL;) {
        struct vine__alien *const next = alien->next;

        keep_taken(reactor, alien);
        vine_core_call(&alien->call, reactor->core, alien->fn, alien->argument, end_served);
        alien = next;
    }
    return true;
}

static void refuse(struct vine__alien *alien)
{
    while (alien != NULL) {
        struct vine__alien *const next = alien->next;

        alien->error = -ESHUTDOWN;
        end(alien);
        alien = next;
    }
}

void vine__aliens_refuse(struct vine__reactor *reactor)
{
    refuse(take_all(reactor));
    refuse(reactor->aliens);
    reactor->aliens = NULL;
}
