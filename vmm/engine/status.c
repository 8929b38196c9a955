/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/status.h"

#include "utils/assert.h"
#include "utils/atomic.h"
#include "vmm/engine/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

VINE_STATIC_ASSERT(sizeof(struct vine__status_books) <= VINE__STATUS_BOOKS_BYTES, "they fit");

#define BOOKS_MAGIC UINT64_C(0x534b4f4f42534956) /* the bytes "VISBOOKS" */

static int map(struct vine__status *status)
{
    void *bases[2] = {NULL, NULL};
    int error = vine__machine_memory_map(status->fd, VINE_STATUS_PAGE_BYTES, &bases[0]);

    if (error == 0)
        error = vine__machine_memory_map(status->books_fd, VINE__STATUS_BOOKS_BYTES, &bases[1]);
    status->page = bases[0];
    status->books = bases[1];
    return error;
}

/* Map it, with new books, unless there was an error. Then, or if it comes now, it is closed. */
static int begin_books(struct vine__status *status, int error)
{
    if (error == 0)
        error =
            vine__machine_memory_create("vine-books", VINE__STATUS_BOOKS_BYTES, &status->books_fd);
    if (error == 0)
        error = map(status);
    if (error != 0) {
        vine__status_close(status);
        return error;
    }

    struct vine__status_books *const books = status->books;

    books->doorbell_peer = VINE_STATUS_NO_DOORBELL;
    books->bytes = sizeof(*books);
    books->place_count = status->place_count;
    books->magic = BOOKS_MAGIC; /* they are all zero else */
    return 0;
}

int vine__status_create(uint32_t place_count, struct vine__status *ret_status)
{
    struct vine__status status = {.fd = -1, .books_fd = -1, .place_count = place_count};

    VINE_ASSERT(place_count <= VINE_STATUS_LINKS_MAX);
    int error =
        vine__machine_memory_create(VINE__STATUS_PAGE_NAME, VINE_STATUS_PAGE_BYTES, &status.fd);

    error = begin_books(&status, error);
    if (error != 0)
        return error;
    status.page->version_major = VINE_STATUS_VERSION_MAJOR;
    status.page->version_minor = VINE_STATUS_VERSION_MINOR;
    status.page->link_count = place_count;
    status.page->doorbell_peer = VINE_STATUS_NO_DOORBELL;
    /* H1 pairs with G1, the guest's look at the magic: what is above it is there by then. */
    vine__store_release_u64(&status.page->magic, VINE_STATUS_MAGIC);
    *ret_status = status;
    return 0;
}

static int check_books(const struct vine__status *status)
{
    const struct vine__status_books *const books = status->books;

    if (books->magic != BOOKS_MAGIC || books->bytes != sizeof(*books) ||
        books->place_count != status->place_count || books->next_place > status->place_count)
        return -EINVAL;
    for (uint32_t place = 0; place < status->place_count; place++)
        if (books->current[place] > 1)
            return -EINVAL;
    return 0;
}

static struct vine_status_link *make_entry(struct vine__status *status, uint32_t place);
static void publish(struct vine__status *status, uint32_t place);

int vine__status_adopt(int fd, int books_fd, uint32_t place_count, struct vine__status *ret_status)
{
    struct vine__status status = {.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3),
                                  .books_fd = fcntl(books_fd, F_DUPFD_CLOEXEC, 3),
                                  .place_count = place_count};

    VINE_ASSERT(place_count <= VINE_STATUS_LINKS_MAX);
    int error = status.fd < 0 || status.books_fd < 0 ? -errno : 0;

    if (error == 0)
        error = vine__machine_memory_check(status.fd, VINE_STATUS_PAGE_BYTES);
    if (error == 0)
        error = vine__machine_memory_check(status.books_fd, VINE__STATUS_BOOKS_BYTES);
    if (error == 0)
        error = map(&status);
    if (error == 0)
        error = check_books(&status);
    if (error != 0) {
        vine__status_close(&status);
        return error;
    }
    /* What its writer did not come to say, it says now; nobody sees a difference in the rest. */
    for (uint32_t place = 0; place < place_count; place++) {
        (void)make_entry(&status, place);
        publish(&status, place);
    }
    vine__status_set_doorbell(&status, status.books->doorbell_peer);
    *ret_status = status;
    return 0;
}

int vine__status_regain(int fd, uint32_t place_count, struct vine__status *ret_status)
{
    struct vine__status status = {
        .fd = fcntl(fd, F_DUPFD_CLOEXEC, 3), .books_fd = -1, .place_count = place_count};

    VINE_ASSERT(place_count <= VINE_STATUS_LINKS_MAX);
    int error =
        status.fd < 0 ? -errno : vine__machine_memory_check(status.fd, VINE_STATUS_PAGE_BYTES);

    /* A hole of it could find no memory when it is touched. */
    if (error == 0)
        error = vine__machine_memory_fill(status.fd, 0, VINE_STATUS_PAGE_BYTES);
    error = begin_books(&status, error);
    if (error != 0)
        return error;
    status.books->changes = vine__load_relaxed_u32(&status.page->changes);
    for (uint32_t place = 0; place < place_count; place++) {
        const struct vine_status_link *const shared = &status.page->links[place];
        struct vine_status_link *const own = make_entry(&status, place);

        /* Odd: its writer was in the middle of it. */
        own->sequence = (vine__load_relaxed_u32(&shared->sequence) + 1) & ~UINT32_C(1);
        own->generation = vine__load_relaxed_u64(&shared->generation);
        publish(&status, place);
    }
    vine__status_set_doorbell(&status, VINE_STATUS_NO_DOORBELL);
    *ret_status = status;
    return 0;
}

void vine__status_close(struct vine__status *status)
{
    vine__machine_memory_unmap(status->page, VINE_STATUS_PAGE_BYTES);
    vine__machine_memory_unmap(status->books, VINE__STATUS_BOOKS_BYTES);
    if (status->fd >= 0)
        (void)close(status->fd);
    if (status->books_fd >= 0)
        (void)close(status->books_fd);
    status->page = NULL;
    status->books = NULL;
    status->fd = status->books_fd = -1;
}

const struct vine_status_link *vine__status_entry(const struct vine__status *status, uint32_t place)
{
    const struct vine__status_books *const books = status->books;

    VINE_ASSERT(place < status->place_count);
    return &books->entries[place][books->current[place]];
}

/* A copy of a place's entry, to be changed and published. */
static struct vine_status_link *make_entry(struct vine__status *status, uint32_t place)
{
    struct vine__status_books *const books = status->books;
    struct vine_status_link *const next = &books->entries[place][1 - books->current[place]];

    *next = *vine__status_entry(status, place);
    return next;
}

static void tell_change(struct vine__status *status)
{
    vine__store_relaxed_u32(&status->books->changes, status->books->changes + 1);
    /* H4 pairs with G4, the guest's look at changes: it finds what has changed. */
    vine__store_release_u32(&status->page->changes, status->books->changes);
}

/* The entry that was made holds from now on: copy it out. Its first word, sequence and is_plugged,
 * is written in halves. */
static void publish(struct vine__status *status, uint32_t place)
{
    struct vine__status_books *const books = status->books;
    const uint32_t made = 1 - books->current[place];
    struct vine_status_link *const own = &books->entries[place][made];
    struct vine_status_link *const shared = &status->page->links[place];
    uint64_t words[sizeof(*own) / sizeof(uint64_t)];

    own->sequence += 2;
    /* Pairs with nothing: who adopts the books comes when we are gone, and whatever ended us did so
     * before this store or behind it. */
    vine__store_release_u32(&books->current[place], made);
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
    tell_change(status);
}

void vine__status_plug(struct vine__status *status, uint32_t place,
                       const struct vine__status_entry *entry)
{
    struct vine_status_link *const own = make_entry(status, place);
    const size_t length = strlen(entry->name);

    VINE_ASSERT(length < sizeof(own->name));
    own->is_plugged = 1;
    own->end = entry->end;
    own->channels = entry->channels;
    own->generation++;
    own->size_bytes[0] = entry->size_bytes[0];
    own->size_bytes[1] = entry->size_bytes[1];
    memset(own->name, 0, sizeof(own->name));
    memcpy(own->name, entry->name, length);
    memcpy(own->sides, entry->sides, sizeof(own->sides));
    publish(status, place);
}

void vine__status_unplug(struct vine__status *status, uint32_t place)
{
    if (vine__status_entry(status, place)->is_plugged == 0)
        return;
    make_entry(status, place)->is_plugged = 0;
    publish(status, place);
}

bool vine__status_set_sides(struct vine__status *status, uint32_t place,
                            const struct vine_status_side sides[2])
{
    const struct vine_status_link *const now = vine__status_entry(status, place);

    VINE_ASSERT(now->is_plugged == 1);
    if (memcmp(now->sides, sides, sizeof(now->sides)) == 0)
        return false;
    memcpy(make_entry(status, place)->sides, sides, sizeof(now->sides));
    publish(status, place);
    return true;
}

void vine__status_set_doorbell(struct vine__status *status, uint32_t peer)
{
    vine__store_relaxed_u32(&status->books->doorbell_peer, peer);
    vine__store_relaxed_u32(&status->page->doorbell_peer, peer);
    tell_change(status);
}
