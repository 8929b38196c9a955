/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/engine_links.c - the links between VMs that run: see engine_internal.h.
 *
 * What there should be follows from which VMs there are, and what each boot says of its links; what
 * is missing is made or plugged whenever that can have changed. A link belongs to the run of its
 * application: it goes with that, and its appliance is asked to let go of it. An appliance that
 * ends leaves its end free, for itself when it comes back.
 *
 * The memory of a link takes seconds to be filled if it is large. That is done in pieces, one in a
 * turn of the loop, so that nobody else waits longer than for one of them; a start that needs it
 * waits for all.
 */

#include "vmm/server/engine_internal.h"

#include <vine/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES (UINT64_C(4) << 20) /* some milliseconds */

static struct vine__engine_vm *vm_at(const struct vine__engine *engine,
                                     const struct vine__engine_link *link, int end)
{
    return vine__engine_find(engine, link->uids[end]);
}

/* The link that lives, of an application and in its words. */
static struct vine__engine_link *find(const struct vine__engine *engine,
                                      const struct vine__boot_link *wanted)
{
    VINE_LIST_FOR_EACH(node, &engine->links)
    {
        struct vine__engine_link *const link =
            VINE_LIST_OBJECT(node, struct vine__engine_link, node);

        if (!link->is_going && strcmp(link->name, wanted->name) == 0 &&
            strcmp(link->uids[VINE_STATUS_APPLICATION], wanted->application_uid) == 0 &&
            strcmp(link->uids[VINE_STATUS_APPLIANCE], wanted->appliance_uid) == 0)
            return link;
    }
    return NULL;
}

static void close_link(struct vine__engine *engine, struct vine__engine_link *link)
{
    if (link->filled == 0)
        vine__engine_forget_link(engine, link);
    vine__machine_link_close(link->link);
    vine_list_remove(&link->node);
    free(link);
}

void vine__engine_links_release(struct vine__engine *engine)
{
    while (!vine_list_is_empty(&engine->links)) {
        struct vine__engine_link *const link =
            VINE_LIST_OBJECT(engine->links.next, struct vine__engine_link, node);

        vine__machine_link_close(link->link);
        vine_list_remove(&link->node);
        free(link);
    }
}

/* ---- making ---------------------------------------------------------------------------------- */

static uint64_t unfilled(const struct vine__engine *engine)
{
    uint64_t bytes = 0;

    VINE_LIST_FOR_EACH(node, &engine->links)
    bytes +=
        vine__machine_link_unfilled(VINE_LIST_OBJECT(node, struct vine__engine_link, node)->link);
    return bytes;
}

static int make(struct vine__engine *engine, const struct vine__boot_link *wanted,
                struct vine__engine_link **ret_link)
{
    const uint64_t sizes[2] = {wanted->size_bytes, wanted->size_bytes};
    struct vine__engine_link *const link = calloc(1, sizeof(*link));
    int error;

    if (link == NULL)
        return -ENOMEM;
    memcpy(link->name, wanted->name, sizeof(link->name));
    memcpy(link->uids[VINE_STATUS_APPLICATION], wanted->application_uid, VINE__VM_UID_BYTES);
    memcpy(link->uids[VINE_STATUS_APPLIANCE], wanted->appliance_uid, VINE__VM_UID_BYTES);
    link->size_bytes = wanted->size_bytes;
    link->filled = -EAGAIN;
    error = vine__machine_link_begin(link->name, sizes, unfilled(engine), &link->link);
    if (error != 0) {
        free(link);
        return error;
    }
    vine__machine_link_set_channels(link->link, wanted->channels);
    vine_list_push_back(&engine->links, &link->node);
    *ret_link = link;
    return 0;
}

bool vine__engine_links_prepare(struct vine__engine *engine, const struct vine__boot *boot)
{
    bool is_ready = true;

    /* It has what it had. */
    if (vine__engine_is_left(engine, boot->uid))
        return true;
    for (uint32_t i = 0; i < boot->link_count; i++) {
        const struct vine__boot_link *const wanted = &boot->links[i];
        const bool is_application = strcmp(wanted->application_uid, boot->uid) == 0;
        struct vine__engine_link *link = find(engine, wanted);

        if (vine__engine_find(engine, is_application ? wanted->appliance_uid
                                                     : wanted->application_uid) == NULL)
            continue;
        /* What cannot be made is told when it is wanted. */
        if (link != NULL || make(engine, wanted, &link) == 0)
            is_ready &= link->filled != -EAGAIN;
    }
    return is_ready;
}

bool vine__engine_links_are_filled(const struct vine__engine *engine)
{
    VINE_LIST_FOR_EACH(node, &engine->links)
    if (VINE_LIST_OBJECT(node, struct vine__engine_link, node)->filled == -EAGAIN)
        return false;
    return true;
}

void vine__engine_links_fill(struct vine__engine *engine)
{
    VINE_LIST_FOR_EACH(node, &engine->links)
    {
        struct vine__engine_link *const link =
            VINE_LIST_OBJECT(node, struct vine__engine_link, node);

        if (link->filled != -EAGAIN)
            continue;
        link->filled = vine__machine_link_fill(link->link, PIECE_BYTES);
        if (link->filled == 0)
            vine__engine_keep_link(engine, link);
        /* The next turn is another one's. */
        vine_list_remove(&link->node);
        vine_list_push_back(&engine->links, &link->node);
        if (link->filled != -EAGAIN)
            vine__engine_links_settle(engine);
        return;
    }
}

/* Give an end to its VM. Returns -EAGAIN: not yet. */
static int attach(struct vine__engine *engine, struct vine__engine_link *link, int end)
{
    struct vine__engine_vm *const vm = vm_at(engine, link, end);
    int error;

    if (link->is_held[end])
        return 0;
    if (vm == NULL || link->is_refused)
        return -EAGAIN;
    error = vine__machine_link_attach(link->link, (enum vine_status_end)end, vm->machine,
                                      VINE__MACHINE_LINK_ANY_PLACE, &link->places[end]);
    link->is_held[end] = error == 0;
    engine->is_changed |= error == 0; /* where it is is written down before it is there */
    /* What one that is being adopted had is entered already; what it gets comes when it is up. */
    return error == -ENOENT ? -EAGAIN : error;
}

/* Whether a place of this VM will be free by itself. */
static bool awaits_a_place(const struct vine__engine *engine, const struct vine__engine_link *link,
                           int end)
{
    VINE_LIST_FOR_EACH(node, &engine->links)
    {
        const struct vine__engine_link *const other =
            VINE_LIST_OBJECT(node, struct vine__engine_link, node);

        if (other->is_going && other->is_held[end] &&
            strcmp(other->uids[end], link->uids[end]) == 0)
            return true;
    }
    return false;
}

/* The appliance first, so that it is there when the application's VM hears of it. Returns 0 also
 * where something has to be awaited. */
static int attach_both(struct vine__engine *engine, struct vine__engine_link *link)
{
    int first = attach(engine, link, VINE_STATUS_APPLIANCE);
    int second;

    if (first == -ENOSPC && awaits_a_place(engine, link, VINE_STATUS_APPLIANCE))
        first = -EAGAIN;
    if (first != 0 && first != -EAGAIN)
        return first;
    second = attach(engine, link, VINE_STATUS_APPLICATION);
    if (link->is_held[VINE_STATUS_APPLIANCE] && link->is_held[VINE_STATUS_APPLICATION])
        vine__engine_bells_allow(vm_at(engine, link, VINE_STATUS_APPLICATION),
                                 vm_at(engine, link, VINE_STATUS_APPLIANCE));
    return second == -EAGAIN ? 0 : second;
}

/* ---- going ----------------------------------------------------------------------------------- */

/* Whether a link that stays is between the two. */
static bool are_linked(const struct vine__engine *engine, const struct vine__engine_link *gone)
{
    VINE_LIST_FOR_EACH(node, &engine->links)
    {
        const struct vine__engine_link *const link =
            VINE_LIST_OBJECT(node, struct vine__engine_link, node);

        if (!link->is_going && ((strcmp(link->uids[0], gone->uids[0]) == 0 &&
                                 strcmp(link->uids[1], gone->uids[1]) == 0) ||
                                (strcmp(link->uids[0], gone->uids[1]) == 0 &&
                                 strcmp(link->uids[1], gone->uids[0]) == 0)))
            return true;
    }
    return false;
}

/* Take it from both. Who runs is asked to let go, and what is left of it goes with the last one. */
void vine__engine_links_remove(struct vine__engine *engine, struct vine__engine_link *link)
{
    const struct vine__engine_vm *const vms[2] = {vm_at(engine, link, 0), vm_at(engine, link, 1)};

    link->is_going = true;
    if (vms[0] != NULL && vms[1] != NULL && !are_linked(engine, link))
        vine__engine_bells_forbid(vms[0], vms[1]);
    for (int end = 0; end < 2; end++) {
        if (!link->is_held[end])
            continue;
        /* One that is off lets go at once, and says nothing. */
        link->is_held[end] = vine__machine_state_of(vms[end]->machine) != VINE__MACHINE_OFF;
        vine__machine_link_detach(link->link, (enum vine_status_end)end);
    }
    if (!link->is_held[0] && !link->is_held[1])
        close_link(engine, link);
}

void vine__engine_links_abandon(struct vine__engine *engine, const char *uid)
{
    struct vine_list *next;

    for (struct vine_list *node = engine->links.next; node != &engine->links; node = next) {
        struct vine__engine_link *const link =
            VINE_LIST_OBJECT(node, struct vine__engine_link, node);

        next = node->next;
        if ((strcmp(link->uids[0], uid) == 0 || strcmp(link->uids[1], uid) == 0) &&
            !link->is_held[0] && !link->is_held[1])
            close_link(engine, link);
    }
}

void vine__engine_links_gone(struct vine__engine_vm *vm, uint32_t place, bool is_refused)
{
    struct vine__engine *const engine = vm->engine;

    VINE_LIST_FOR_EACH(node, &engine->links)
    {
        struct vine__engine_link *const link =
            VINE_LIST_OBJECT(node, struct vine__engine_link, node);
        int end = 0;

        while (end < 2 && (!link->is_held[end] || vm_at(engine, link, end) != vm ||
                           link->places[end] != place))
            end++;
        if (end == 2)
            continue;
        /* Only an end that was never there could not be taken. */
        if (is_refused && vine__machine_link_side(link->link, (enum vine_status_end)end).state !=
                              VINE_STATUS_ABSENT)
            return;
        link->is_held[end] = false;
        link->is_refused |= is_refused;
        if (link->is_going && !link->is_held[!end])
            close_link(engine, link);
        break;
    }
    vine__engine_links_settle(engine);
}

void vine__engine_links_end(struct vine__engine_vm *vm)
{
    struct vine__engine *const engine = vm->engine;
    struct vine_list *next;

    for (struct vine_list *node = engine->links.next; node != &engine->links; node = next) {
        struct vine__engine_link *const link =
            VINE_LIST_OBJECT(node, struct vine__engine_link, node);
        const bool is_application = strcmp(link->uids[VINE_STATUS_APPLICATION], vm->boot->uid) == 0;
        const int end = is_application ? VINE_STATUS_APPLICATION : VINE_STATUS_APPLIANCE;

        next = node->next;
        if (strcmp(link->uids[end], vm->boot->uid) != 0)
            continue;
        link->is_refused = false;
        if (link->is_held[end])
            vine__machine_link_detach(link->link, (enum vine_status_end)end); /* it is off */
        link->is_held[end] = false;
        if (link->is_going && !link->is_held[!end])
            close_link(engine, link);
        else if (is_application && !link->is_going)
            vine__engine_links_remove(engine, link);
    }
}

/* ---- what there should be -------------------------------------------------------------------- */

/* How a link that cannot be is told. */
static void say_why(const struct vine__boot_link *wanted, const struct vine__boot *starting,
                    int error, char why[VINE__SERVER_WHY_BYTES])
{
    const bool is_appliance = strcmp(starting->uid, wanted->appliance_uid) == 0;

    if (error == -ENOMEM)
        (void)snprintf(why, VINE__SERVER_WHY_BYTES,
                       "link %s: there is no memory for twice %llu bytes", wanted->name,
                       (unsigned long long)wanted->size_bytes);
    else if (error == -ENOSPC || error == -E2BIG)
        (void)snprintf(why, VINE__SERVER_WHY_BYTES,
                       "link %s: %s/%s: it was started without a place for the link, and has to be "
                       "started anew",
                       wanted->name, starting->pool,
                       is_appliance ? wanted->application : wanted->appliance);
    else
        (void)snprintf(why, VINE__SERVER_WHY_BYTES, "link %s: %s", wanted->name,
                       vine_error_text(error));
}

/* Returns 0, also where an end has to be awaited; -EAGAIN: it is being filled; or why there is no
 * such link. */
static int see_to(struct vine__engine *engine, const struct vine__boot_link *wanted)
{
    const struct vine__engine_vm *const application =
        vine__engine_find(engine, wanted->application_uid);
    const struct vine__engine_vm *const appliance =
        vine__engine_find(engine, wanted->appliance_uid);
    struct vine__engine_link *link = find(engine, wanted);
    int error = 0;

    if (application == NULL || appliance == NULL)
        return 0;
    if (link == NULL)
        error = make(engine, wanted, &link);
    if (error == 0)
        error = link->filled;
    if (error == -EAGAIN)
        return error;
    if (error == 0)
        error = attach_both(engine, link);
    if (error != 0 && link != NULL)
        vine__engine_links_remove(engine, link);
    return error;
}

enum vine_server_error vine__engine_links_begin(struct vine__engine_vm *vm,
                                                char why[VINE__SERVER_WHY_BYTES])
{
    const struct vine__boot *const boot = vm->boot;

    for (uint32_t i = 0; i < boot->link_count; i++) {
        const struct vine__boot_link *const wanted = &boot->links[i];
        const int error = see_to(vm->engine, wanted);

        if (error == 0 || error == -EAGAIN)
            continue;
        say_why(wanted, boot, error, why);
        /* Those whom it serves do not keep an appliance from serving others. */
        if (strcmp(wanted->application_uid, boot->uid) == 0)
            return VINE_SERVER_E_FAILED;
        vine__engine_note(vm->engine, boot, "%s", why);
    }
    return VINE_SERVER_E_DONE;
}

void vine__engine_links_settle(struct vine__engine *engine)
{
    VINE_LIST_FOR_EACH(node, &engine->vms)
    {
        const struct vine__engine_vm *const vm =
            VINE_LIST_OBJECT(node, struct vine__engine_vm, node);

        for (uint32_t i = 0; i < vm->boot->link_count; i++) {
            const struct vine__boot_link *const wanted = &vm->boot->links[i];
            char why[VINE__SERVER_WHY_BYTES];
            int error;

            /* Each link is in two boots. */
            if (strcmp(wanted->application_uid, vm->boot->uid) != 0)
                continue;
            error = see_to(engine, wanted);
            if (error == 0 || error == -EAGAIN)
                continue;
            say_why(wanted, vm->boot, error, why);
            vine__engine_note(engine, vm->boot, "%s", why);
        }
    }
}
