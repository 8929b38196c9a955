/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/segment/segment_internal.h - what the files of this folder share.
 */
#ifndef VINE_CORE_SEGMENT_SEGMENT_INTERNAL_H
#define VINE_CORE_SEGMENT_SEGMENT_INTERNAL_H

#include <vine/segment.h>

#include "arch/memory/memory.h"
#include "arch/peer/fork_guard.h"
#include "arch/peer/identity.h"
#include "core/segment/segment_layout.h"
#include "utils/assert.h"

#include <stdbool.h>

struct vine_segment;

/* What a header has to fit. */
struct vine__segment_expectation {
    uint64_t real_bytes; /* that are mapped */
    uint64_t fingerprint;
    uint64_t features_known;
};

/* A header that was checked, in private memory. */
struct vine__segment_checked {
    uint16_t version_minor;
    uint64_t features;
    uint64_t generation;
    uint64_t size_bytes;
    unsigned char identity[VINE_SEGMENT_IDENTITY_BYTES];
    uint32_t owner_uid;
    uint32_t peer_uid;
    struct vine__segment_spec specs[VINE__SEGMENT_SPEC_COUNT]; /* empty slots are all zero */
};

/* A report with the name of what it is about; `report` may be NULL. */
struct vine__segment_reporter {
    struct vine_segment_report *report;
    const char *label;
};

struct vine_segment {
    uint32_t magic;
    uint32_t references;
    struct vine__memory *memory;         /* NULL until mapped */
    struct vine__segment_header *header; /* its first page; NULL until checked or being made */
    struct vine__segment_checked checked;
    struct vine__identity self;
    uint64_t fork_generation;
    enum vine_segment_backend backend;
    enum vine_segment_side side; /* that we hold, or are about to: then is_being_made or not yet */
    bool is_writable;
    bool name_is_made;
    bool is_being_made;    /* between begin and publish: its end leaves `corrupted` */
    uint32_t extent_count; /* of our own; the word in the header is for others */
};

/* Clear the report and name what it is about. */
struct vine__segment_reporter
vine__segment_report_begin(struct vine_segment_report *report,
                           const struct vine_segment_options *options);

/* Forget what was said on a way that led to success after all. */
void vine__segment_report_success(struct vine_segment_report *report);

/* Translate and check what both kinds of options share. */
VINE_MUST_CHECK int vine__segment_memory_options(const struct vine_segment_options *options,
                                                 const struct vine__segment_reporter *to,
                                                 struct vine__memory_options *ret_options);

/* A handle without memory; it goes with vine_segment_unref(). */
VINE_MUST_CHECK int vine__segment_alloc(const struct vine_segment_options *options,
                                        struct vine_segment **ret_segment);

/* Write the reason for a failure and return `error`. */
VINE_PRINTF(3, 4)
int vine__segment_refuse(const struct vine__segment_reporter *to, int error, const char *format,
                         ...);

/* Read a header that somebody may be writing, each word once. */
void vine__segment_copy(const struct vine__segment_header *shared,
                        struct vine__segment_header *ret_copy);

/* Check a private copy; any content is fine. Returns as vine_segment_attach, with
 * -VINE_EINITIALIZING for everything that a creator at work, dead or alive, leaves behind. */
VINE_MUST_CHECK int vine__segment_check(const struct vine__segment_header *copy,
                                        const struct vine__segment_expectation *expectation,
                                        const struct vine__segment_reporter *to,
                                        struct vine__segment_checked *ret_checked);

/* Whether nobody has begun to make a segment here: nothing but a claim and a status is written. */
bool vine__segment_is_fresh(const struct vine__segment_header *copy);

/* Whether this is a segment's header, or what can be seen of one while its first words are written:
 * the status comes before the magic, and a copy is not made at one moment. */
bool vine__segment_is_begun(const struct vine__segment_header *copy);

struct vine__segment_holder_state {
    enum vine_segment_presence_state state;
    uint64_t word; /* as it was read */
    uint64_t scope;
    int32_t pid;
    uint64_t claims;
};

/* The name of a process in an attach word; never 0. */
uint64_t vine__segment_word(const struct vine__identity *self);

/* Who holds a line, as seen from `self`. */
void vine__segment_holder_look(const struct vine__segment_holder *line,
                               const struct vine__identity *self,
                               struct vine__segment_holder_state *ret_state);

/* Take a line that is free or whose holder is dead. Returns 0 or -EBUSY; in either case
 * `ret_before` says who had it. */
VINE_MUST_CHECK int vine__segment_holder_take(struct vine__segment_holder *line,
                                              const struct vine__identity *self,
                                              struct vine__segment_holder_state *ret_before);

/* Count a line of ours once more. Returns 0; -EBUSY  it is another's. */
VINE_MUST_CHECK int vine__segment_holder_renew(struct vine__segment_holder *line,
                                               const struct vine__identity *self);

/* Give a line back, if it is still ours. */
void vine__segment_holder_leave(struct vine__segment_holder *line,
                                const struct vine__identity *self);

/* Begin to make a segment on a mapped header, a fresh one or that of an older segment: get the
 * exclusive right to, unless somebody lives in it, and take `side`, if it is one; afterwards the
 * status is `initializing`. Returns 0; -EBUSY; -VINE_EMAGIC. On failure the header is as it was. */
VINE_MUST_CHECK int vine__segment_begin(struct vine__segment_header *header,
                                        enum vine_segment_side side,
                                        const struct vine__identity *self,
                                        const struct vine__segment_reporter *to);

/* Undo vine__segment_begin() where the header may have changed since: the segment is left
 * `corrupted`, claim and side are given back. */
void vine__segment_abandon(struct vine__segment_header *header, enum vine_segment_side side,
                           const struct vine__identity *self);

/* Finish what vine__segment_begin() began in memory that has no name any more: to whoever has found
 * it before, it is one that nobody has initialized yet. */
void vine__segment_end(struct vine__segment_header *header, const struct vine__identity *self);

/* Whether we are who makes a segment here. */
bool vine__segment_is_ours(const struct vine__segment_header *header,
                           const struct vine__identity *self);

/* What a header that says `initializing` means. Returns -VINE_EINITIALIZING, or -VINE_ECORRUPT if
 * nobody is at it any more. */
VINE_MUST_CHECK int vine__segment_diagnose(const struct vine__segment_header *header,
                                           const struct vine__identity *self,
                                           const struct vine__segment_reporter *to);

/* Whether a name may go: nobody but ourselves makes a segment there or holds the side. Returns 0;
 * -EBUSY; -VINE_EMAGIC. */
VINE_MUST_CHECK int vine__segment_check_unused(const struct vine__segment_header *header,
                                               enum vine_segment_side side,
                                               const struct vine__identity *self,
                                               const struct vine__segment_reporter *to);

/* Take a side for good: the segment was initialized before and after the word was written, so that
 * no creator can have missed it. Returns 0; -EBUSY; -VINE_EINITIALIZING. */
VINE_MUST_CHECK int vine__segment_enter(struct vine__segment_header *header,
                                        enum vine_segment_side side,
                                        const struct vine__identity *self,
                                        const struct vine__segment_reporter *to);

/* The line of a side, which is not VINE_SEGMENT_NOBODY. */
static inline struct vine__segment_holder *
vine__segment_side_of(struct vine__segment_header *header, enum vine_segment_side side)
{
    VINE_ASSERT(side == VINE_SEGMENT_APPLICATION || side == VINE_SEGMENT_APPLIANCE);
    return &header->sides[side == VINE_SEGMENT_APPLICATION ? 0 : 1];
}

#endif
