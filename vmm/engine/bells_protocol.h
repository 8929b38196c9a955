/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/bells_protocol.h - what is said over the control socket of the bells.
 *
 * A request is one message of a SOCK_SEQPACKET socket, and so is its answer; they come in the same
 * order. Both sides are on one machine: integers are in its order. docs/formats/bells.md describes
 * every byte.
 */
#ifndef VINE_VMM_ENGINE_BELLS_PROTOCOL_H
#define VINE_VMM_ENGINE_BELLS_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "utils/assert.h"

#define VINE_BELLS_MAGIC       0x4c4c4542U /* the bytes "BELL" */
#define VINE_BELLS_VERSION     2           /* another one is refused */
#define VINE_BELLS_PEERS_MAX   64
#define VINE_BELLS_VECTORS_MAX 64
#define VINE_BELLS_NAME_BYTES  40 /* with the zero; a name is [A-Za-z0-9._-]+: a UID, and more */
#define VINE_BELLS_KEPT_MAX    768

enum vine_bells_type {
    VINE_BELLS_ADD = 1,    /* name, count: vectors. The answer: id, and the peer's socket */
    VINE_BELLS_REMOVE = 2, /* id */
    VINE_BELLS_ALLOW = 3,  /* id, other: either may ring the other from now on */
    VINE_BELLS_FORBID = 4, /* id, other: and now no more */
    VINE_BELLS_LIST = 5,   /* the answer: count, and as many entries behind it */
    VINE_BELLS_EVENT = 6,  /* id, count: a vector. The answer: its eventfd */
    VINE_BELLS_KEEP = 7,   /* name, and a descriptor of a file, a memory or a process */
    VINE_BELLS_TAKE = 8,   /* name. The answer: a duplicate of what is kept */
    VINE_BELLS_FORGET = 9, /* name */
    VINE_BELLS_KEPT = 10,  /* the answer: count, and as many names behind it */
};

/* X(name, number, the error that a client makes of it) */
#define VINE_BELLS_OUTCOMES(X)                                                                     \
    X(VINE_BELLS_DONE, 0, 0)                                                                       \
    X(VINE_BELLS_MALFORMED, 1, -VINE_EPROTOCOL)                                                    \
    X(VINE_BELLS_OTHER_VERSION, 2, -VINE_EVERSION)                                                 \
    X(VINE_BELLS_UNKNOWN, 3, -ENOENT) /* nobody has this id, or this vector, or this name */       \
    X(VINE_BELLS_TAKEN, 4, -EEXIST)   /* somebody, or something that is kept, has this name */     \
    X(VINE_BELLS_FULL, 5, -ENOSPC)    /* no place, or no id that nobody may remember */            \
    X(VINE_BELLS_FAILED, 6, -ENOMEM)  /* no memory, or no descriptors */

enum vine_bells_outcome {
#define VINE_BELLS_OUTCOME_VALUE(name, number, error) name = number,
    VINE_BELLS_OUTCOMES(VINE_BELLS_OUTCOME_VALUE)
#undef VINE_BELLS_OUTCOME_VALUE
};

enum vine_bells_state {
    VINE_BELLS_BEHIND = 1,  /* there is something that it has not read yet */
    VINE_BELLS_CURRENT = 2, /* it has read all that there was to tell */
};

struct vine_bells_request {
    uint32_t magic;
    uint16_t version;
    uint16_t type; /* enum vine_bells_type */
    uint32_t id;
    uint32_t other;
    uint32_t count;
    uint32_t reserved;
    char name[VINE_BELLS_NAME_BYTES];
};

struct vine_bells_answer {
    uint32_t magic;
    uint16_t version;
    uint16_t type;    /* of the request */
    uint32_t outcome; /* enum vine_bells_outcome */
    uint32_t id;
    uint32_t count;
    uint32_t reserved;
};

struct vine_bells_kept {
    char name[VINE_BELLS_NAME_BYTES];
};

struct vine_bells_entry {
    uint32_t id;
    uint32_t vector_count;
    uint32_t state; /* enum vine_bells_state */
    uint32_t reserved;
    uint64_t links; /* bit i: with the peer of entry i of this answer */
    char name[VINE_BELLS_NAME_BYTES];
};

/* clang-format off: one field a line */
VINE_LAYOUT(vine_bells_request, 64);
VINE_FIELD(vine_bells_request, magic, 0);
VINE_FIELD(vine_bells_request, version, 4);
VINE_FIELD(vine_bells_request, type, 6);
VINE_FIELD(vine_bells_request, id, 8);
VINE_FIELD(vine_bells_request, other, 12);
VINE_FIELD(vine_bells_request, count, 16);
VINE_FIELD(vine_bells_request, name, 24);
VINE_LAYOUT(vine_bells_answer, 24);
VINE_FIELD(vine_bells_answer, magic, 0);
VINE_FIELD(vine_bells_answer, version, 4);
VINE_FIELD(vine_bells_answer, type, 6);
VINE_FIELD(vine_bells_answer, outcome, 8);
VINE_FIELD(vine_bells_answer, id, 12);
VINE_FIELD(vine_bells_answer, count, 16);
VINE_LAYOUT(vine_bells_entry, 64);
VINE_FIELD(vine_bells_entry, id, 0);
VINE_FIELD(vine_bells_entry, vector_count, 4);
VINE_FIELD(vine_bells_entry, state, 8);
VINE_FIELD(vine_bells_entry, links, 16);
VINE_FIELD(vine_bells_entry, name, 24);
VINE_LAYOUT(vine_bells_kept, 40);
VINE_FIELD(vine_bells_kept, name, 0);
/* clang-format on */
VINE_STATIC_ASSERT(VINE_BELLS_PEERS_MAX <= 64, "links are a word");

#endif
