/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/cursor.h - read and write little-endian messages without ever leaving their bytes.
 *
 * Owns:     nothing.
 * Threads:  one at a time on one cursor.
 * Blocking: never.
 * Trust:    the bytes may be anything. A cursor reads each of them at most once (what lies in
 *           memory that a peer writes is copied out by the read) and never one outside its range;
 *           after the first failure every read gives zeros, so that one check at the end is
 *           enough: vine__cursor_finish().
 * Limits:   none.
 *
 *     struct vine__cursor cursor = vine__cursor_of(bytes, size);
 *     const uint32_t kind = vine__cursor_u32(&cursor);
 *     const uint64_t room = vine__cursor_u64(&cursor);
 *     if (vine__cursor_finish(&cursor) != 0)
 *         return -VINE_EPROTOCOL;
 */
#ifndef VINE_UTILS_CURSOR_H
#define VINE_UTILS_CURSOR_H

#include "utils/assert.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Invariant: at <= size; once failed, at == size. */
struct vine__cursor {
    const uint8_t *bytes;
    size_t size;
    size_t at;
    bool failed;
};

static inline struct vine__cursor vine__cursor_of(const void *bytes, size_t size)
{
    return (struct vine__cursor){.bytes = (const uint8_t *)bytes, .size = size};
}

static inline size_t vine__cursor_left(const struct vine__cursor *cursor)
{
    return cursor->size - cursor->at;
}

static inline bool vine__cursor_has_failed(const struct vine__cursor *cursor)
{
    return cursor->failed;
}

/* Call what was read so far wrong, for a check of the caller's own. */
static inline void vine__cursor_fail(struct vine__cursor *cursor)
{
    cursor->failed = true;
    cursor->at = cursor->size;
}

/* The next `size` bytes, in place, or NULL. For 0 bytes a pointer that is not to be followed. */
static inline const uint8_t *vine__cursor_take(struct vine__cursor *cursor, size_t size)
{
    VINE_ASSERT(cursor->at <= cursor->size);
    if (cursor->failed || size > cursor->size - cursor->at) {
        vine__cursor_fail(cursor);
        return NULL;
    }
    const uint8_t *taken = cursor->size == 0 ? (const uint8_t *)"" : cursor->bytes + cursor->at;
    cursor->at += size;
    return taken;
}

/* Copy the next `size` bytes; zeros if they are not all there. */
static inline void vine__cursor_bytes(struct vine__cursor *cursor, void *into, size_t size)
{
    const uint8_t *taken = vine__cursor_take(cursor, size);
    if (size == 0)
        return;
    if (taken != NULL)
        memcpy(into, taken, size);
    else
        memset(into, 0, size);
}

static inline void vine__cursor_skip(struct vine__cursor *cursor, size_t size)
{
    (void)vine__cursor_take(cursor, size);
}

/* Skip `size` bytes that have to be 0: room that a later version may use. */
static inline void vine__cursor_zeros(struct vine__cursor *cursor, size_t size)
{
    const uint8_t *taken = vine__cursor_take(cursor, size);
    uint8_t found = 0;
    for (size_t i = 0; taken != NULL && i < size; i++)
        found = (uint8_t)(found | taken[i]);
    if (found != 0)
        vine__cursor_fail(cursor);
}

static inline uint64_t vine__cursor_unsigned(struct vine__cursor *cursor, size_t size)
{
    uint8_t bytes[8] = {0};
    VINE_ASSERT(size <= sizeof(bytes));
    vine__cursor_bytes(cursor, bytes, size);
    uint64_t value = 0;
    for (size_t i = size; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

static inline uint8_t vine__cursor_u8(struct vine__cursor *cursor)
{
    return (uint8_t)vine__cursor_unsigned(cursor, 1);
}

static inline uint16_t vine__cursor_u16(struct vine__cursor *cursor)
{
    return (uint16_t)vine__cursor_unsigned(cursor, 2);
}

static inline uint32_t vine__cursor_u32(struct vine__cursor *cursor)
{
    return (uint32_t)vine__cursor_unsigned(cursor, 4);
}

static inline uint64_t vine__cursor_u64(struct vine__cursor *cursor)
{
    return vine__cursor_unsigned(cursor, 8);
}

/* Copy a text that is preceded by its length (u16) into `into` and end it with a NUL. A text of
 * `capacity` bytes or more, or one with a NUL in it, is a failure; `into` is then "". */
static inline void vine__cursor_text(struct vine__cursor *cursor, char *into, size_t capacity)
{
    VINE_ASSERT(capacity > 0);
    into[0] = '\0';
    const size_t length = vine__cursor_u16(cursor);
    if (length >= capacity) {
        vine__cursor_fail(cursor);
        return;
    }
    vine__cursor_bytes(cursor, into, length);
    into[length] = '\0';
    if (memchr(into, '\0', length) != NULL)
        vine__cursor_fail(cursor);
    if (cursor->failed)
        into[0] = '\0';
}

/* The check at the end. Returns 0 if every read succeeded and nothing is left, else -EBADMSG. */
static inline int vine__cursor_finish(const struct vine__cursor *cursor)
{
    return cursor->failed || cursor->at != cursor->size ? -EBADMSG : 0;
}

/* The same for a message that may be followed by what a later version added. */
static inline int vine__cursor_check(const struct vine__cursor *cursor)
{
    return cursor->failed ? -EBADMSG : 0;
}

/* The other direction. Invariant: at <= capacity. */
struct vine__writer {
    uint8_t *bytes;
    size_t capacity;
    size_t at;
    bool failed;
};

static inline struct vine__writer vine__writer_of(void *bytes, size_t capacity)
{
    return (struct vine__writer){.bytes = (uint8_t *)bytes, .capacity = capacity};
}

static inline void vine__writer_bytes(struct vine__writer *writer, const void *from, size_t size)
{
    VINE_ASSERT(writer->at <= writer->capacity);
    if (writer->failed || size > writer->capacity - writer->at) {
        writer->failed = true;
        return;
    }
    if (size > 0)
        memcpy(writer->bytes + writer->at, from, size);
    writer->at += size;
}

static inline void vine__writer_unsigned(struct vine__writer *writer, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    VINE_ASSERT(size <= sizeof(bytes));
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    vine__writer_bytes(writer, bytes, size);
}

static inline void vine__writer_u8(struct vine__writer *writer, uint8_t value)
{
    vine__writer_unsigned(writer, value, 1);
}

static inline void vine__writer_u16(struct vine__writer *writer, uint16_t value)
{
    vine__writer_unsigned(writer, value, 2);
}

static inline void vine__writer_u32(struct vine__writer *writer, uint32_t value)
{
    vine__writer_unsigned(writer, value, 4);
}

static inline void vine__writer_u64(struct vine__writer *writer, uint64_t value)
{
    vine__writer_unsigned(writer, value, 8);
}

static inline void vine__writer_zeros(struct vine__writer *writer, size_t size)
{
    for (size_t i = 0; i < size && !writer->failed; i++)
        vine__writer_u8(writer, 0);
}

/* A text preceded by its length (u16), without its NUL. */
static inline void vine__writer_text(struct vine__writer *writer, const char *text)
{
    const size_t length = strlen(text);
    if (length > UINT16_MAX) {
        writer->failed = true;
        return;
    }
    vine__writer_u16(writer, (uint16_t)length);
    vine__writer_bytes(writer, text, length);
}

/* Returns 0 and the size of what was written, or -ENOBUFS if it did not all fit. */
static inline int vine__writer_finish(const struct vine__writer *writer, size_t *ret_size)
{
    if (writer->failed)
        return -ENOBUFS;
    *ret_size = writer->at;
    return 0;
}

#endif
