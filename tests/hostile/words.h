/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/hostile/words.h - every word that crosses, by name, and the values to be tried in it.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    what is written here deserves none.
 * Limits:   words of 1, 2, 4 and 8 bytes; larger fields are several of them.
 */
#ifndef VINE_TESTS_HOSTILE_WORDS_H
#define VINE_TESTS_HOSTILE_WORDS_H

#include <stdint.h>
#include <string.h>

#include <vine/box.h>
#include <vine/spsc.h>

#include "arch/clock/clock.h"
#include "core/segment/segment_layout.h"
#include "core/talk/talk_layout.h"
#include "core/talk/talk_protocol.h"
#include "utils/atomic.h"
#include "utils/tables.h"

struct word {
    const char *name;
    uint32_t offset; /* in what the table is of */
    uint32_t bytes;
};

#define WORD(type, field)                                                                          \
    {                                                                                              \
#field, offsetof(struct type, field), sizeof(((struct type *)0)->field)                    \
    }
/* Eight bytes of a larger field. */
#define PART(type, field, at)                                                                      \
    {                                                                                              \
#field "+" #at, offsetof(struct type, field) + (at), 8                                     \
    }

#define HOLDER(field)                                                                              \
    WORD(vine__segment_header, field.word), WORD(vine__segment_header, field.scope),               \
        WORD(vine__segment_header, field.claims)
#define SPEC(number)                                                                               \
    WORD(vine__segment_header, specs[number].kind),                                                \
        WORD(vine__segment_header, specs[number].flags),                                           \
        WORD(vine__segment_header, specs[number].offset_bytes),                                    \
        WORD(vine__segment_header, specs[number].size_bytes)

static const struct word header_words[] = {
    WORD(vine__segment_header, magic),
    WORD(vine__segment_header, version_major),
    WORD(vine__segment_header, version_minor),
    WORD(vine__segment_header, status),
    WORD(vine__segment_header, fingerprint),
    WORD(vine__segment_header, features),
    WORD(vine__segment_header, generation),
    WORD(vine__segment_header, size_bytes),
    PART(vine__segment_header, identity, 0),
    PART(vine__segment_header, identity, 8),
    WORD(vine__segment_header, owner_uid),
    WORD(vine__segment_header, peer_uid),
    WORD(vine__segment_header, header_bytes),
    WORD(vine__segment_header, line_bytes),
    WORD(vine__segment_header, slot_bytes),
    WORD(vine__segment_header, extent_count),
    WORD(vine__segment_header, reserved_1[0]),
    HOLDER(claim),
    HOLDER(sides[0]),
    HOLDER(sides[1]),
    WORD(vine__segment_header, reserved_2[0]),
    SPEC(0),
    SPEC(1),
    SPEC(7),
    WORD(vine__segment_header, extent_bytes[0]),
    WORD(vine__segment_header, extent_bytes[63]),
    WORD(vine__segment_header, reserved_3[0]),
};

static const struct word board_words[] = {
    WORD(vine_board_layout, sleep_epoch.value),
    WORD(vine_board_layout, sleep_epoch.reserved_1),
    WORD(vine_board_layout, sleep_epoch.answered),
    WORD(vine_board_layout, sleep_epoch.listed),
    WORD(vine_board_layout, wake_count.value),
    WORD(vine_board_layout, channels.value),
    WORD(vine_board_layout, channels.sharing),
    WORD(vine_board_layout, channels.ready),
    WORD(vine_board_layout, closed.value),
    WORD(vine_board_layout, epoch),
    WORD(vine_board_layout, channels_max),
    WORD(vine_board_layout, tasks_max),
    WORD(vine_board_layout, features),
    WORD(vine_board_layout, meeting),
    WORD(vine_board_layout, version),
    PART(vine_board_layout, name, 0),
    PART(vine_board_layout, name, 24),
    WORD(vine_board_layout, reserved[0]),
};

static const struct word channel_words[] = {
    WORD(vine_channel_layout, state),          WORD(vine_channel_layout, slot_count),
    WORD(vine_channel_layout, ring_extent),    WORD(vine_channel_layout, ring_offset_units),
    WORD(vine_channel_layout, wait_mode),      WORD(vine_channel_layout, reserved[0]),
    WORD(vine_channel_layout, consumed.value), WORD(vine_channel_layout, sleeping.value),
};

static const struct word slot_words[] = {
    WORD(vine_slot, sequence),
};

/* Bodies are tokens, or bytes in eights. */
static const struct word submission_words[] = {
    WORD(vine_wire_submission, operation),   WORD(vine_wire_submission, procedure),
    WORD(vine_wire_submission, accelerator), WORD(vine_wire_submission, session),
    WORD(vine_wire_submission, kind),        WORD(vine_wire_submission, shape),
    PART(vine_wire_submission, body, 0),     PART(vine_wire_submission, body, 8),
    PART(vine_wire_submission, body, 16),    PART(vine_wire_submission, body, 24),
    PART(vine_wire_submission, body, 32),
};

static const struct word completion_words[] = {
    WORD(vine_wire_completion, operation), WORD(vine_wire_completion, status),
    WORD(vine_wire_completion, kind),      WORD(vine_wire_completion, shape),
    WORD(vine_wire_completion, reserved),  WORD(vine_wire_completion, queued),
    WORD(vine_wire_completion, run),       PART(vine_wire_completion, body, 0),
    PART(vine_wire_completion, body, 8),   PART(vine_wire_completion, body, 16),
    PART(vine_wire_completion, body, 24),
};

static const struct word token_words[] = {
    WORD(vine_token, offset_units), WORD(vine_token, length), WORD(vine_token, generation),
    WORD(vine_token, type),         WORD(vine_token, extent),
};

static const struct word descriptor_words[] = {
    WORD(vine_wire_descriptor, size_bytes),     WORD(vine_wire_descriptor, token_count),
    WORD(vine_wire_descriptor, has_after),      WORD(vine_wire_descriptor, bytes_size),
    WORD(vine_wire_descriptor, after_channel),  WORD(vine_wire_descriptor, after_operation),
    WORD(vine_wire_descriptor, after_position),
};

static const struct word head_words[] = {
    WORD(vine_talk_head, magic),
    WORD(vine_talk_head, type),
    WORD(vine_talk_head, size_bytes),
};

static const struct word hello_words[] = {
    WORD(vine_talk_hello, major),        WORD(vine_talk_hello, minor),
    WORD(vine_talk_hello, channels_max), WORD(vine_talk_hello, tasks_max),
    WORD(vine_talk_hello, reserved),     WORD(vine_talk_hello, memory_max_bytes),
    WORD(vine_talk_hello, features),     WORD(vine_talk_hello, half_bytes),
    PART(vine_talk_hello, uuid, 0),      PART(vine_talk_hello, uuid, 8),
    PART(vine_talk_hello, name, 0),      PART(vine_talk_hello, name, 24),
};

static const struct word welcome_words[] = {
    WORD(vine_talk_welcome, major),        WORD(vine_talk_welcome, minor),
    WORD(vine_talk_welcome, channels_max), WORD(vine_talk_welcome, tasks_max),
    WORD(vine_talk_welcome, reserved),     WORD(vine_talk_welcome, memory_max_bytes),
    WORD(vine_talk_welcome, features),     WORD(vine_talk_welcome, half_bytes),
    WORD(vine_talk_welcome, generation),   PART(vine_talk_welcome, name, 0),
    PART(vine_talk_welcome, name, 24),
};

static const struct word description_words[] = {
    PART(vine_wire_description, name, 0),
    PART(vine_wire_description, accelerator_type, 24),
    PART(vine_wire_description, summary, 120),
    WORD(vine_wire_description, id),
    WORD(vine_wire_description, flags),
    WORD(vine_wire_description, argument_count),
    WORD(vine_wire_description, arguments[0].kind),
    WORD(vine_wire_description, arguments[0].data_type),
    WORD(vine_wire_description, arguments[0].min),
    WORD(vine_wire_description, arguments[0].max),
    WORD(vine_wire_description, arguments[1].kind),
    WORD(vine_wire_description, arguments[1].data_type),
    WORD(vine_wire_description, arguments[1].max),
};

static const struct word extent_words[] = {
    WORD(vine_talk_extent, index),
    WORD(vine_talk_extent, reserved),
    WORD(vine_talk_extent, size_bytes),
};

static const struct word reason_words[] = {
    WORD(vine_talk_reason, major),    WORD(vine_talk_reason, minor),
    WORD(vine_talk_reason, error),    PART(vine_talk_reason, text, 0),
    PART(vine_talk_reason, text, 88),
};

#define WORD_VALUES 17

/* What is tried in a word of so many bytes that holds `own`: nothing, one, itself and its
 * neighbours, the ends of what words of each size can hold, and chance. */
static inline void word_values(uint64_t own, uint32_t bytes, unsigned *seed,
                               uint64_t ret_values[WORD_VALUES])
{
    const uint64_t chance =
        (uint64_t)rand_r(seed) << 42 ^ (uint64_t)rand_r(seed) << 21 ^ (uint64_t)rand_r(seed);
    const uint64_t values[WORD_VALUES] = {
        own,
        0,
        1,
        own - 1,
        own + 1,
        2 * own,
        UINT64_C(1) << (8 * bytes - 1),
        (UINT64_C(1) << (8 * bytes - 1)) - 1,
        UINT64_MAX - 1,
        UINT64_MAX,
        UINT64_C(1) << 31,
        UINT32_MAX,
        UINT64_C(1) << 32,
        UINT64_C(1) << 63,
        UINT64_MAX - own + 1,
        chance,
        chance % 1000,
    };

    memcpy(ret_values, values, sizeof values);
}

static inline uint64_t word_get(const void *base, const struct word *word)
{
    uint64_t value = 0;

    memcpy(&value, (const unsigned char *)base + word->offset, word->bytes);
    return value;
}

static inline void word_put(void *base, const struct word *word, uint64_t value)
{
    unsigned char *at = (unsigned char *)base + word->offset;

    /* At once, where somebody may be reading. */
    if (word->bytes == 8)
        vine__store_release_u64((uint64_t *)(void *)at, value);
    else if (word->bytes == 4)
        vine__store_release_u32((uint32_t *)(void *)at, (uint32_t)value);
    else
        memcpy(at, &value, word->bytes);
}

static inline unsigned word_seed(void)
{
    const char *text = getenv("VINE_TEST_SEED");

    /* The first programs of a machine have the same process id each time. */
    return text != NULL ? (unsigned)strtoul(text, NULL, 0)
                        : (unsigned)getpid() ^ (unsigned)vine__clock_now_ns();
}

#endif
