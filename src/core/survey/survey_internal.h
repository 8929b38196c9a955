/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/survey/survey_internal.h - a look in the making.
 */
#ifndef VINE_CORE_SURVEY_SURVEY_INTERNAL_H
#define VINE_CORE_SURVEY_SURVEY_INTERNAL_H

#include "core/survey/survey.h"

#include "arch/memory/reader.h"
#include "arch/peer/identity.h"
#include "core/segment/segment_layout.h"

enum { VINE__APPLICATION, VINE__APPLIANCE };

struct vine__look {
    const struct vine__memory_reader *reader;
    struct vine__identity self;
    struct vine__survey *survey;
    char where[VINE__SURVEY_WHERE]; /* what findings are about */
    bool is_cut;                    /* that was told */
    struct vine__segment_header header;
    uint64_t bases[2]; /* of the halves, in the segment */
    uint64_t sizes[2];
    struct vine_half_layout halves[2]; /* copies of their fronts */
};

/* One ring, copied. */
struct vine__ring_look {
    struct vine_slot *slots; /* malloc's; NULL: it cannot be walked */
    uint64_t slot_count;
    uint64_t base;     /* in the segment */
    uint64_t from, to; /* messages that were published and not told of as consumed */
};

/* What is looked at next. */
void vine__survey_at(struct vine__look *look, const char *format, ...) VINE_PRINTF(2, 3);

/* It is not as it has to be. */
void vine__survey_fault(struct vine__look *look, uint64_t offset, const char *expected,
                        const char *format, ...) VINE_PRINTF(4, 5);
void vine__survey_note(struct vine__look *look, uint64_t offset, const char *format, ...)
    VINE_PRINTF(3, 4);

/* Copy what lies at this offset of the segment. Returns whether all of it was there; where not it
 * is told, once a look. */
bool vine__survey_read(struct vine__look *look, uint64_t offset, void *ret_bytes, size_t size);

/* survey_header.c. Returns whether what the header says can be followed. */
bool vine__survey_at_header(struct vine__look *look);

/* survey_half.c: boards, records of channels, and what follows from them. */
void vine__survey_at_halves(struct vine__look *look);

/* survey_account.c: what the appliance says of its books. */
void vine__survey_at_account(struct vine__look *look);

/* survey_ring.c: copy a ring whose slots are in this side's half, and look at its sequences.
 * `consumed` is where its consumer tells its position. */
void vine__survey_at_ring(struct vine__look *look, uint32_t side, uint32_t channel,
                          uint64_t consumed, struct vine__ring_look *ring);

/* survey_message.c: what is in both rings of a channel, which may be without slots. */
void vine__survey_at_messages(struct vine__look *look, uint32_t channel,
                              const struct vine__ring_look *submissions,
                              const struct vine__ring_look *completions);

/* survey_region.c: what lies in a region that is no half. */
void vine__survey_at_region(struct vine__look *look, struct vine__survey_region *region);

/* survey_books.c: books of an allocator. */
void vine__survey_at_books(struct vine__look *look, struct vine__survey_region *region);

/* How people call a half. */
static inline const char *vine__half_of(uint32_t side)
{
    return side == VINE__APPLICATION ? "application's half" : "appliance's half";
}

#endif
