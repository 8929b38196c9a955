/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/status.h - the host's writer of a status page, as docs/formats/link.md has it.
 *
 * Owns:     the memories of the page and of its books, and their mappings.
 * Threads:  one writes; any number of guests read.
 * Blocking: creating allocates; otherwise never.
 * Trust:    nothing is believed of the page, which a QEMU that was taken over can write: what it
 *           says is kept in its books, entry by entry, and copied out. The books are memory too, so
 *           that they can outlive us; no QEMU gets them.
 * Limits:   VINE_STATUS_LINKS_MAX places.
 */
#ifndef VINE_VMM_ENGINE_STATUS_H
#define VINE_VMM_ENGINE_STATUS_H

#include <vine/base.h>

#include "arch/guest/status_layout.h"

#include <stdbool.h>
#include <stdint.h>

/* What the page says. Whoever is killed anywhere in writing it leaves books that hold: an entry is
 * made beside the one that holds, then `current` says so, then the page is written. */
struct vine__status_books {
    uint64_t magic; /* written last */
    uint64_t bytes; /* of this struct: another one is another version's */
    uint32_t place_count;
    uint32_t changes;
    uint32_t doorbell_peer;
    uint32_t next_place;                     /* from where on a free one is looked for */
    uint32_t current[VINE_STATUS_LINKS_MAX]; /* which of two; an even sequence */
    struct vine_status_link entries[VINE_STATUS_LINKS_MAX][2];
};

#define VINE__STATUS_BOOKS_BYTES 32768
#define VINE__STATUS_PAGE_NAME   "vine-status" /* of its memory, for who looks for it */

struct vine__status {
    int fd;       /* what QEMU gets; -1: none */
    int books_fd; /* what it does not get */
    uint32_t place_count;
    struct vine_status_page *page;
    struct vine__status_books *books;
};

/* What an entry says but for sequence and generation, which are the page's own business. */
struct vine__status_entry {
    const char *name;
    enum vine_status_end end;
    uint32_t channels;
    uint64_t size_bytes[2];
    const struct vine_status_side *sides; /* two */
};

/* Make a page without links. Returns 0; -ENOMEM; or what the system said. */
VINE_MUST_CHECK int vine__status_create(uint32_t place_count, struct vine__status *ret_status);

/* Go on with the page that another process has written, by its books; the descriptors are copied.
 * Returns 0; -EINVAL  they are not such memories, or for another number of places; or what the
 * system said. */
VINE_MUST_CHECK int vine__status_adopt(int fd, int books_fd, uint32_t place_count,
                                       struct vine__status *ret_status);

/*
 * Go on with a page whose books are lost, as a QEMU has it: it says of all places that nothing is
 * there, and what comes there is another link than before. Of the page's own numbers those are gone
 * on from that only its readers compare. The descriptor, which can be written, is copied.
 * Returns as vine__status_adopt.
 */
VINE_MUST_CHECK int vine__status_regain(int fd, uint32_t place_count,
                                        struct vine__status *ret_status);
void vine__status_close(struct vine__status *status);

/* Say that there is a link in this place now: another one than before, whatever it was. */
void vine__status_plug(struct vine__status *status, uint32_t place,
                       const struct vine__status_entry *entry);

/* Say that there is none any more. */
void vine__status_unplug(struct vine__status *status, uint32_t place);

/* Say how both ends are, in a place that has a link. Returns whether that is new. */
bool vine__status_set_sides(struct vine__status *status, uint32_t place,
                            const struct vine_status_side sides[2]);

/* What the page says of a place. */
const struct vine_status_link *vine__status_entry(const struct vine__status *status,
                                                  uint32_t place);

/* The guest's own number at the doorbells. */
void vine__status_set_doorbell(struct vine__status *status, uint32_t peer);

#endif
