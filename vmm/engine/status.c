/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/status.h"

#include "utils/assert.h"
#include "utils/atomic.h"
#include "vmm/engine/memory.h"

#include <string.h>
#include <unistd.h>

int vine__status_create(uint32_t place_count, struct vine__status *ret_status)
{
    struct vine__status status = {.fd = -1, .place_count = place_count};
    void *base = NULL;

    VINE_ASSERT(place_count <= VINE_STATUS_LINKS_MAX);
    int error = vine__machine_memory_create("vine-status", VINE_STATUS_PAGE_BYTES, &status.fd);

    if (error == 0)
        error = vine__machine_memory_map(status.fd, VINE_STATUS_PAGE_BYTES, &base);
    if (error != 0) {
        vine__status_close(&status);
        return error;
    }
    status.page = base;
    status.page->version_major = VINE_STATUS_VERSION_MAJOR;
    status.page->version_minor = VINE_STATUS_VERSION_MINOR;
    status.page->link_count = place_count;
    status.page->doorbell_peer = VINE_STATUS_NO_DOORBELL;
    /* H1 pairs with G1, the guest's look at the magic: what is above it is there by then. */
    vine__store_release_u64(&status.page->magic, VINE_STATUS_MAGIC);
    *ret_status = status;
    return 0;
}

void vine__status_close(struct vine__status *status)
{
    vine__machine_memory_unmap(status->page, VINE_STATUS_PAGE_BYTES);
    if (status->fd >= 0)
        (void)close(status->fd);
    status->page = NULL;
    status->fd = -1;
}

/* Copy an entry out. Its first word, sequence and is_plugged, is written in halves. */
static void publish(struct vine__status *status, uint32_t place)
{
    struct vine_status_link *const own = &status->entries[place];
    struct vine_status_link *const shared = &status->page->links[place];
    uint64_t words[sizeof(*own) / sizeof(uint64_t)];

    own->sequence += 2;
    memcpy(words, own, sizeof(words));
    vine__store_relaxed_u32(&shared->sequence, own->sequence - 1);
    /* H2 pairs with G3, the fence before the guest's second look: if it copied anything from below,
     * it finds this sequence there, or a later one. A release would order what came before it. */
    vine__fence_full();
    vine__store_relaxed_u32(&shared->is_plugged, own->is_plugged);
    for (size_t i = 1; i < sizeof(words) / sizeof(words[0]); i++)
        vine__store_relaxed_u64((uint64_t *)(void *)shared + i, words[i]);
    /* H3 pairs with G2, the guest's first look at the sequence: the entry is whole. */
    vine__store_release_u32(&shared->sequence, own->sequence);
    /* H4 pairs with G4, the guest's look at changes: it finds the entry that changed. */
    vine__store_release_u32(&status->page->changes, ++status->changes);
}

void vine__status_plug(struct vine__status *status, uint32_t place,
                       const struct vine__status_entry *entry)
{
    VINE_ASSERT(place < status->place_count);
    struct vine_status_link *const own = &status->entries[place];
    const size_t length = strlen(entry->name);

    VINE_ASSERT(length < sizeof(own->name));
    own->is_plugged = 1;
    own->end = entry->end;
    own->generation = ++status->generations[place];
    own->size_bytes[0] = entry->size_bytes[0];
    own->size_bytes[1] = entry->size_bytes[1];
    memset(own->name, 0, sizeof(own->name));
    memcpy(own->name, entry->name, length);
    memcpy(own->sides, entry->sides, sizeof(own->sides));
    publish(status, place);
}

void vine__status_unplug(struct vine__status *status, uint32_t place)
{
    VINE_ASSERT(place < status->place_count);
    if (status->entries[place].is_plugged == 0)
        return;
    status->entries[place].is_plugged = 0;
    publish(status, place);
}

void vine__status_set_sides(struct vine__status *status, uint32_t place,
                            const struct vine_status_side sides[2])
{
    VINE_ASSERT(place < status->place_count);
    struct vine_status_link *const own = &status->entries[place];

    VINE_ASSERT(own->is_plugged == 1);
    if (memcmp(own->sides, sides, sizeof(own->sides)) == 0)
        return;
    memcpy(own->sides, sides, sizeof(own->sides));
    publish(status, place);
}

void vine__status_set_doorbell(struct vine__status *status, uint32_t peer)
{
    vine__store_relaxed_u32(&status->page->doorbell_peer, peer);
    /* As in publish: H4 pairs with G4. */
    vine__store_release_u32(&status->page->changes, ++status->changes);
}
