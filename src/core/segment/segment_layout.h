/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/segment/segment_layout.h - the first page of every segment, as it lies in shared memory.
 *
 * Fixed-width integers, little-endian, at fixed offsets; docs/formats/segment.md describes every
 * byte. Bytes that are named `reserved` are zero and ignored by their reader.
 *
 * Magic, version, status, the claim line and the two side lines keep their offsets in every
 * version to come, so that versions that cannot talk can still tell whether the other lives.
 */
#ifndef VINE_CORE_SEGMENT_SEGMENT_LAYOUT_H
#define VINE_CORE_SEGMENT_SEGMENT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "utils/assert.h"

#define VINE__SEGMENT_MAGIC         UINT64_C(0x31474553454e4956) /* the bytes "VINESEG1" */
#define VINE__SEGMENT_VERSION_MAJOR 2 /* 1 wrote a holder's scope behind its word */
#define VINE__SEGMENT_VERSION_MINOR 0
#define VINE__SEGMENT_HEADER_BYTES  4096
#define VINE__SEGMENT_LINE_BYTES    64
#define VINE__SEGMENT_SLOT_BYTES    64
#define VINE__SEGMENT_SPEC_COUNT    8
#define VINE__SEGMENT_EXTENT_COUNT  64

/* Values of `status`. Zero is memory that nobody has claimed. */
#define VINE__SEGMENT_STATUS_FRESH        0U
#define VINE__SEGMENT_STATUS_INITIALIZING 1U
#define VINE__SEGMENT_STATUS_INITIALIZED  2U
#define VINE__SEGMENT_STATUS_CORRUPTED    3U

/* Who does not know all of these feature bits that are set refuses the segment; the lower ones may
 * be ignored. */
#define VINE__SEGMENT_FEATURES_REQUIRED UINT64_C(0xffffffff00000000)

/* Who does not know the kind of a spec with this flag refuses the segment. */
#define VINE__SEGMENT_SPEC_REQUIRED UINT32_C(1)

/* The name was made with the segment, or with one that it replaces, and ends with it; what existed
 * before is its owner's. */
#define VINE__SEGMENT_NAME_IS_MADE UINT32_C(1)

/* A process: its pid in bits 0 to 21, its start time in clock ticks since boot in bits 22 to 63.
 * Zero is nobody. */
#define VINE__SEGMENT_WORD_PID_BITS 22

/* Word and scope together name a process, and are written by one compare-and-swap of both: from
 * zero or from a process that is dead to oneself, and from oneself to zero. A line of its own
 * each. */
struct vine__segment_holder {
    _Alignas(16) uint64_t word;
    uint64_t scope;  /* the holder's kernel, pid and time namespace */
    uint64_t claims; /* how often the word was taken, and more; written by the holder */
    uint64_t reserved[5];
};

struct vine__segment_spec {
    uint32_t kind; /* enum vine_segment_kind; 0: this slot is empty */
    uint32_t flags;
    uint64_t offset_bytes; /* from the start of the segment, a multiple of 64 */
    uint64_t size_bytes;
};

struct vine__segment_header {
    uint64_t magic;
    uint16_t version_major;
    uint16_t version_minor;
    uint32_t status;
    uint64_t fingerprint;
    uint64_t features;
    uint64_t generation;
    uint64_t size_bytes;
    unsigned char identity[16];

    uint32_t owner_uid;
    uint32_t peer_uid;
    uint32_t header_bytes;
    uint32_t line_bytes;
    uint32_t slot_bytes;
    uint32_t extent_count; /* written with release, after the size of the last extent */
    uint32_t name_flags;   /* VINE__SEGMENT_NAME_; written by the maker */
    uint32_t reserved_1[9];

    struct vine__segment_holder claim;    /* who initializes */
    struct vine__segment_holder sides[2]; /* the application, the appliance */
    uint64_t reserved_2[8];

    struct vine__segment_spec specs[VINE__SEGMENT_SPEC_COUNT];
    uint64_t extent_bytes[VINE__SEGMENT_EXTENT_COUNT];
    uint64_t reserved_3[376];
};

/* clang-format off: one field a line */
VINE_LAYOUT(vine__segment_holder, 64);
VINE_FIELD(vine__segment_holder, word, 0);
VINE_FIELD(vine__segment_holder, scope, 8);
VINE_FIELD(vine__segment_holder, claims, 16);
VINE_LAYOUT(vine__segment_spec, 24);
VINE_FIELD(vine__segment_spec, kind, 0);
VINE_FIELD(vine__segment_spec, flags, 4);
VINE_FIELD(vine__segment_spec, offset_bytes, 8);
VINE_FIELD(vine__segment_spec, size_bytes, 16);
VINE_LAYOUT(vine__segment_header, 4096);
VINE_FIELD(vine__segment_header, magic, 0);
VINE_FIELD(vine__segment_header, version_major, 8);
VINE_FIELD(vine__segment_header, version_minor, 10);
VINE_FIELD(vine__segment_header, status, 12);
VINE_FIELD(vine__segment_header, fingerprint, 16);
VINE_FIELD(vine__segment_header, features, 24);
VINE_FIELD(vine__segment_header, generation, 32);
VINE_FIELD(vine__segment_header, size_bytes, 40);
VINE_FIELD(vine__segment_header, identity, 48);
VINE_FIELD(vine__segment_header, owner_uid, 64);
VINE_FIELD(vine__segment_header, peer_uid, 68);
VINE_FIELD(vine__segment_header, header_bytes, 72);
VINE_FIELD(vine__segment_header, line_bytes, 76);
VINE_FIELD(vine__segment_header, slot_bytes, 80);
VINE_FIELD(vine__segment_header, extent_count, 84);
VINE_FIELD(vine__segment_header, name_flags, 88);
VINE_FIELD(vine__segment_header, claim, 128);
VINE_FIELD(vine__segment_header, sides, 192);
VINE_FIELD(vine__segment_header, specs, 384);
VINE_FIELD(vine__segment_header, extent_bytes, 576);
/* clang-format on */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the header is little-endian and is read in place");

#endif
