/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/survey/survey.h - what lies in a named segment, and what is wrong with it, as somebody finds
 * who takes no part.
 *
 * Owns:     nothing that stays; a survey is the caller's memory.
 * Threads:  any.
 * Blocking: as the file system does; for some looks.
 * Trust:    of nobody. Nothing is mapped, so that no cut ends in a fault, nothing is written, and
 *           nobody is woken; what is read is a private copy, and followed within the segment alone.
 * Limits:   files and POSIX shared memory. VINE__SURVEY_FINDINGS findings are kept, and all are
 *           counted. What a side has private stays so, but for what the appliance tells of its
 *           books; that is some time old.
 *
 * Both sides go on meanwhile, and a copy is not made at one moment. So what looks wrong is looked
 * at again, and told of only if it is the same each time.
 */
#ifndef VINE_CORE_SURVEY_H
#define VINE_CORE_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include <vine/segment.h>

#include "core/talk/talk_layout.h"
#include "core/talk/why.h"

#define VINE__SURVEY_FINDINGS 128u
#define VINE__SURVEY_USES     48u
#define VINE__SURVEY_WHERE    72u
#define VINE__SURVEY_TEXT     112u

enum vine__survey_weight {
    VINE__SURVEY_NOTE,  /* worth knowing, and possible */
    VINE__SURVEY_FAULT, /* an inconsistency: nothing correct leaves it so */
};

struct vine__survey_finding {
    uint32_t weight; /* enum vine__survey_weight */
    uint64_t offset; /* in the segment */
    char where[VINE__SURVEY_WHERE];
    char found[VINE__SURVEY_TEXT];
    char expected[VINE__SURVEY_TEXT]; /* empty: a note */
};

struct vine__survey_channel {
    uint32_t slot_count;
    uint64_t submissions; /* that the appliance has not told of having taken */
    uint64_t completions; /* the same for the application */
    uint64_t under_way;   /* tasks that were taken and of which no completion is in the ring */
    bool is_answered;     /* by the appliance */
    bool is_listed;       /* the appliance looks at it by itself */
    bool is_ready;        /* its bit says that there is something */
    bool is_stream;
    bool is_awaited; /* an application's thread sleeps on its completions */
};

/* What messages in flight have to do with a procedure, by its number. */
struct vine__survey_use {
    uint16_t procedure;
    bool is_rest;         /* procedures for which there was no place */
    uint64_t waiting;     /* tasks that were not taken */
    uint64_t under_way;   /* as above */
    uint64_t completed;   /* of which the completion was not read */
    uint64_t inputs;      /* boxes of the application that tasks not completed name */
    uint64_t input_bytes; /* theirs */
    uint64_t room_bytes;  /* that they want for their outputs */
    uint64_t results;     /* boxes of the appliance that unread completions name */
    uint64_t result_bytes;
};

enum vine__survey_in_use_kind { VINE__SURVEY_TASKS = 1, VINE__SURVEY_ROOM, VINE__SURVEY_RESULTS };

/* What the appliance says of its own books: what is in use, by procedure and age. */
struct vine__survey_account {
    bool is_there;   /* one can be read; of what follows nothing else */
    uint64_t age_ns; /* since the books were looked at */
    uint32_t found;  /* of which `count` are told */
    uint32_t count;
    struct vine__survey_in_use {
        uint32_t kind; /* enum vine__survey_in_use_kind */
        char name[32]; /* of the procedure; empty: others */
        uint64_t count, bytes;
        uint64_t oldest_ns; /* when the books were looked at */
        uint64_t ages[4];   /* then younger than a second, a minute, an hour; older */
    } uses[VINE_ACCOUNT_FINDINGS];
};

/* A queue of the kind mpmc, or books of an allocator, in a region. */
struct vine__survey_region {
    uint32_t kind; /* enum vine_segment_kind; 0: none */
    uint64_t offset_bytes;
    uint64_t size_bytes;
    enum { VINE__SURVEY_OTHER, VINE__SURVEY_QUEUE, VINE__SURVEY_BOOKS } is;
    uint64_t count;      /* messages; blocks in use */
    uint64_t bytes;      /* of these blocks */
    uint64_t room;       /* slots; bytes of the extent */
    uint64_t stuck;      /* slots whose producers stalled */
    uint64_t sleepers;   /* who sleeps for messages and for room */
    int32_t holder_pid;  /* who has the books; 0: nobody */
    bool holder_is_dead; /* the next one repairs them */
};

struct vine__survey {
    char label[256];
    uint64_t real_bytes;
    uint32_t looks;  /* that were taken */
    bool is_segment; /* the header is one, of whichever version */
    bool is_walked;  /* what follows `sides` was looked at */
    uint32_t status; /* as in docs/formats/segment.md */
    uint16_t version_major, version_minor;
    uint64_t fingerprint, features, generation, size_bytes;
    unsigned char identity[VINE_SEGMENT_IDENTITY_BYTES];
    uint32_t owner_uid;
    struct vine_segment_presence claim;
    struct vine_segment_presence sides[2]; /* the application, the appliance */
    struct vine__survey_region regions[VINE_SEGMENT_REGIONS_MAX];

    bool has_halves;
    bool has_pipe; /* both halves belong to the same claim */
    uint32_t epochs[2];
    uint32_t closed[2]; /* the error with which a side closed; 0: it has not */
    bool is_asleep[2];
    uint32_t features_common;
    uint32_t channels_max, tasks_max; /* that the appliance grants */
    uint32_t channel_count;
    struct vine__survey_channel channels[VINE_TALK_CHANNELS_MAX];
    uint32_t use_count;
    struct vine__survey_use uses[VINE__SURVEY_USES];
    struct vine__survey_account account;

    uint32_t fault_count, note_count;
    uint32_t finding_count; /* kept */
    struct vine__survey_finding findings[VINE__SURVEY_FINDINGS];
};

/* Whether an address names a segment: file:, shm:, pci: unless that is a link, or vinetalk:. */
bool vine__survey_takes(const char *address);

/*
 * Look at the segment at `address`. Whatever lies there is a survey: what is no segment, too.
 *
 * Returns 0; -ENOENT, -ENODEV  there is none; -EINVAL, -ELOOP  it is no regular file;
 * -VINE_ECONFIG  no such address; -EOPNOTSUPP  it lies elsewhere; -ENOMEM; or what the system said.
 * A sentence is in `why` then.
 */
VINE_MUST_CHECK int vine__survey_segment(const char *address, struct vine__survey *ret_survey,
                                         struct vine__why *why);

#endif
