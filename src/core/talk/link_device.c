/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two machines: each half is a device that one of them writes and the other can only read, and the
 * host says how the other one is. Nothing grows, and no descriptor crosses.
 *
 * An application makes its half, writes on its board what it wishes for, and then a number of its
 * own, the meeting. The appliance makes its half, writes what it grants, and then the same number.
 * A board that shows another one belongs to somebody else.
 *
 * When its appliance has gone, an application goes on with the next one by another meeting, with
 * the half that it has: the next one clears its own, and no other, before it answers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/peer/random.h"
#include "arch/wake/futex.h"
#include "core/talk/link.h"
#include "core/talk/message.h"
#include "utils/assert.h"
#include "utils/atomic.h"
#include "utils/bits.h"

/* Who waits longer looks less often: a wait becomes longer by an eighth at most. */
#define NAP_LEAST_NS   20000
#define NAP_MOST_NS    2000000
#define LOOK_NS        20000000 /* how often who waits for an answer sees whether one can come */
#define SENTENCE_LOOKS 1000
#define BUSY_NS        50000000 /* a warden has the end of who died for less than that */

static void wake(struct vine__link *link)
{
    /* Relaxed: the number alone is used. */
    const uint64_t peer = vine__load_relaxed_u64(&link->peer_bell);

    vine__bell_ring(link->bell, (uint32_t)(peer >> 32), (uint32_t)peer);
}

static void know_peer(struct vine__link *link, const struct vine__guest_end *peer)
{
    vine__store_relaxed_u64(&link->peer_bell,
                            (uint64_t)peer->doorbell_peer << 32 | peer->doorbell_vector);
    vine__store_relaxed_u32(&link->sequence, peer->sequence);
}

static int announce(struct vine__link *link, uint32_t index, const struct vine__half_extent *extent)
{
    (void)link;
    (void)index;
    (void)extent;
    return -VINE_EQUOTA;
}

static bool peer_lost(struct vine__link *link)
{
    /* B10 pairs with B9: a board that belongs to somebody else says nothing to us. */
    return vine__load_acquire_u64(&vine__device_end_board(link->end)->meeting) != link->meeting;
}

/* What the host has said since we looked last. */
static int hear_host(struct vine__link *link, struct vine__why *why)
{
    const uint32_t changes = vine__guest_changes(link->end->guest);
    struct vine__guest_end peer;

    if (VINE__LIKELY(changes == vine__load_relaxed_u32(&link->changes)))
        return 0;

    const int error = vine__device_end_peer(link->end, link->peer_generation, &peer, why);

    if (!error) {
        vine__store_relaxed_u32(&link->changes, changes);
        know_peer(link, &peer);
    }
    return error == -EAGAIN ? 0 : error;
}

/* A device that was taken out of a machine reads as zeros there, so a completion, or what the
 * appliance made it of, may be none. The host takes the first device of a link out after it has
 * told both machines: what was read before a look that finds nothing said of it is sound. */
bool vine__link_device_held(const struct vine__link *link)
{
    const uint32_t place = link->end->link.place;
    struct vine__guest_link told;
    int error;

    vine__fence_acquire();
    if (VINE__LIKELY(vine__guest_changes(link->end->guest) ==
                     vine__load_relaxed_u32(&link->changes)))
        return true;

    /* In the middle of the first sentence since we heard it: devices go behind its end. In the
     * middle of a later one it has to end, or nobody knows what the one before was. */
    for (int i = 0; (error = vine__guest_link_at(link->end->guest, place, &told)) == -EAGAIN; i++)
        if (i == SENTENCE_LOOKS || vine__guest_sequence(link->end->guest, place) ==
                                       vine__load_relaxed_u32(&link->sequence) + 1)
            return i < SENTENCE_LOOKS;
    if (error || told.generation != link->end->link.generation)
        return false;

    const struct vine__guest_end *peer =
        &told.ends[told.end == VINE_STATUS_APPLICATION ? VINE_STATUS_APPLIANCE
                                                       : VINE_STATUS_APPLICATION];

    return peer->state != VINE_STATUS_LOST || peer->reason != VINE_STATUS_REASON_UNPLUGGED;
}

static int receive(struct vine__link *link, struct vine__why *why)
{
    /* B6 pairs with B5. */
    const uint32_t closed = vine__load_acquire_u32(&link->mirror->layout->board.closed.value);

    if (VINE__LIKELY(closed == 0))
        return hear_host(link, why);
    if (peer_lost(link)) {
        vine__why_say(why, "another process has taken the other end of link %s",
                      link->end->link.name);
        return -VINE_EPEERLOST;
    }
    vine__why_say(why, closed == VINE_EPEERLOST ? "the process at the other end has died"
                                                : "the other side closed the pipe");
    return vine__error_from_wire(closed, -VINE_ECLOSED);
}

static void nap(uint64_t waited_ns, uint64_t timeout_ns)
{
    const uint32_t nobodys = 0;
    const uint64_t nap_ns = vine__min_u64(vine__max_u64(waited_ns / 8, NAP_LEAST_NS), NAP_MOST_NS);

    (void)!vine__futex_wait_private(&nobodys, 0, vine__min_u64(nap_ns, timeout_ns));
}

bool vine__link_peer_rings(const struct vine__link *link)
{
    /* Relaxed: who says so falsely is served late. */
    return (vine__load_relaxed_u32(&vine__device_end_board(link->end)->features) &
            VINE_TALK_FEATURE_RINGS) != 0;
}

static void rest(struct vine__link *link, uint32_t rings, uint64_t waited_ns, uint64_t timeout_ns)
{
    const struct vine__guest_link *told = &link->end->link;
    const uint32_t vector = told->ends[told->end].doorbell_vector;

    if (vine__bell_hears(link->bell, vector) && vine__link_peer_rings(link))
        vine__bell_rest(link->bell, vector, rings, timeout_ns);
    else
        nap(waited_ns, timeout_ns);
}

static void bye(struct vine__link *link, int error, const char *text)
{
    (void)text;
    /* B5 pairs with B6. */
    vine__store_release_u32(&link->half->layout->board.closed.value, vine__error_to_wire(error));
    wake(link);
}

/* An appliance's end is its place's, which goes on with the next application. */
static void close_link(struct vine__link *link)
{
    if (link->guest == NULL)
        return;
    vine__bell_close(&link->own_bell);
    if (link->end != NULL)
        vine__device_end_close(link->end);
    free(link->end);
    vine__guest_close(link->guest);
    free(link->address);
    link->end = NULL;
    link->guest = NULL;
    link->address = NULL;
}

static int look_for_next(const struct vine__link *former, struct vine__why *why);
static int go_on(struct vine__link *link, const struct vine__link *former,
                 const struct vine__handshake_wish *wish, struct vine__agreement *ret_agreement);

static const struct vine__link_operations operations = {
    .wake = wake,
    .announce = announce,
    .receive = receive,
    .peer_lost = peer_lost,
    .rest = rest,
    .bye = bye,
    .look_for_next = look_for_next,
    .go_on = go_on,
    .close = close_link,
};

/* Lay our half out over what was there; its board says nothing yet. */
static int make_half(struct vine__link *link, uint64_t generation, struct vine__why *why)
{
    const struct vine__guest_link *told = &link->end->link;
    uint8_t uuid[VINE_SEGMENT_IDENTITY_BYTES];
    struct vine__half_options options = {
        .uuid = uuid,
        .side = link->side,
        .generation = generation,
        .device = link->end->ours,
        .device_bytes = told->size_bytes[told->end],
        .sysfs_root = link->end->sysfs_root,
        .bytes_max = told->size_bytes[told->end],
        .why = why,
    };
    const int error = vine__random_bytes(uuid, sizeof uuid);

    return error ? error : vine__half_create(link->half, &options);
}

static int open_mirror(struct vine__link *link, struct vine__why *why)
{
    const struct vine__mirror_options options = {
        .device = link->end->theirs,
        .sysfs_root = link->end->sysfs_root,
        .kind = link->side == VINE_SEGMENT_APPLICATION ? VINE_SEGMENT_KIND_APPLIANCE_HALF
                                                       : VINE_SEGMENT_KIND_APPLICATION_HALF,
        .why = why,
    };

    return vine__mirror_open(link->mirror, &options);
}

/* What the other side calls itself, made printable. */
static void read_name(const struct vine_board_layout *theirs, char ret_name[32])
{
    VINE_STATIC_ASSERT(sizeof theirs->name == 32, "the names of boards and agreements");
    for (size_t i = 0; i < sizeof theirs->name; i += sizeof(uint64_t)) {
        const uint64_t word =
            vine__load_relaxed_u64((const uint64_t *)(const void *)(theirs->name + i));

        memcpy(ret_name + i, &word, sizeof word);
    }
    vine__talk_tame(ret_name, sizeof theirs->name);
}

static bool is_version_known(const struct vine_board_layout *theirs, struct vine__why *why)
{
    const uint32_t version = vine__load_relaxed_u32(&theirs->version);

    if (version >> 16 == VINE_TALK_MAJOR)
        return true;
    vine__why_say(why, "the other side speaks version %u.%u, we %u.%u", version >> 16,
                  version & 0xffffU, VINE_TALK_MAJOR, VINE_TALK_MINOR);
    return false;
}

static uint32_t own_features(const struct vine__link *link, uint32_t without)
{
    const uint32_t features = VINE_TALK_FEATURE_REASONS | VINE_TALK_FEATURE_DEADLINES |
                              (vine__bell_is_there(link->bell) ? VINE_TALK_FEATURE_RINGS : 0);

    return features & ~without;
}

/* ---- the application's side ----------------------------------------------------------------- */

/* Take the end in `place`, if somebody is at the other one. */
static int take_end_at(struct vine__link *link, const char *sysfs_root, uint32_t place,
                       struct vine__why *why)
{
    struct vine__guest_end peer;
    int error;

    link->changes = vine__guest_changes(link->guest);
    error = vine__device_end_open(link->end, link->guest, sysfs_root, place, why);
    if (error)
        return error;
    error = vine__device_end_peer(link->end, 0, &peer, why);
    if (error) {
        vine__device_end_close(link->end);
        return error == -VINE_EPEERLOST ? -VINE_ENOAPPLIANCE : error;
    }
    link->peer_generation = peer.generation;
    know_peer(link, &peer);
    return 0;
}

/* The first link of that name, or the first at all, whose end is free. -EAGAIN  the host is writing
 * what it says of one that may be it; -ENODEV  the devices of one are not there yet. */
static int take_end(struct vine__link *link, const struct vine__address *address,
                    struct vine__why *why)
{
    const char *root = address->sysfs_root[0] != 0 ? address->sysfs_root : NULL;
    const bool is_any = strcmp(address->name, "auto") == 0;
    struct vine__why coming = {""};
    bool is_behind = false;
    int error = -VINE_ENOAPPLIANCE;

    vine__why_say(why,
                  is_any ? "this machine has no link to an appliance"
                         : "this machine has no link %s to an appliance",
                  address->name);
    for (uint32_t i = 0; i < vine__guest_places(link->guest); i++) {
        struct vine__guest_link told;
        const int unread = vine__guest_link_at(link->guest, i, &told);

        is_behind |= unread == -EAGAIN;
        if (unread || told.end != VINE_STATUS_APPLICATION ||
            (!is_any && strcmp(address->name, told.name) != 0))
            continue;
        error = take_end_at(link, root, i, why);
        if (error == 0)
            return 0;
        is_behind |= error == -EAGAIN;
        if (error == -ENODEV)
            coming = *why;
    }
    if (is_behind || coming.text[0] == '\0')
        return is_behind ? -EAGAIN : error;
    *why = coming;
    return -ENODEV;
}

static uint64_t choose_meeting(const struct vine_board_layout *theirs)
{
    uint64_t meeting = 0;

    while (meeting == 0 || meeting == vine__load_relaxed_u64(&theirs->meeting))
        if (vine__random_bytes(&meeting, sizeof meeting) != 0)
            meeting = vine__clock_now_ns();
    return meeting;
}

/* Show what we wish for, and wait for the answer. */
static int greet(struct vine__link *link, const struct vine__handshake_wish *wish)
{
    struct vine_board_layout *ours = &link->half->layout->board;
    const struct vine_board_layout *theirs = vine__device_end_board(link->end);
    const uint64_t start_ns = vine__clock_now_ns();
    struct vine__guest_end peer;

    ours->version = VINE_TALK_VERSION;
    ours->features = own_features(link, wish->without);
    ours->channels_max = wish->channels_max;
    ours->tasks_max = wish->tasks_max;
    vine__store_relaxed_u32(&ours->closed.value, 0);
    (void)snprintf(ours->name, sizeof ours->name, "%s", wish->name);
    link->meeting = choose_meeting(theirs);
    /* B9 pairs with B10: all of our half before the number. */
    vine__store_release_u64(&ours->meeting, link->meeting);
    for (;;) {
        const uint32_t rings = vine__link_rings(link);
        const uint64_t waited_ns = vine__clock_now_ns() - start_ns;

        /* B10 pairs with B9. */
        if (vine__load_acquire_u64(&theirs->meeting) == link->meeting)
            return 0;

        const int error = vine__device_end_peer(link->end, link->peer_generation, &peer, wish->why);

        if (error && error != -EAGAIN)
            return error;
        if (!error)
            know_peer(link, &peer);
        /* Each time: we may have learned only now whom to ring. */
        wake(link);
        if (waited_ns > wish->timeout_ns) {
            vine__why_say(wish->why, "no appliance answers at the other end of link %s",
                          link->end->link.name);
            return -ETIMEDOUT;
        }
        link->operations->rest(link, rings, waited_ns, vine__min_u64(wish->timeout_ns, LOOK_NS));
    }
}

/* What the appliance wrote on its board before it answered. */
static int agree(const struct vine__link *link, struct vine__why *why,
                 struct vine__agreement *ret_agreement)
{
    const struct vine_board_layout *theirs = &link->mirror->layout->board;
    struct vine__agreement agreement = {
        .channels_max = vine__load_relaxed_u32(&theirs->channels_max),
        .tasks_max = vine__load_relaxed_u32(&theirs->tasks_max),
        .memory_max_bytes = link->half->size_bytes + link->mirror->size_bytes,
        .deadlines = (vine__load_relaxed_u32(&theirs->features) & VINE_TALK_FEATURE_DEADLINES) != 0,
        .peer_uid = VINE__UID_UNKNOWN,
    };
    /* B6 pairs with B5. */
    const uint32_t closed = vine__load_acquire_u32(&theirs->closed.value);

    if (closed != 0) {
        vine__why_say(why, "the appliance refused the pipe");
        return vine__error_from_wire(closed, -VINE_EPROTOCOL);
    }
    if (!is_version_known(theirs, why))
        return -VINE_EVERSION;
    if (agreement.channels_max == 0 || agreement.channels_max > VINE_TALK_CHANNELS_MAX ||
        agreement.tasks_max == 0 || agreement.tasks_max > VINE_SPSC_SLOTS_MAX / 2) {
        vine__why_say(why, "the appliance grants %u channels, %u tasks", agreement.channels_max,
                      agreement.tasks_max);
        return -VINE_EPROTOCOL;
    }
    read_name(theirs, agreement.peer_name);
    *ret_agreement = agreement;
    return 0;
}

/* Find the host's page and take an end. */
static int approach(struct vine__link *link, const struct vine__address *address,
                    const struct vine__handshake_wish *wish)
{
    const struct vine__guest_options options = {
        .socket = address->socket[0] != 0 ? address->socket : NULL,
        .sysfs_root = address->sysfs_root[0] != 0 ? address->sysfs_root : NULL,
        .command_line = address->command_line[0] != 0 ? address->command_line : NULL,
        .why = wish->why->text,
        .why_size = sizeof wish->why->text,
    };
    const uint64_t start_ns = vine__clock_now_ns();
    int error = vine__guest_open(&options, &link->guest);

    if (error)
        return error;
    link->end = calloc(1, sizeof *link->end);
    link->address = malloc(sizeof *link->address);
    if (link->end == NULL || link->address == NULL)
        return -ENOMEM;
    *link->address = *address;
    while ((error = take_end(link, link->address, wish->why)) == -EAGAIN || error == -EBUSY ||
           error == -ENODEV) {
        const uint64_t waited_ns = vine__clock_now_ns() - start_ns;

        if (error == -EBUSY && waited_ns > vine__min_u64(BUSY_NS, wish->timeout_ns))
            return error;
        /* A kernel may be on the way to find them: the host speaks of a link as it plugs it. */
        if (error == -ENODEV && waited_ns > wish->timeout_ns)
            return error;
        if (waited_ns > wish->timeout_ns) {
            vine__why_say(wish->why, "the host does not end to write what it says of this "
                                     "machine's links");
            return -ETIMEDOUT;
        }
        nap(waited_ns, wish->timeout_ns);
    }
    if (!error) {
        struct vine__why unread;

        /* Without one we look by ourselves. */
        vine__bell_open(&link->own_bell, link->guest, options.sysfs_root, &unread);
    }
    return error;
}

int vine__link_meet(struct vine__link *link, const struct vine__address *address,
                    const struct vine__handshake_wish *wish, struct vine__agreement *ret_agreement)
{
    VINE_ASSERT(link->operations == NULL);
    link->operations = &operations;
    link->side = VINE_SEGMENT_APPLICATION;
    link->is_fixed = true;
    link->bell = &link->own_bell;

    int error = approach(link, address, wish);

    if (!error)
        error = make_half(link, 1, wish->why);
    if (!error)
        error = greet(link, wish);
    if (!error)
        error = open_mirror(link, wish->why);
    if (!error)
        error = agree(link, wish->why, ret_agreement);
    if (error) {
        /* Nobody is there any more who could be answered, or served. */
        if (link->half->layout != NULL)
            bye(link, error, wish->why->text);
        vine__link_undo(link);
    }
    return error;
}

/* The end is ours for as long as the link is the one that it was; who is at the other one may have
 * started anew. */
static int look_for_next(const struct vine__link *former, struct vine__why *why)
{
    struct vine__guest_link told;
    struct vine__guest_end peer;
    const int error = vine__device_end_peer(former->end, 0, &peer, why);
    const int unread = vine__guest_link_at(former->end->guest, former->end->link.place, &told);

    if (error == 0 || error == -EAGAIN || unread == -EAGAIN)
        return error == 0 ? 0 : -VINE_ENOAPPLIANCE;
    return unread != 0 || told.generation != former->end->link.generation ? -ENODEV
                                                                          : -VINE_ENOAPPLIANCE;
}

static int go_on(struct vine__link *link, const struct vine__link *former,
                 const struct vine__handshake_wish *wish, struct vine__agreement *ret_agreement)
{
    struct vine__guest_end peer;
    int error;

    link->operations = &operations;
    link->side = VINE_SEGMENT_APPLICATION;
    link->is_fixed = true;
    link->end = former->end; /* and its guest's: `former` closes it */
    link->bell = former->bell;
    link->changes = vine__guest_changes(link->end->guest);
    error = vine__device_end_peer(link->end, 0, &peer, wish->why);
    if (!error) {
        link->peer_generation = peer.generation;
        know_peer(link, &peer);
        error = greet(link, wish);
    }
    if (!error)
        error = open_mirror(link, wish->why);
    if (!error)
        error = agree(link, wish->why, ret_agreement);
    if (error) {
        /* Pairs with B10: to whoever comes later we say nothing. */
        vine__store_release_u64(&link->half->layout->board.meeting, 0);
        vine__mirror_close(link->mirror);
    }
    return error == -ENODEV ? -VINE_ENOAPPLIANCE : error;
}

/* ---- the appliance's side ------------------------------------------------------------------- */

static uint32_t smaller_wish(uint32_t wish, uint32_t most)
{
    return wish != 0 && wish < most ? wish : most;
}

/* The other half as it is now, which has to be the one that called us. */
static int look_at_caller(struct vine__link *link, const struct vine__grant *grant,
                          struct vine__agreement *ret_agreement)
{
    int error = open_mirror(link, grant->why);

    if (error)
        return error;

    const struct vine_board_layout *theirs = &link->mirror->layout->board;

    *ret_agreement = (struct vine__agreement){
        .channels_max =
            smaller_wish(vine__load_relaxed_u32(&theirs->channels_max), grant->channels_max),
        .tasks_max = smaller_wish(vine__load_relaxed_u32(&theirs->tasks_max), grant->tasks_max),
        .memory_max_bytes = link->half->size_bytes + link->mirror->size_bytes,
        .generation = grant->generation,
        .reasons = (vine__load_relaxed_u32(&theirs->features) & VINE_TALK_FEATURE_REASONS) != 0,
        .peer_uid = VINE__UID_UNKNOWN,
    };
    read_name(theirs, ret_agreement->peer_name);
    return is_version_known(theirs, grant->why) ? 0 : -VINE_EVERSION;
}

int vine__link_accept_device(struct vine__link *link, struct vine__device_end *end,
                             uint64_t answered, const struct vine__grant *grant,
                             struct vine__agreement *ret_agreement, uint64_t *ret_meeting)
{
    struct vine__guest_end peer;
    const uint32_t changes = vine__guest_changes(end->guest);
    /* B10 pairs with B9: all of its half before the number. */
    const uint64_t meeting = vine__load_acquire_u64(&vine__device_end_board(end)->meeting);

    *ret_meeting = answered;
    if (meeting == 0 || meeting == answered || vine__device_end_peer(end, 0, &peer, NULL) != 0)
        return -EAGAIN;
    /* Who gave up, or had a pipe to an appliance before us and closed it. */
    if (vine__load_relaxed_u32(&vine__device_end_board(end)->closed.value) != 0) {
        *ret_meeting = meeting;
        return -EAGAIN;
    }
    VINE_ASSERT(link->operations == NULL);
    link->operations = &operations;
    link->side = VINE_SEGMENT_APPLIANCE;
    link->is_fixed = true;
    link->end = end;
    link->changes = changes;
    link->meeting = meeting;
    link->peer_generation = peer.generation;
    know_peer(link, &peer);
    *ret_meeting = meeting;

    int error = make_half(link, grant->generation, grant->why);

    if (error) {
        vine__link_undo(link);
        return error;
    }

    struct vine_board_layout *ours = &link->half->layout->board;

    ours->version = VINE_TALK_VERSION;
    ours->features = own_features(link, grant->without);
    (void)snprintf(ours->name, sizeof ours->name, "%s", grant->name);
    error = look_at_caller(link, grant, ret_agreement);
    if (error) {
        bye(link, error, grant->why->text);
        vine__link_welcome_device(link);
        vine__link_undo(link);
        return error;
    }
    ours->channels_max = ret_agreement->channels_max;
    ours->tasks_max = ret_agreement->tasks_max;
    return 0;
}

void vine__link_welcome_device(struct vine__link *link)
{
    /* B9 pairs with B10: all of our half before the answer. */
    vine__store_release_u64(&link->half->layout->board.meeting, link->meeting);
    wake(link);
}
