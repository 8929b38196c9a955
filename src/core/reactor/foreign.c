/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreign objects on their way home. A core collects by home what it releases, and as its turn ends
 * puts each lot onto the list of that core, which takes all of it at once (Treiber 1986), as it
 * does calls of aliens. A lot has no bound: objects bring their links along, and no ring is full of
 * them.
 */
#include <vine/foreign.h>

#include "core/reactor/reactor_internal.h"
#include "utils/atomic.h"
#include "utils/bits.h"

#define STATE_HELD     0x666f7265U
#define STATE_RELEASED 0x72656c65U
#define STATE_ENDED    0x656e6465U

void vine_foreign_init(struct vine_foreign *foreign, vine_foreign_fn destroy)
{
    VINE_ASSERT(destroy != NULL);
    *foreign = (struct vine_foreign){
        .destroy = destroy, .state = STATE_HELD, .home = vine__reactor_here()->core};
}

void vine_foreign_fini(struct vine_foreign *foreign)
{
    VINE_ASSERT(foreign->state == STATE_HELD);
    VINE_ASSERT(foreign->home == vine__reactor_here()->core);
    foreign->state = STATE_ENDED;
}

/* Of the thread that ends a mesh whose reactors have gone, where destructors release others. */
static _Thread_local struct vine_foreign *released_at_end;
static _Thread_local bool is_ending;

static void release_at_end(struct vine_foreign *foreign)
{
    VINE_ASSERT(is_ending); /* else the caller's thread is no reactor */
    foreign->state = STATE_RELEASED;
    foreign->next = released_at_end;
    released_at_end = foreign;
}

void vine_foreign_release(struct vine_foreign *foreign)
{
    struct vine__reactor *const reactor = vine__reactor_self();

    VINE_ASSERT(foreign->state == STATE_HELD);
    if (VINE__UNLIKELY(reactor == NULL)) {
        release_at_end(foreign);
        return;
    }
    struct vine__lot *const lot = &reactor->links[foreign->home].leaving;

    foreign->state = STATE_RELEASED;
    foreign->next = lot->first;
    if (lot->first == NULL)
        lot->last = foreign;
    lot->first = foreign;
    reactor->leaving[foreign->home / 64] |= UINT64_C(1) << foreign->home % 64;
    reactor->has_leaving = true;
}

static void send_lot(struct vine__reactor *reactor, uint32_t home)
{
    struct vine__lot *const lot = &reactor->links[home].leaving;
    void **const head = &reactor->mesh->inboxes[home].foreigners;
    void *first = vine__load_relaxed_pointer(head);

    do /* R13 pairs with R14: what was done to the objects before they are there to be taken */
        lot->last->next = first;
    while (!vine__compare_exchange_acq_rel_pointer(head, &first, lot->first));
    *lot = (struct vine__lot){.first = NULL};
    reactor->told[home / 64] |= UINT64_C(1) << home % 64;
}

bool vine__foreign_send(struct vine__reactor *reactor)
{
    if (VINE__LIKELY(!reactor->has_leaving))
        return false;
    for (uint32_t word = 0; word < VINE_CORES_MAX / 64; word++) {
        for (uint64_t left = reactor->leaving[word]; left != 0; left &= left - 1)
            send_lot(reactor, 64 * word + vine__lowest_bit_u64(left));
        reactor->leaving[word] = 0;
    }
    reactor->has_leaving = false;
    return true;
}

bool vine__foreign_are_there(const struct vine__reactor *reactor)
{
    /* Relaxed: who takes them reads it again. */
    return vine__load_relaxed_pointer(&reactor->mesh->inboxes[reactor->core].foreigners) != NULL;
}

static struct vine_foreign *take_all(struct vine__mesh *mesh, uint32_t home)
{
    /* R14 pairs with R13: what was last done to the objects before they were released. */
    return vine__exchange_acq_rel_pointer(&mesh->inboxes[home].foreigners, NULL);
}

static struct vine_foreign *destroy(struct vine_foreign *foreign)
{
    struct vine_foreign *const next = foreign->next;

    VINE_ASSERT(foreign->state == STATE_RELEASED);
    foreign->state = STATE_ENDED;
    foreign->destroy(foreign);
    return next;
}

static void destroy_some(struct vine_work *work)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    while (reactor->came_home != NULL) {
        reactor->came_home = destroy(reactor->came_home);
        reactor->counts.foreign_destroyed++;
        if (vine_need_preempt()) {
            vine_work_post(work);
            return;
        }
    }
}

bool vine__foreign_take(struct vine__reactor *reactor)
{
    /* What came before is still to be destroyed: what has come since waits for it. */
    if (!vine__foreign_are_there(reactor) || reactor->came_home != NULL)
        return false;
    reactor->came_home = take_all(reactor->mesh, reactor->core);
    vine__work_post_to(reactor, &reactor->destroying);
    return true;
}

void vine__foreign_init(struct vine__reactor *reactor)
{
    reactor->destroying = (struct vine_work){.fn = destroy_some};
}

void vine__foreign_fini(struct vine__reactor *reactor)
{
    /* Each destructor may release others, of this core and of others. */
    do {
        (void)vine__foreign_send(reactor);
        if (reactor->came_home == NULL)
            reactor->came_home = take_all(reactor->mesh, reactor->core);
        while (reactor->came_home != NULL)
            reactor->came_home = destroy(reactor->came_home);
    } while (reactor->has_leaving || vine__foreign_are_there(reactor));
}

void vine__foreign_end_mesh(struct vine__mesh *mesh)
{
    is_ending = true;
    for (uint32_t home = 0; home < mesh->options.core_count; home++)
        for (struct vine_foreign *at = take_all(mesh, home); at != NULL;)
            at = destroy(at);
    while (released_at_end != NULL) {
        struct vine_foreign *const first = released_at_end;

        released_at_end = NULL;
        for (struct vine_foreign *at = first; at != NULL;)
            at = destroy(at);
    }
    is_ending = false;
}
