/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/link.h"

#include "utils/assert.h"
#include "utils/name.h"
#include "vmm/engine/adoption.h"
#include "vmm/engine/machine_internal.h"
#include "vmm/engine/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct end {
    struct vine__machine *machine; /* NULL: nobody's, or the host's */
    uint32_t place;
    bool is_host;
    struct vine__status page; /* of the host's process, which has this link alone; in place 0 */
    struct vine_status_side side;
};

struct vine__machine_link {
    char name[VINE_STATUS_NAME_BYTES];
    uint32_t channels;
    uint64_t size_bytes[2], filled_bytes[2]; /* by who writes there */
    int fds[2];
    struct end ends[2];
};

/* A link without its memories. */
static int make_link(const char *name, const uint64_t size_bytes[2],
                     struct vine__machine_link **ret_link)
{
    if (!vine__is_name(name, VINE_STATUS_NAME_BYTES) ||
        !vine__machine_link_size_is_good(size_bytes[0]) ||
        !vine__machine_link_size_is_good(size_bytes[1]))
        return -EINVAL;
    struct vine__machine_link *const link = calloc(1, sizeof(*link));

    if (link == NULL)
        return -ENOMEM;
    (void)snprintf(link->name, sizeof(link->name), "%s", name);
    for (int end = 0; end < 2; end++) {
        link->fds[end] = -1;
        link->size_bytes[end] = size_bytes[end];
        link->ends[end].side.doorbell_peer = VINE_STATUS_NO_DOORBELL;
        link->ends[end].page.fd = link->ends[end].page.books_fd = -1;
    }
    *ret_link = link;
    return 0;
}

static int finish_link(struct vine__machine_link *link, int error,
                       struct vine__machine_link **ret_link)
{
    if (error == 0)
        *ret_link = link;
    else
        vine__machine_link_close(link);
    return error;
}

int vine__machine_link_begin(const char *name, const uint64_t size_bytes[2],
                             uint64_t reserved_bytes, struct vine__machine_link **ret_link)
{
    const uint64_t available = vine__machine_memory_available("");
    struct vine__machine_link *link = NULL;
    int error;

    if (!vine__machine_link_size_is_good(size_bytes[0]) ||
        !vine__machine_link_size_is_good(size_bytes[1]))
        return -EINVAL;
    if (reserved_bytes > available || size_bytes[0] + size_bytes[1] > available - reserved_bytes)
        return -ENOMEM;
    error = make_link(name, size_bytes, &link);
    for (int end = 0; end < 2 && error == 0; end++)
        error = vine__machine_memory_create_empty(name, size_bytes[end], &link->fds[end]);
    return finish_link(link, error, ret_link);
}

uint64_t vine__machine_link_unfilled(const struct vine__machine_link *link)
{
    return link->size_bytes[0] - link->filled_bytes[0] + link->size_bytes[1] -
           link->filled_bytes[1];
}

int vine__machine_link_fill(struct vine__machine_link *link, uint64_t bytes_max)
{
    for (int end = 0; end < 2 && bytes_max > 0; end++) {
        const uint64_t left = link->size_bytes[end] - link->filled_bytes[end];
        const uint64_t piece = left < bytes_max ? left : bytes_max;
        const int error =
            piece > 0 ? vine__machine_memory_fill(link->fds[end], link->filled_bytes[end], piece)
                      : 0;

        if (error != 0)
            return error;
        link->filled_bytes[end] += piece;
        bytes_max -= piece;
    }
    return vine__machine_link_unfilled(link) > 0 ? -EAGAIN : 0;
}

void vine__machine_link_set_channels(struct vine__machine_link *link, uint32_t channels)
{
    VINE_ASSERT(link->ends[0].machine == NULL && link->ends[1].machine == NULL);
    link->channels = channels;
}

int vine__machine_link_create(const char *name, const uint64_t size_bytes[2],
                              struct vine__machine_link **ret_link)
{
    struct vine__machine_link *link = NULL;
    int error = vine__machine_link_begin(name, size_bytes, 0, &link);

    if (error != 0)
        return error;
    error = vine__machine_link_fill(link, UINT64_MAX);
    return finish_link(link, error, ret_link);
}

int vine__machine_link_adopt(const char *name, const uint64_t size_bytes[2], const int fds[2],
                             struct vine__machine_link **ret_link)
{
    struct vine__machine_link *link = NULL;
    int error = make_link(name, size_bytes, &link);

    for (int end = 0; end < 2 && error == 0; end++) {
        error = vine__machine_memory_check(fds[end], size_bytes[end]);
        if (error == 0) {
            link->filled_bytes[end] = size_bytes[end];
            link->fds[end] = fcntl(fds[end], F_DUPFD_CLOEXEC, 3);
            error = link->fds[end] >= 0 ? 0 : -errno;
        }
    }
    return finish_link(link, error, ret_link);
}

void vine__machine_link_close(struct vine__machine_link *link)
{
    if (link == NULL)
        return;
    for (int end = 0; end < 2; end++) {
        vine__machine_link_detach(link, (enum vine_status_end)end);
        /* On its way out: it goes on without us. */
        if (link->ends[end].machine != NULL)
            link->ends[end].machine->places[link->ends[end].place].link = NULL;
    }
    for (int end = 0; end < 2; end++)
        if (link->fds[end] >= 0)
            (void)close(link->fds[end]);
    free(link);
}

/* ---- status pages ---------------------------------------------------------------------------- */

static struct vine__place *place_of(const struct end *end)
{
    return end->machine != NULL ? &end->machine->places[end->place] : NULL;
}

static void copy_sides(struct vine__machine_link *link, struct vine_status_side sides[2])
{
    for (int i = 0; i < 2; i++) {
        struct end *const end = &link->ends[i];

        if (end->machine != NULL) {
            end->side.doorbell_peer = end->machine->doorbell_peer;
            end->side.doorbell_vector = VINE_STATUS_VECTOR_LINK(end->place);
        }
        sides[i] = end->side;
    }
}

static void tell_page(struct vine__machine *machine)
{
    if (machine->options.on_page_change != NULL)
        machine->options.on_page_change(machine->options.context, machine);
}

void vine__machine_link_publish(struct vine__machine_link *link)
{
    struct vine_status_side sides[2];

    copy_sides(link, sides);
    for (int i = 0; i < 2; i++) {
        struct end *const end = &link->ends[i];

        if (end->is_host)
            (void)vine__status_set_sides(&end->page, 0, sides);
        if (end->machine == NULL || !place_of(end)->is_plugged)
            continue;
        if (vine__status_set_sides(&end->machine->status, end->place, sides))
            tell_page(end->machine);
    }
}

void vine__machine_link_enter(struct vine__machine_link *link, enum vine_status_end own)
{
    struct end *const end = &link->ends[own];
    struct vine_status_side sides[2];

    if (place_of(end)->is_plugged)
        return;
    copy_sides(link, sides);
    const struct vine__status_entry entry = {
        .name = link->name,
        .end = own,
        .channels = link->channels,
        .size_bytes = {link->size_bytes[0], link->size_bytes[1]},
        .sides = sides,
    };

    place_of(end)->is_plugged = true;
    vine__status_plug(&end->machine->status, end->place, &entry);
    tell_page(end->machine);
}

static void leave_page(struct vine__machine_link *link, enum vine_status_end own)
{
    struct end *const end = &link->ends[own];

    if (!place_of(end)->is_plugged)
        return;
    place_of(end)->is_plugged = false;
    vine__status_unplug(&end->machine->status, end->place);
    tell_page(end->machine);
}

void vine__machine_link_set_side(struct vine__machine_link *link, enum vine_status_end own,
                                 enum vine_status_side_state state, enum vine_status_reason reason)
{
    link->ends[own].side.state = state;
    link->ends[own].side.reason = reason;
    vine__machine_link_publish(link);
}

void vine__machine_link_taken(struct vine__machine_link *link, enum vine_status_end own,
                              enum vine_status_side_state state)
{
    link->ends[own].side.generation++;
    vine__machine_link_set_side(link, own, state, VINE_STATUS_REASON_NONE);
}

/* ---- machines -------------------------------------------------------------------------------- */

void vine__machine_link_fill_arguments(const struct vine__machine_link *link,
                                       enum vine_status_end end,
                                       struct vine__arguments_link *ret_arguments)
{
    *ret_arguments = (struct vine__arguments_link){
        .name = link->name,
        .end = end,
        .fds = {link->fds[0], link->fds[1]},
        .size_bytes = {link->size_bytes[0], link->size_bytes[1]},
    };
}

/* The place where a machine that is being adopted has had this link. Others may have its name. */
static int find_former(const struct vine__machine *machine, const struct vine__machine_link *link,
                       enum vine_status_end own, uint32_t wanted, uint32_t *ret_place)
{
    bool is_taken = false;

    for (uint32_t place = 0; place < machine->description.links_max; place++) {
        const struct vine_status_link *const entry = vine__status_entry(&machine->status, place);

        if ((wanted != VINE__MACHINE_LINK_ANY_PLACE && wanted != place) || entry->is_plugged == 0 ||
            entry->end != (uint32_t)own ||
            memcmp(entry->name, link->name, sizeof(entry->name)) != 0 ||
            memcmp(entry->size_bytes, link->size_bytes, sizeof(entry->size_bytes)) != 0)
            continue;
        is_taken = machine->places[place].link != NULL;
        if (is_taken)
            continue;
        *ret_place = place;
        return 0;
    }
    return is_taken ? -EBUSY : -ENOENT;
}

/* Go on where another process has left it: no page changes. Each page knows both sides; what is
 * newer holds, since its writer may have ended before it wrote the other one. */
static int enter_again(struct vine__machine_link *link, enum vine_status_end own,
                       struct vine__machine *machine, uint32_t place, uint32_t *ret_place)
{
    struct end *const end = &link->ends[own];
    const int error = find_former(machine, link, own, place, ret_place);

    if (error != 0)
        return error;
    const struct vine_status_link *const entry = vine__status_entry(&machine->status, *ret_place);

    for (int i = 0; i < 2; i++)
        if (entry->sides[i].generation > link->ends[i].side.generation)
            link->ends[i].side = entry->sides[i];
    link->channels = entry->channels;
    end->machine = machine;
    end->place = *ret_place;
    *place_of(end) = (struct vine__place){.link = link, .end = own, .is_plugged = true};
    return 0;
}

static bool place_is_free(const struct vine__machine *machine, uint32_t place)
{
    const struct vine__place *const own = &machine->places[place];

    /* One whose link was closed may still have its devices. */
    return own->link == NULL && !own->is_going;
}

/* A place comes again as late as can be: a process of the guest that kept the memory of a device
 * which has gone finds there what is plugged in the same place after it. */
static int find_place(struct vine__machine *machine, uint32_t wanted, uint32_t *ret_place)
{
    const uint32_t count = machine->description.links_max;
    bool is_leaving = false;

    if (wanted != VINE__MACHINE_LINK_ANY_PLACE) {
        if (wanted >= count)
            return -EINVAL;
        *ret_place = wanted;
        return place_is_free(machine, wanted) ? 0 : -EBUSY;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t place = (machine->status.books->next_place + i) % count;

        if (!place_is_free(machine, place)) {
            is_leaving |= machine->places[place].link == NULL;
            continue;
        }
        machine->status.books->next_place = place + 1;
        *ret_place = place;
        return 0;
    }
    return is_leaving ? -EAGAIN : -ENOSPC;
}

int vine__machine_link_attach(struct vine__machine_link *link, enum vine_status_end own,
                              struct vine__machine *machine, uint32_t place, uint32_t *ret_place)
{
    struct end *const end = &link->ends[own];
    const bool is_off = vine__machine_state_of(machine) == VINE__MACHINE_OFF;
    uint32_t found;
    int error;

    VINE_ASSERT(vine__machine_link_unfilled(link) == 0);
    if (end->machine != NULL || end->is_host)
        return -EBUSY;
    if (link->size_bytes[0] > machine->description.link_bytes_max ||
        link->size_bytes[1] > machine->description.link_bytes_max)
        return machine->description.links_max == 0 ? -ENOSPC : -E2BIG;
    if (machine->adoption != NULL)
        return enter_again(link, own, machine, place, ret_place);
    if (!is_off && !vine__machine_is_up(machine))
        return -EAGAIN;
    error = find_place(machine, place, &found);
    if (error != 0)
        return error;
    end->machine = machine;
    end->place = found;
    *place_of(end) = (struct vine__place){.link = link, .end = own};
    if (is_off)
        vine__machine_link_enter(link, own);
    else
        error = vine__plug_in(machine, found);
    if (error != 0) {
        *place_of(end) = (struct vine__place){0};
        end->machine = NULL;
        return error;
    }
    *ret_place = found;
    return 0;
}

void vine__machine_link_let_go(struct vine__machine_link *link, enum vine_status_end own)
{
    struct end *const end = &link->ends[own];

    leave_page(link, own);
    *place_of(end) = (struct vine__place){0};
    end->machine = NULL;
    end->side.doorbell_peer = VINE_STATUS_NO_DOORBELL;
    end->side.doorbell_vector = 0;
    if (end->side.state != VINE_STATUS_ABSENT && end->side.state != VINE_STATUS_LOST) {
        end->side.state = VINE_STATUS_LOST;
        end->side.reason = VINE_STATUS_REASON_UNPLUGGED;
    }
    vine__machine_link_publish(link);
}

void vine__machine_link_release(struct vine__machine_link *link, enum vine_status_end own)
{
    link->ends[own].machine = NULL;
}

void vine__machine_link_detach(struct vine__machine_link *link, enum vine_status_end own)
{
    struct end *const end = &link->ends[own];

    if (end->is_host) {
        end->is_host = false;
        /* Who has the page mapped keeps it, and sees this. */
        vine__status_unplug(&end->page, 0);
        vine__status_close(&end->page);
        if (end->side.state != VINE_STATUS_ABSENT)
            vine__machine_link_set_side(link, own, VINE_STATUS_LOST, VINE_STATUS_REASON_UNPLUGGED);
        return;
    }
    if (end->machine == NULL || place_of(end)->is_going)
        return;
    if (vine__machine_state_of(end->machine) == VINE__MACHINE_OFF) {
        vine__machine_link_let_go(link, own);
        return;
    }
    /* The guest is told first, so that it stops before its devices go. */
    leave_page(link, own);
    if (end->side.state != VINE_STATUS_ABSENT)
        vine__machine_link_set_side(link, own, VINE_STATUS_LOST, VINE_STATUS_REASON_UNPLUGGED);
    vine__plug_out(end->machine, end->place);
}

/* ---- the host -------------------------------------------------------------------------------- */

int vine__machine_link_attach_host(struct vine__machine_link *link, enum vine_status_end own)
{
    struct end *const end = &link->ends[own];

    if (end->machine != NULL || end->is_host)
        return -EBUSY;

    struct vine_status_side sides[2];
    const struct vine__status_entry entry = {
        .name = link->name,
        .end = own,
        .channels = link->channels,
        .size_bytes = {link->size_bytes[0], link->size_bytes[1]},
        .sides = sides,
    };
    const int error = vine__status_create(1, &end->page);

    if (error != 0)
        return error;
    copy_sides(link, sides);
    vine__status_plug(&end->page, 0, &entry);
    end->is_host = true;
    vine__machine_link_taken(link, own, VINE_STATUS_ATTACHED);
    return 0;
}

void vine__machine_link_set_host(struct vine__machine_link *link, enum vine_status_end own,
                                 enum vine_status_side_state state, enum vine_status_reason reason)
{
    const enum vine_status_side_state before = link->ends[own].side.state;

    VINE_ASSERT(link->ends[own].is_host);
    if (state == VINE_STATUS_ATTACHED &&
        (before == VINE_STATUS_ABSENT || before == VINE_STATUS_LOST))
        vine__machine_link_taken(link, own, state);
    else
        vine__machine_link_set_side(link, own, state, reason);
}

void vine__machine_link_set_host_doorbell(struct vine__machine_link *link, enum vine_status_end own,
                                          uint32_t peer, uint32_t vector)
{
    VINE_ASSERT(link->ends[own].is_host);
    link->ends[own].side.doorbell_peer = peer;
    link->ends[own].side.doorbell_vector = vector;
    vine__machine_link_publish(link);
}

int vine__machine_link_host_page(const struct vine__machine_link *link, enum vine_status_end own)
{
    VINE_ASSERT(link->ends[own].is_host);
    return link->ends[own].page.fd;
}

int vine__machine_link_fd(const struct vine__machine_link *link, enum vine_status_end writer)
{
    return link->fds[writer];
}

struct vine_status_side vine__machine_link_side(const struct vine__machine_link *link,
                                                enum vine_status_end end)
{
    return link->ends[end].side;
}

const char *vine__machine_link_name(const struct vine__machine_link *link)
{
    return link->name;
}
