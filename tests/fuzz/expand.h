/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/expand.h - a decompressor before any file: whole, and cut into chunks; the two must
 * agree.
 *
 * The first two bytes choose the size of chunks and the room of each task; the rest is the file.
 */
#ifndef VINE_TESTS_EXPAND_H
#define VINE_TESTS_EXPAND_H

#include "../procedures/procedures.h"
#include "unit/procedures/fake_call.h"

#define EXPAND_ROOM_MAX (256u << 10)

static uint64_t expand_word(const uint8_t bytes[8])
{
    uint64_t word = 0;

    for (unsigned index = 0; index < 8; index++)
        word |= (uint64_t)bytes[index] << (8 * index);
    return word;
}

/* Expand `file` in chunks of at most `chunk_max` with `room` for each task. Returns how it ended
 * and what came of it in `output`, which has EXPAND_ROOM_MAX; -VINE_EOVERFLOW where that is too
 * little. */
static int expand_chunks(const struct vine_procedure_definition *definition, const uint8_t *file,
                         size_t size, size_t chunk_max, size_t room, uint8_t *output,
                         size_t *ret_size)
{
    struct fake_session session;
    size_t at = 0, made = 0;
    uint64_t flags = 0;
    bool is_last = false;
    int status = fake_session_begin(&session, definition, 16 << 20);

    while (status == 0 && !is_last) {
        const size_t left = size - at;
        const size_t chunk = left < chunk_max ? left : chunk_max;
        struct vine_call call;

        is_last = left == 0 && !(flags & VINE_EXPAND_MORE);
        fake_call_init(&call, definition, file + at, chunk, room);
        status = fake_call_run_in(&call, &session, is_last);
        if (status == 0) {
            const uint64_t consumed = expand_word(call.result);

            VINE_ASSERT(call.result_size == sizeof(struct vine_expand_result));
            VINE_ASSERT(consumed <= chunk);
            VINE_ASSERT(consumed > 0 || call.output_size > 0 || left == 0);
            flags = expand_word(call.result + 8);
            at += (size_t)consumed;
            if (made + call.output_size > EXPAND_ROOM_MAX) {
                status = -VINE_EOVERFLOW;
            } else {
                memcpy(output + made, call.output, call.output_size);
                made += call.output_size;
            }
        }
        fake_call_fini(&call);
    }
    fake_session_end(&session);
    *ret_size = made;
    return status;
}

/* `is_strict`: what is refused as a whole is refused in chunks too. Not so with libzstd, whose
 * streaming decoder takes a compressed block of no bytes for an empty one. */
static void expand_both_ways(const struct vine_procedure_definition *definition, bool is_strict,
                             const uint8_t *bytes, size_t size)
{
    static uint8_t chunked[EXPAND_ROOM_MAX];
    struct vine_call whole;
    size_t chunked_size = 0;
    int status[2];

    if (size < 2)
        return;
    fake_call_init(&whole, definition, bytes + 2, size - 2, EXPAND_ROOM_MAX);
    status[0] = fake_call_run(&whole);
    status[1] = expand_chunks(definition, bytes + 2, size - 2, 1 + bytes[0],
                              1 + 16 * (size_t)bytes[1], chunked, &chunked_size);
    if (status[0] == 0) {
        /* Chunks need a window, which the quota may refuse. */
        VINE_ASSERT(status[1] == 0 || status[1] == -VINE_EQUOTA || status[1] == -VINE_EDATA);
        if (status[1] == 0) {
            VINE_ASSERT(chunked_size == whole.output_size);
            VINE_ASSERT(memcmp(chunked, whole.output, chunked_size) == 0);
        }
    } else {
        VINE_ASSERT(!is_strict || status[1] != 0);
    }
    fake_call_fini(&whole);
}

#endif
