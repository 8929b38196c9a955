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

#define VINE__SEGMENT_MAGIC         UINT64_C(0x31474553454e4956) /* the bytes "VINESEG1" */
#define VINE__SEGMENT_VERSION_MAJOR 1
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

/* Written by compare-and-swap: from zero or from a process that is dead to oneself, and from
 * oneself to zero. A line of its own each. */
struct vine__segment_holder {
    uint64_t word;
    uint64_t
        scope; /* the holder's kernel and pid namespace; written after the word, 0 if unknown */
    uint64_t claims; /* how often the word was taken; written by the holder */
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

#define VINE__SEGMENT_OFFSET(field, offset)                                                        \
    _Static_assert(offsetof(struct vine__segment_header, field) == (offset),                       \
                   #field " lies at " #offset)

VINE__SEGMENT_OFFSET(magic, 0);
VINE__SEGMENT_OFFSET(version_major, 8);
VINE__SEGMENT_OFFSET(version_minor, 10);
VINE__SEGMENT_OFFSET(status, 12);
VINE__SEGMENT_OFFSET(fingerprint, 16);
VINE__SEGMENT_OFFSET(features, 24);
VINE__SEGMENT_OFFSET(generation, 32);
VINE__SEGMENT_OFFSET(size_bytes, 40);
VINE__SEGMENT_OFFSET(identity, 48);
VINE__SEGMENT_OFFSET(owner_uid, 64);
VINE__SEGMENT_OFFSET(peer_uid, 68);
VINE__SEGMENT_OFFSET(header_bytes, 72);
VINE__SEGMENT_OFFSET(line_bytes, 76);
VINE__SEGMENT_OFFSET(slot_bytes, 80);
VINE__SEGMENT_OFFSET(extent_count, 84);
VINE__SEGMENT_OFFSET(name_flags, 88);
VINE__SEGMENT_OFFSET(reserved_1, 92);
VINE__SEGMENT_OFFSET(claim, 128);
VINE__SEGMENT_OFFSET(sides, 192);
VINE__SEGMENT_OFFSET(reserved_2, 320);
VINE__SEGMENT_OFFSET(specs, 384);
VINE__SEGMENT_OFFSET(extent_bytes, 576);
VINE__SEGMENT_OFFSET(reserved_3, 1088);
_Static_assert(sizeof(struct vine__segment_holder) == VINE__SEGMENT_LINE_BYTES,
               "a holder fills a line");
_Static_assert(sizeof(struct vine__segment_spec) == 24, "a spec has 24 bytes");
_Static_assert(sizeof(struct vine__segment_header) == VINE__SEGMENT_HEADER_BYTES,
               "the header fills a page");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the header is little-endian and is read in place");

#endif
