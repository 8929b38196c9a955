/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two memories of a link, put behind their root ports while the guest runs, and taken out
 * again.
 *
 * Each is a small machine of its own: descriptor, memory, device; and back. What is half done is
 * undone by the same way back.
 */
#include "vmm/engine/machine_internal.h"

#include <vine/error.h>

#include "arch/clock/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void step_back(struct vine__machine *machine, uint32_t place, uint32_t half);

static void id_of(uint32_t place, uint32_t half, const char *prefix,
                  char ret_id[VINE__ARGUMENTS_ID_BYTES])
{
    vine__arguments_link_id(place, half, prefix, ret_id);
}

/* ---- both halves ----------------------------------------------------------------------------- */

static bool both_are(const struct vine__place *place, enum vine__plug_step step)
{
    return place->plugs[0].step == step && place->plugs[1].step == step;
}

static void refuse(struct vine__machine *machine, uint32_t place, const char *what, const char *why)
{
    const struct vine__place *const own = &machine->places[place];

    vine__machine_tell(machine, VINE__MACHINE_REFUSED, place, "link %s %s: %s",
                       own->link != NULL ? vine__machine_link_name(own->link) : "that was closed",
                       what, why);
}

/* A half has come to rest, in or out. */
static void settle(struct vine__machine *machine, uint32_t place)
{
    struct vine__place *const own = &machine->places[place];

    if (own->link == NULL && !own->is_going)
        return; /* that was the last of it */
    if (both_are(own, VINE__PLUG_FREE)) {
        struct vine__machine_link *const link = own->link;

        if (own->refusal[0] != '\0')
            refuse(machine, place, "cannot be plugged", own->refusal);
        else
            vine__machine_tell(machine, VINE__MACHINE_UNPLUGGED, place, "link %s",
                               link != NULL ? vine__machine_link_name(link) : "that was closed");
        if (link != NULL)
            vine__machine_link_let_go(link, own->end);
        *own = (struct vine__place){0};
        return;
    }
    if (own->is_going) {
        for (uint32_t half = 0; half < 2; half++)
            if (own->plugs[half].step == VINE__PLUG_PLUGGED)
                step_back(machine, place, half);
        return;
    }
    if (both_are(own, VINE__PLUG_PLUGGED)) {
        vine__machine_link_taken(own->link, own->end,
                                 machine->state == VINE__MACHINE_PAUSED ? VINE_STATUS_PAUSED
                                                                        : VINE_STATUS_ATTACHED);
        vine__machine_link_enter(own->link, own->end);
        vine__machine_tell(machine, VINE__MACHINE_PLUGGED, place, "link %s",
                           vine__machine_link_name(own->link));
    }
}

/* ---- one half -------------------------------------------------------------------------------- */

/* The next step was sent; if it cannot be, whatever is there stays: its machine is about to end. */
static void sent(struct vine__machine *machine, uint32_t place, uint32_t half,
                 enum vine__plug_step step, int error)
{
    struct vine__plug *const plug = &machine->places[place].plugs[half];

    plug->step = step;
    plug->deadline_ns = VINE_FOREVER;
    if (error != 0)
        plug->command_id = UINT64_MAX;
}

static int add_fd(struct vine__machine *machine, uint32_t place, uint32_t half)
{
    struct vine__place *const own = &machine->places[place];
    char memory[VINE__ARGUMENTS_ID_BYTES];

    id_of(place, half, "memory", memory);
    /* Whoever adopts the machine finds it by that. */
    const int error =
        vine__machine_command(machine, "add-fd", json_pack("{s:s}", "opaque", memory),
                              vine__machine_link_fd(own->link, half), &own->plugs[half].command_id);

    if (error == 0)
        sent(machine, place, half, VINE__PLUG_ADDING_FD, 0);
    return error;
}

static void add_memory(struct vine__machine *machine, uint32_t place, uint32_t half, json_int_t fd)
{
    struct vine__place *const own = &machine->places[place];
    char memory[VINE__ARGUMENTS_ID_BYTES];
    char path[48];
    struct vine__arguments_link link;

    vine__machine_link_fill_arguments(own->link, own->end, &link);
    id_of(place, half, "memory", memory);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%lld", (long long)fd);
    sent(
        machine, place, half, VINE__PLUG_ADDING_MEMORY,
        vine__machine_command(machine, "object-add",
                              json_pack("{s:s, s:s, s:b, s:s, s:I, s:b}", "qom-type",
                                        "memory-backend-file", "id", memory, "share", 1, "mem-path",
                                        path, "size", (json_int_t)link.size_bytes[half], "readonly",
                                        (int)(half != (uint32_t)own->end)),
                              -1, &own->plugs[half].command_id));
}

static void add_device(struct vine__machine *machine, uint32_t place, uint32_t half)
{
    char memory[VINE__ARGUMENTS_ID_BYTES];
    char port[VINE__ARGUMENTS_ID_BYTES];
    char device[VINE__ARGUMENTS_ID_BYTES];

    id_of(place, half, "memory", memory);
    id_of(place, half, "port", port);
    id_of(place, half, "link", device);
    sent(machine, place, half, VINE__PLUG_ADDING_DEVICE,
         vine__machine_command(machine, "device_add",
                               json_pack("{s:s, s:s, s:s, s:s}", "driver", "ivshmem-plain", "id",
                                         device, "memdev", memory, "bus", port),
                               -1, &machine->places[place].plugs[half].command_id));
}

static void remove_device(struct vine__machine *machine, uint32_t place, uint32_t half)
{
    char device[VINE__ARGUMENTS_ID_BYTES];

    id_of(place, half, "link", device);
    sent(machine, place, half, VINE__PLUG_LETTING_GO,
         vine__machine_command(machine, "device_del", json_pack("{s:s}", "id", device), -1,
                               &machine->places[place].plugs[half].command_id));
}

static void remove_memory(struct vine__machine *machine, uint32_t place, uint32_t half)
{
    char memory[VINE__ARGUMENTS_ID_BYTES];

    id_of(place, half, "memory", memory);
    sent(machine, place, half, VINE__PLUG_REMOVING_MEMORY,
         vine__machine_command(machine, "object-del", json_pack("{s:s}", "id", memory), -1,
                               &machine->places[place].plugs[half].command_id));
}

static void remove_fd(struct vine__machine *machine, uint32_t place, uint32_t half)
{
    struct vine__plug *const plug = &machine->places[place].plugs[half];

    if (plug->fdset < 0) {
        plug->step = VINE__PLUG_FREE;
        settle(machine, place);
        return;
    }
    sent(machine, place, half, VINE__PLUG_REMOVING_FD,
         vine__machine_command(machine, "remove-fd", json_pack("{s:I}", "fdset-id", plug->fdset),
                               -1, &plug->command_id));
}

/* Undo the last step that succeeded. */
static void step_back(struct vine__machine *machine, uint32_t place, uint32_t half)
{
    struct vine__plug *const plug = &machine->places[place].plugs[half];

    switch (plug->step) {
    case VINE__PLUG_ADDING_FD:
        plug->step = VINE__PLUG_FREE;
        settle(machine, place);
        break;
    case VINE__PLUG_ADDING_MEMORY:
    case VINE__PLUG_REMOVING_MEMORY:
        remove_fd(machine, place, half);
        break;
    case VINE__PLUG_ADDING_DEVICE:
    case VINE__PLUG_LETTING_GO:
    case VINE__PLUG_LEAVING:
        remove_memory(machine, place, half);
        break;
    case VINE__PLUG_PLUGGED:
        remove_device(machine, place, half);
        break;
    case VINE__PLUG_REMOVING_FD:
        plug->step = VINE__PLUG_FREE;
        settle(machine, place);
        break;
    case VINE__PLUG_FREE:
        break;
    }
}

/* ---- what comes back ------------------------------------------------------------------------- */

/* It is told when what is there has gone: then the place and the end are free. */
static void give_up(struct vine__place *place, const char *why)
{
    if (!place->is_going)
        (void)snprintf(place->refusal, sizeof(place->refusal), "%s", why);
    place->is_going = true;
}

static const char *words_of(const struct vine__qmp_message *message)
{
    return message->error == -ETIMEDOUT ? "QEMU does not answer" : message->text;
}

static void failed(struct vine__machine *machine, uint32_t place, uint32_t half,
                   const struct vine__qmp_message *message)
{
    struct vine__place *const own = &machine->places[place];
    struct vine__plug *const plug = &own->plugs[half];

    if (plug->step == VINE__PLUG_LETTING_GO) {
        /* It may come off all the same: a guest that was asked before is in no hurry. */
        plug->step = VINE__PLUG_LEAVING;
        refuse(machine, place, "does not come off", words_of(message));
        return;
    }
    if (plug->step < VINE__PLUG_PLUGGED)
        give_up(own, words_of(message));
    step_back(machine, place, half);
    if (own->is_going)
        settle(machine, place);
}

static void succeeded(struct vine__machine *machine, uint32_t place, uint32_t half,
                      const struct vine__qmp_message *message)
{
    struct vine__place *const own = &machine->places[place];
    struct vine__plug *const plug = &own->plugs[half];
    const json_t *const fd = json_object_get(message->value, "fd");
    const json_t *const fdset = json_object_get(message->value, "fdset-id");

    switch (plug->step) {
    case VINE__PLUG_ADDING_FD:
        if (!json_is_integer(fd) || !json_is_integer(fdset) || json_integer_value(fd) < 0) {
            const struct vine__qmp_message nonsense = {.text = "QEMU names no descriptor"};

            failed(machine, place, half, &nonsense);
            return;
        }
        plug->fdset = json_integer_value(fdset);
        if (own->is_going)
            remove_fd(machine, place, half);
        else
            add_memory(machine, place, half, json_integer_value(fd));
        break;
    case VINE__PLUG_ADDING_MEMORY:
        if (own->is_going)
            remove_memory(machine, place, half);
        else
            add_device(machine, place, half);
        break;
    case VINE__PLUG_ADDING_DEVICE:
        plug->step = VINE__PLUG_PLUGGED;
        settle(machine, place);
        break;
    case VINE__PLUG_LETTING_GO:
        plug->step = VINE__PLUG_LEAVING;
        plug->deadline_ns = vine__clock_now_ns() + machine->options.unplug_timeout_ns;
        break;
    case VINE__PLUG_REMOVING_MEMORY:
    case VINE__PLUG_REMOVING_FD:
        step_back(machine, place, half);
        break;
    case VINE__PLUG_FREE:
    case VINE__PLUG_PLUGGED:
    case VINE__PLUG_LEAVING:
        break;
    }
}

static bool awaits_answer(const struct vine__plug *plug)
{
    return plug->step != VINE__PLUG_FREE && plug->step != VINE__PLUG_PLUGGED &&
           plug->step != VINE__PLUG_LEAVING;
}

bool vine__plug_answered(struct vine__machine *machine, const struct vine__qmp_message *message)
{
    for (uint32_t place = 0; place < machine->description.links_max; place++)
        for (uint32_t half = 0; half < 2; half++) {
            const struct vine__plug *const plug = &machine->places[place].plugs[half];

            if (!awaits_answer(plug) || plug->command_id != message->id)
                continue;
            if (message->error != 0)
                failed(machine, place, half, message);
            else
                succeeded(machine, place, half, message);
            return true;
        }
    return false;
}

/* A guest can take a device out without having been asked: a link with one half is none. */
static void taken_out(struct vine__machine *machine, uint32_t place, uint32_t half)
{
    struct vine__place *const own = &machine->places[place];

    own->plugs[half].step = VINE__PLUG_LEAVING;
    own->plugs[half].deadline_ns = VINE_FOREVER;
    if (own->link != NULL)
        vine__machine_link_detach(own->link, own->end);
    own->is_going = true;
    step_back(machine, place, half);
}

void vine__plug_deleted(struct vine__machine *machine, const char *device)
{
    char id[VINE__ARGUMENTS_ID_BYTES];

    for (uint32_t place = 0; place < machine->description.links_max; place++)
        for (uint32_t half = 0; half < 2; half++) {
            const enum vine__plug_step step = machine->places[place].plugs[half].step;

            id_of(place, half, "link", id);
            if (strcmp(id, device) != 0)
                continue;
            if (step == VINE__PLUG_LETTING_GO || step == VINE__PLUG_LEAVING)
                step_back(machine, place, half);
            if (step == VINE__PLUG_PLUGGED)
                taken_out(machine, place, half);
            return;
        }
}

uint64_t vine__plug_deadline_ns(const struct vine__machine *machine)
{
    uint64_t deadline_ns = VINE_FOREVER;

    for (uint32_t place = 0; place < machine->description.links_max; place++)
        for (uint32_t half = 0; half < 2; half++) {
            const struct vine__plug *const plug = &machine->places[place].plugs[half];

            if (plug->step == VINE__PLUG_LEAVING && plug->deadline_ns < deadline_ns)
                deadline_ns = plug->deadline_ns;
        }
    return deadline_ns;
}

void vine__plug_expire(struct vine__machine *machine, uint64_t now_ns)
{
    for (uint32_t place = 0; place < machine->description.links_max; place++)
        for (uint32_t half = 0; half < 2; half++) {
            struct vine__plug *const plug = &machine->places[place].plugs[half];

            if (plug->step != VINE__PLUG_LEAVING || now_ns < plug->deadline_ns)
                continue;
            plug->deadline_ns = VINE_FOREVER;
            refuse(machine, place, "does not come off", "the guest does not let go of it");
        }
}

/* ---- for links ------------------------------------------------------------------------------- */

int vine__plug_in(struct vine__machine *machine, uint32_t place)
{
    int error = add_fd(machine, place, 0);

    if (error == 0) {
        error = add_fd(machine, place, 1);
        if (error != 0) {
            /* The first half is on its way: it goes back when it comes, and this is no failure
             * yet. */
            give_up(&machine->places[place], vine_error_text(error));
            error = 0;
        }
    }
    return error;
}

void vine__plug_out(struct vine__machine *machine, uint32_t place)
{
    machine->places[place].is_going = true;
    /* One that is not up yet hears of it when it is; one that ends takes all with it. */
    if (vine__machine_is_up(machine))
        settle(machine, place);
}

void vine__plug_found(struct vine__machine *machine, uint32_t place,
                      const struct vine__plug_found found[2])
{
    struct vine__place *const own = &machine->places[place];

    for (uint32_t half = 0; half < 2; half++)
        own->plugs[half] = (struct vine__plug){
            .step = found[half].has_device   ? VINE__PLUG_PLUGGED
                    : found[half].has_memory ? VINE__PLUG_ADDING_DEVICE
                    : found[half].has_fdset  ? VINE__PLUG_ADDING_MEMORY
                                             : VINE__PLUG_FREE,
            .command_id = UINT64_MAX, /* no answer is to come */
            .deadline_ns = VINE_FOREVER,
            .fdset = found[half].has_fdset ? found[half].fdset : -1,
        };
    if (both_are(own, own->link != NULL ? VINE__PLUG_PLUGGED : VINE__PLUG_FREE))
        return;
    if (own->link != NULL) {
        vine__machine_link_detach(own->link, own->end);
    } else {
        own->is_going = true;
        settle(machine, place);
    }
    for (uint32_t half = 0; half < 2; half++)
        if (own->plugs[half].step != VINE__PLUG_FREE && own->plugs[half].step < VINE__PLUG_PLUGGED)
            step_back(machine, place, half);
}

void vine__plug_inherited(struct vine__machine *machine)
{
    for (uint32_t place = 0; place < machine->description.links_max; place++)
        for (uint32_t half = 0; half < 2 && machine->places[place].link != NULL; half++)
            machine->places[place].plugs[half] =
                (struct vine__plug){.step = VINE__PLUG_PLUGGED, .fdset = -1};
}

void vine__plug_resume(struct vine__machine *machine)
{
    for (uint32_t place = 0; place < machine->description.links_max; place++)
        if (machine->places[place].is_going)
            settle(machine, place);
}

void vine__plug_forget(struct vine__machine *machine)
{
    for (uint32_t i = 0; i < machine->description.links_max; i++) {
        struct vine__place *const place = &machine->places[i];
        const bool is_going = place->is_going;
        struct vine__machine_link *const link = place->link;

        memset(place->plugs, 0, sizeof(place->plugs));
        if (!is_going && link != NULL) {
            /* Was it half plugged? It will be there from the next start. */
            vine__machine_link_enter(link, place->end);
            continue;
        }
        if (is_going && place->refusal[0] == '\0')
            vine__machine_tell(machine, VINE__MACHINE_UNPLUGGED, i, "link %s",
                               link != NULL ? vine__machine_link_name(link) : "that was closed");
        if (link != NULL)
            vine__machine_link_let_go(link, place->end);
        *place = (struct vine__place){0};
    }
}
