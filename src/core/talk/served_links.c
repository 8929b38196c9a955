/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An appliance that listens at links between machines: at one of them, or at all that its machine
 * has or will get, one application at each at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "core/talk/appliance_internal.h"
#include "utils/bits.h"

#define BACKSTOP_NS 500000000 /* where we are rung for */
/* For a process that dies nobody rings, and it is told within a second all the same. To wake a
 * machine for a look costs its host more than all that an idle appliance does otherwise. */
#define RESTING_NS     VINE_NS_PER_SECOND
#define RESTS_AFTER_NS (10 * VINE_NS_PER_SECOND)

/* So many looks at a place lie between two answers there: who writes one meeting after the other
 * would have the loop lay out halves, which takes as long as thousands of tasks, and nothing
 * else. */
#define LOOKS_BETWEEN 200

/* How often a place is tried that cannot be opened yet. */
#define AGAIN_NS 20000000

struct vine__served_places {
    struct vine__guest *guest;
    struct vine__bell bell;
    uint32_t changes; /* of the status page, when the places were last gone through */
    bool is_behind;   /* the host was writing then */
    bool is_owing; /* somebody has come to a place again so soon that it is to be looked at soon */
    uint32_t count;
    struct vine__served_place {
        struct vine__device_end end; /* zeroed: closed */
        bool is_open;
        bool is_refused;           /* was not opened: tried again when the host changes something */
        uint64_t again_ns;         /* or then, if that may help */
        uint32_t looks;            /* that have to pass until the next answer */
        uint64_t answered;         /* the meeting that we, or who was here before, answered last */
        struct vine__served *pipe; /* NULL: nobody is there, and nothing of the last one is left */
    } places[VINE_STATUS_LINKS_MAX];
};

static void open_place(struct vine_appliance *appliance, uint32_t index)
{
    struct vine__served_places *places = appliance->places;
    struct vine__served_place *place = &places->places[index];
    const char *root = appliance->address.sysfs_root;
    struct vine__why why = {""};
    const int error =
        vine__device_end_open(&place->end, places->guest, root[0] != 0 ? root : NULL, index, &why);

    if (error == 0) {
        place->is_open = true;
        place->is_refused = false;
        place->answered = vine__device_end_succeed(&place->end);
        vine__appliance_log(appliance, VINE_LOG_INFO, "link %s: listening", place->end.link.name);
        return;
    }
    /* Its devices may come a little later than what the host says of them, and whoever has them may
     * go. To ask takes as long as some tasks. */
    if (error == -EAGAIN || error == -ENODEV || error == -EBUSY) {
        places->is_behind = true;
        place->again_ns = error == -EAGAIN ? 0 : vine__clock_now_ns() + AGAIN_NS;
    }
    if (!place->is_refused && error != -EAGAIN && error != -ENODEV) {
        vine__appliance_log(appliance, VINE_LOG_WARNING, "%s", why.text);
        place->is_refused = true;
    }
}

static void close_place(struct vine_appliance *appliance, struct vine__served_place *place,
                        const char *why)
{
    if (place->pipe != NULL)
        vine__loop_end_pipe(place->pipe, -VINE_EPEERLOST, why);
    vine__appliance_log(appliance, VINE_LOG_INFO, "link %s: %s", place->end.link.name, why);
    vine__device_end_close(&place->end);
    place->is_open = false;
}

/* Open what has come, and close what has gone. */
static void see_changes(struct vine_appliance *appliance)
{
    struct vine__served_places *places = appliance->places;
    const uint32_t changes = vine__guest_changes(places->guest);
    const char *name = appliance->address.name;

    const bool is_new = changes != places->changes;

    if (!is_new && !places->is_behind)
        return;
    places->changes = changes;
    places->is_behind = false;
    for (uint32_t i = 0; i < places->count; i++) {
        struct vine__served_place *place = &places->places[i];
        struct vine__guest_link link;
        const int error = vine__guest_link_at(places->guest, i, &link);
        const bool is_there = error == 0 && link.end == VINE_STATUS_APPLIANCE &&
                              (strcmp(name, "auto") == 0 || strcmp(name, link.name) == 0);

        if (error == -EAGAIN) {
            places->is_behind = true;
            continue;
        }
        if (place->is_open && (!is_there || link.generation != place->end.link.generation))
            close_place(appliance, place, "unplugged");
        if (!place->is_open && is_there && place->pipe == NULL && !appliance->is_draining &&
            (is_new || vine__clock_now_ns() >= place->again_ns))
            open_place(appliance, i);
        else if (!place->is_open && is_there)
            places->is_behind = true;
    }
}

/* Whoever has something for us rings; where that cannot be we look now and then. */
static void listen_to_bell(struct vine_appliance *appliance)
{
    struct vine__served_places *places = appliance->places;
    const char *root = appliance->address.sysfs_root;
    struct vine__why why = {""};
    uint32_t count = 0;

    vine__bell_open(&places->bell, places->guest, root[0] != 0 ? root : NULL, &why);
    if (vine__bell_is_there(&places->bell))
        count = vine__doorbell_vector_count(places->bell.doorbell);
    for (uint32_t i = 0; i < count; i++)
        if (vine__epoll_add_signal(appliance->epoll_fd, vine__doorbell_fd(places->bell.doorbell, i),
                                   places) != 0)
            vine__why_say(&why, "its vector %u cannot be watched", i);
    vine__appliance_log(appliance, VINE_LOG_INFO, "links: %s%s",
                        count > 0 ? "woken by doorbells" : "looked at now and then: ", why.text);
}

int vine__served_listen_links(struct vine_appliance *appliance, struct vine__why *why)
{
    const struct vine__address *address = &appliance->address;
    const struct vine__guest_options options = {
        .socket = address->socket[0] != 0 ? address->socket : NULL,
        .sysfs_root = address->sysfs_root[0] != 0 ? address->sysfs_root : NULL,
        .command_line = address->command_line[0] != 0 ? address->command_line : NULL,
        .why = why->text,
        .why_size = sizeof why->text,
    };
    struct vine__served_places *places = calloc(1, sizeof *places);

    if (places == NULL)
        return -ENOMEM;

    const int error = vine__guest_open(&options, &places->guest);

    if (error) {
        free(places);
        return error;
    }
    places->count = vine__guest_places(places->guest);
    places->is_behind = true;
    appliance->places = places;
    vine__loop_set_spin(appliance, VINE__SPIN_DEVICE_NS);
    listen_to_bell(appliance);
    see_changes(appliance);
    return 0;
}

void vine__served_leave_links(struct vine_appliance *appliance)
{
    struct vine__served_places *places = appliance->places;

    if (places == NULL)
        return;
    for (uint32_t i = 0; i < places->count; i++)
        vine__device_end_close(&places->places[i].end);
    vine__bell_close(&places->bell);
    vine__guest_close(places->guest);
    free(places);
    appliance->places = NULL;
}

/* Answer who has come to a place, if anybody has. */
static void answer(struct vine_appliance *appliance, struct vine__served_place *place)
{
    struct vine__why why = {""};
    const uint32_t said = place->end.link.channels;
    const uint32_t own = appliance->options.channels_max;
    const struct vine__grant grant = {
        .name = appliance->name,
        .channels_max = said != 0 && said < own ? said : own,
        .tasks_max = appliance->options.tasks_max,
        .generation = appliance->common->generation,
        .why = &why,
    };
    const uint64_t meeting = vine__load_relaxed_u64(&vine__device_end_board(&place->end)->meeting);

    if (VINE__LIKELY(meeting == 0 || meeting == place->answered))
        return;
    if (place->looks > 0) {
        appliance->places->is_owing = true;
        return;
    }

    struct vine__served *pipe = vine__served_create(appliance);

    if (pipe == NULL)
        return;

    pipe->link_to.bell = &appliance->places->bell;

    int error = vine__link_accept_device(&pipe->link_to, &place->end, place->answered, &grant,
                                         &pipe->agreement, &place->answered);

    if (error == -EAGAIN) {
        vine__served_discard(pipe);
        return;
    }
    place->looks = LOOKS_BETWEEN;
    pipe->place = &place->pipe;
    place->pipe = pipe;
    if (!error)
        error = vine__served_open(pipe);
    if (error) {
        vine__served_end(pipe, error, why.text[0] != 0 ? why.text : vine_error_text(error));
        return;
    }
    vine__loop_activate(pipe);
    vine__link_welcome_device(&pipe->link_to);
}

static void look_at(struct vine__served *pipe)
{
    int error = 0;

    pipe->why.text[0] = 0;
    if (pipe->state != VINE__SERVED_OPEN)
        return;
    error = pipe->link_to.operations->receive(&pipe->link_to, &pipe->why);
    if (error == 0 && pipe->link_to.operations->peer_lost(&pipe->link_to)) {
        vine__why_say(&pipe->why, "another process has taken its end of the link");
        error = -VINE_EPEERLOST;
    }
    if (error)
        vine__loop_end_pipe(pipe, error, pipe->why.text);
    else if (!pipe->is_active && vine__loop_has_work(pipe))
        vine__loop_activate(pipe);
}

void vine__served_look_links(struct vine_appliance *appliance)
{
    struct vine__served_places *places = appliance->places;

    see_changes(appliance);
    places->is_owing = false;
    for (uint32_t i = 0; i < places->count; i++) {
        struct vine__served_place *place = &places->places[i];

        if (place->looks > 0)
            place->looks--;
        if (place->pipe != NULL)
            look_at(place->pipe);
        else if (place->is_open && !appliance->is_draining)
            answer(appliance, place);
    }
}

/* Whether all that have a pipe ring. Who comes anew and cannot is heard at the backstop. */
static bool all_ring(const struct vine__served_places *places)
{
    if (!vine__bell_is_there(&places->bell))
        return false;
    for (uint32_t i = 0; i < places->count; i++) {
        const struct vine__served *pipe = places->places[i].pipe;

        if (pipe != NULL && pipe->state == VINE__SERVED_OPEN &&
            !vine__link_peer_rings(&pipe->link_to))
            return false;
    }
    return true;
}

uint64_t vine__served_nap_links(const struct vine_appliance *appliance, uint64_t idle_ns)
{
    if (appliance->places->is_owing)
        return 0;
    if (all_ring(appliance->places))
        return idle_ns > RESTS_AFTER_NS ? RESTING_NS : BACKSTOP_NS;
    return vine__nap_ns(idle_ns);
}
