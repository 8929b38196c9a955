/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/engine/memory.h"

#include "guest_host.h"
#include "guest_links.h"
#include "human.h"

static struct guest_link *find(struct run *run, const char *name)
{
    for (uint32_t i = 0; i < GUEST_PLAN_LINKS_MAX; i++)
        if (run->links[i].link != NULL && strcmp(run->links[i].name, name) == 0)
            return &run->links[i];
    return NULL;
}

static struct guest_link *find_free(struct run *run)
{
    for (uint32_t i = 0; i < GUEST_PLAN_LINKS_MAX; i++)
        if (run->links[i].link == NULL)
            return &run->links[i];
    return NULL;
}

const char *guest_links_lack(uint64_t bytes)
{
    static char text[160];
    const uint64_t available = vine__machine_memory_available("");
    char wanted[HUMAN_MAX], there[HUMAN_MAX];

    if (bytes <= available)
        return NULL;
    snprintf(text, sizeof(text), "%s of memory are wanted, and %s are available",
             human_binary(bytes, wanted), human_binary(available, there));
    return text;
}

static bool is_between(const struct guest_link *link, const uint32_t machines[2])
{
    return link->link != NULL && !link->is_going &&
           ((link->plan.machines[0] == machines[0] && link->plan.machines[1] == machines[1]) ||
            (link->plan.machines[0] == machines[1] && link->plan.machines[1] == machines[0]));
}

/* Machines ring each other as long as a link is between them that is not on its way out: what its
 * guests have to do then, the host rings for. */
static void forbid_unlinked(struct run *run, const struct guest_plan_link *plan)
{
    for (uint32_t i = 0; i < GUEST_PLAN_LINKS_MAX; i++)
        if (is_between(&run->links[i], plan->machines))
            return;
    guest_rings_forbid(&run->rings, plan);
}

static void close_link(struct guest_link *link)
{
    guest_host_close(link->host);
    vine__machine_link_close(link->link);
    *link = (struct guest_link){0};
}

static int attach(struct run *run, struct guest_link *link, enum vine_status_end end)
{
    if (link->plan.machines[end] == GUEST_PLAN_HOST)
        return guest_host_open(run, link, end);

    const int error =
        vine__machine_link_attach(link->link, end, run->guests[link->plan.machines[end]].machine,
                                  VINE__MACHINE_LINK_ANY_PLACE, &link->places[end]);

    link->is_held[end] = error == 0;
    return error;
}

int guest_links_add(struct run *run, const struct guest_plan_link *plan)
{
    struct guest_link *const link = find_free(run);
    int error;

    if (find(run, plan->name) != NULL)
        return -EEXIST;
    if (link == NULL)
        return -ENOSPC;
    link->plan = *plan;
    (void)snprintf(link->name, sizeof(link->name), "%s", plan->name);
    link->plan.name = link->name;
    error = vine__machine_link_create(plan->name, plan->size_bytes, &link->link);
    if (error == 0)
        error = guest_rings_allow(&run->rings, plan);
    /* The appliance first, so that it is there when the application's machine hears of it. */
    if (error == 0)
        error = attach(run, link, VINE_STATUS_APPLIANCE);
    if (error == 0)
        error = attach(run, link, VINE_STATUS_APPLICATION);
    if (error != 0) {
        close_link(link);
        forbid_unlinked(run, plan);
    }
    return error;
}

int guest_links_remove(struct run *run, const char *name)
{
    struct guest_link *const link = find(run, name);

    if (link == NULL)
        return -ENOENT;
    link->is_going = true;
    forbid_unlinked(run, &link->plan);
    for (int end = 0; end < 2; end++) {
        if (link->plan.machines[end] == GUEST_PLAN_HOST) {
            guest_host_close(link->host);
            link->host = NULL;
            vine__machine_link_detach(link->link, (enum vine_status_end)end);
            continue;
        }

        const struct guest *const guest = &run->guests[link->plan.machines[end]];

        /* One that is off lets go at once, and says nothing. */
        if (vine__machine_state_of(guest->machine) == VINE__MACHINE_OFF)
            link->is_held[end] = false;
        vine__machine_link_detach(link->link, (enum vine_status_end)end);
    }
    if (!link->is_held[0] && !link->is_held[1])
        close_link(link);
    return 0;
}

void guest_links_gone(struct run *run, uint32_t machine, uint32_t place, bool is_refused)
{
    for (uint32_t i = 0; i < GUEST_PLAN_LINKS_MAX; i++) {
        struct guest_link *const link = &run->links[i];

        for (int end = 0; end < 2 && link->link != NULL; end++) {
            if (!link->is_held[end] || link->plan.machines[end] != machine ||
                link->places[end] != place)
                continue;
            /* Only an end that was never there could not be taken. */
            if (is_refused &&
                vine__machine_link_side(link->link, (enum vine_status_end)end).state !=
                    VINE_STATUS_ABSENT)
                return;
            link->is_held[end] = false;
            /* It could not take it: a link with one end is none. */
            if (!link->is_going)
                (void)guest_links_remove(run, link->name);
            else if (!link->is_held[!end])
                close_link(link);
            return;
        }
    }
}

int guest_links_allow(struct run *run, uint32_t index)
{
    int error = 0;

    for (uint32_t i = 0; i < GUEST_PLAN_LINKS_MAX && error == 0; i++) {
        const struct guest_link *const link = &run->links[i];

        if (link->link != NULL && !link->is_going &&
            (link->plan.machines[0] == index || link->plan.machines[1] == index))
            error = link->host != NULL ? guest_host_allow(link->host)
                                       : guest_rings_allow(&run->rings, &link->plan);
    }
    return error;
}

void guest_links_close(struct run *run)
{
    for (uint32_t i = 0; i < GUEST_PLAN_LINKS_MAX; i++)
        if (run->links[i].link != NULL)
            close_link(&run->links[i]);
}
