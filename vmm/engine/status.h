/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/status.h - the host's writer of a status page, as docs/formats/link.md has it.
 *
 * Owns:     the page's memory and its mapping.
 * Threads:  one writes; any number of guests read.
 * Blocking: creating allocates; otherwise never.
 * Trust:    nothing is read back from the page: what it says is kept in private memory, entry by
 *           entry, and copied out.
 * Limits:   VINE_STATUS_LINKS_MAX places.
 */
#ifndef VINE_VMM_ENGINE_STATUS_H
#define VINE_VMM_ENGINE_STATUS_H

#include <vine/base.h>

#include "arch/guest/status_layout.h"

#include <stdint.h>

struct vine__status {
    int fd; /* what QEMU gets; -1: none */
    uint32_t place_count;
    uint32_t changes;
    struct vine_status_page *page;
    uint64_t generations[VINE_STATUS_LINKS_MAX];
    struct vine_status_link entries[VINE_STATUS_LINKS_MAX];
};

/* What an entry says but for sequence and generation, which are the page's own business. */
struct vine__status_entry {
    const char *name;
    enum vine_status_end end;
    uint64_t size_bytes[2];
    const struct vine_status_side *sides; /* two */
};

/* Make a page without links. Returns 0; -ENOMEM; or what the system said. */
VINE_MUST_CHECK int vine__status_create(uint32_t place_count, struct vine__status *ret_status);
void vine__status_close(struct vine__status *status);

/* Say that there is a link in this place now: another one than before, whatever it was. */
void vine__status_plug(struct vine__status *status, uint32_t place,
                       const struct vine__status_entry *entry);

/* Say that there is none any more. */
void vine__status_unplug(struct vine__status *status, uint32_t place);

/* Say how both ends are, in a place that has a link. */
void vine__status_set_sides(struct vine__status *status, uint32_t place,
                            const struct vine_status_side sides[2]);

/* The guest's own number at the doorbells. */
void vine__status_set_doorbell(struct vine__status *status, uint32_t peer);

#endif
