/* SPDX-License-Identifier: Apache-2.0 */
/* Reading entries of the status page while the host may be writing them. */
#include "arch/guest/guest_internal.h"

#include <errno.h>
#include <string.h>

#include <vine/error.h>

#include "utils/atomic.h"
#include "utils/name.h"

/* The host writes an entry in less than a microsecond, unless it loses its processor meanwhile. */
#define TRIES_MAX 64

static const char *const state_names[] = {"absent", "attached", "paused", "lost"};
static const char *const reason_names[] = {
    "no reason given",         "it has shut down",      "it has crashed",
    "its kernel has panicked", "its end was unplugged", "it has started anew",
};

const char *vine__guest_state_name(enum vine_status_side_state state)
{
    return (unsigned int)state < sizeof state_names / sizeof state_names[0] ? state_names[state]
                                                                            : "?";
}

const char *vine__guest_reason_name(enum vine_status_reason reason)
{
    return (unsigned int)reason < sizeof reason_names / sizeof reason_names[0]
               ? reason_names[reason]
               : "?";
}

/* Word by word: the compiler may not read one twice. */
static void copy_words(const struct vine_status_link *shared, struct vine_status_link *ret_copy)
{
    const uint64_t *const words = (const uint64_t *)(const void *)shared;

    for (size_t i = 0; i < sizeof *shared / sizeof(uint64_t); i++) {
        const uint64_t word = vine__load_relaxed_u64(&words[i]);

        memcpy((unsigned char *)ret_copy + i * sizeof word, &word, sizeof word);
    }
}

/* An entry as it was at one moment. Returns 0 or -EAGAIN. */
static int read_entry(const struct vine_status_link *shared, struct vine_status_link *ret_copy)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        /* G2 pairs with H3: of an even number, all that was written before it. */
        const uint32_t before = vine__load_acquire_u32(&shared->sequence);

        if ((before & 1) != 0)
            continue;
        copy_words(shared, ret_copy);
        /* G3 pairs with H2: between the copy and the second look. */
        vine__fence_full();
        if (vine__load_relaxed_u32(&shared->sequence) == before)
            return 0;
    }
    return -EAGAIN;
}

int vine__guest_link_at(const struct vine__guest *guest, uint32_t place,
                        struct vine__guest_link *ret_link)
{
    struct vine_status_link entry;
    struct vine__guest_link link = {.place = place};

    if (place >= guest->places)
        return -ENOENT;

    const int error = read_entry(&guest->page->links[place], &entry);

    if (error)
        return error;
    if (entry.is_plugged == 0)
        return -ENOENT;
    if (entry.is_plugged != 1 || entry.end > VINE_STATUS_APPLIANCE ||
        !vine__is_name(entry.name, sizeof entry.name))
        return -VINE_ECORRUPT;
    link.end = (enum vine_status_end)entry.end;
    link.channels = entry.channels;
    link.generation = entry.generation;
    memcpy(link.name, entry.name, sizeof link.name);
    for (int i = 0; i < 2; i++) {
        const struct vine_status_side *side = &entry.sides[i];

        if (side->state > VINE_STATUS_LOST || side->reason > VINE_STATUS_REASON_RESET)
            return -VINE_ECORRUPT;
        link.size_bytes[i] = entry.size_bytes[i];
        link.ends[i] = (struct vine__guest_end){
            .state = (enum vine_status_side_state)side->state,
            .reason = (enum vine_status_reason)side->reason,
            .generation = side->generation,
            .doorbell_peer = side->doorbell_peer,
            .doorbell_vector = side->doorbell_vector,
            .sequence = entry.sequence,
        };
    }
    *ret_link = link;
    return 0;
}

uint32_t vine__guest_changes(const struct vine__guest *guest)
{
    /* G4 pairs with H4: the entries that changed before it. */
    return vine__load_acquire_u32(&guest->page->changes);
}

uint32_t vine__guest_sequence(const struct vine__guest *guest, uint32_t place)
{
    /* Relaxed: the number alone is used. */
    return vine__load_relaxed_u32(&guest->page->links[place].sequence);
}

uint32_t vine__guest_places(const struct vine__guest *guest)
{
    return guest->places;
}
