/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/procedures/codec.h - whole files through compressors and decompressors, in one task
 * or in chunks, and the two libraries that judge: zstd's own and zlib.
 */
#ifndef VINE_TESTS_CODEC_H
#define VINE_TESTS_CODEC_H

#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "../procedures/procedures.h"
#include "unit/procedures/fake_call.h"
#include "unit/procedures/sample.h"

struct bytes {
    uint8_t *at;
    size_t size, room;
};

static inline void bytes_free(struct bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct bytes){0};
}

static inline void bytes_append(struct bytes *bytes, const void *more, size_t size)
{
    if (bytes->size + size > bytes->room) {
        bytes->room = 2 * (bytes->size + size) + 64;
        bytes->at = realloc(bytes->at, bytes->room);
        VINE_ASSERT(bytes->at);
    }
    if (size > 0)
        memcpy(bytes->at + bytes->size, more, size);
    bytes->size += size;
}

static inline uint64_t word_at(const uint8_t bytes[8])
{
    uint64_t word = 0;

    for (unsigned index = 0; index < 8; index++)
        word |= (uint64_t)bytes[index] << (8 * index);
    return word;
}

static inline struct vine_expand_result progress_of(const struct vine_call *call)
{
    VINE_ASSERT(call->result_size == sizeof(struct vine_expand_result));
    return (struct vine_expand_result){word_at(call->result), word_at(call->result + 8)};
}

static inline const struct vine_procedure_definition *shipped(const char *name)
{
    for (size_t index = 0; index < vine_shipped_procedure_count; index++)
        if (strcmp(vine_shipped_procedures[index]->name, name) == 0)
            return vine_shipped_procedures[index];
    abort();
}

/* ---- oracles: 0, or -1 for a malformed file -------------------------------------------------- */

static inline int oracle_zstd(const struct bytes *input, struct bytes *output)
{
    size_t at = 0;

    while (at < input->size) {
        const size_t frame = ZSTD_findFrameCompressedSize(input->at + at, input->size - at);
        ZSTD_DStream *stream = ZSTD_createDStream();
        ZSTD_inBuffer in = {input->at + at, frame, 0};
        size_t left = ZSTD_isError(frame) ? frame : 1;

        while (!ZSTD_isError(left) && left > 0) {
            uint8_t piece[4096];
            ZSTD_outBuffer out = {piece, sizeof(piece), 0};

            left = ZSTD_decompressStream(stream, &out, &in);
            bytes_append(output, piece, out.pos);
        }
        ZSTD_freeDStream(stream);
        if (ZSTD_isError(left))
            return -1;
        at += frame;
    }
    return input->size > 0 ? 0 : -1;
}

static inline int oracle_gzip(const struct bytes *input, struct bytes *output)
{
    z_stream stream = {0};
    int result = Z_OK;

    VINE_ASSERT(inflateInit2(&stream, 16 + 15) == Z_OK);
    stream.next_in = input->at;
    stream.avail_in = (uInt)input->size;
    do {
        uint8_t piece[4096];

        stream.next_out = piece;
        stream.avail_out = sizeof(piece);
        result = inflate(&stream, Z_NO_FLUSH);
        bytes_append(output, piece, sizeof(piece) - stream.avail_out);
        if (result == Z_STREAM_END && stream.avail_in > 0)
            result = inflateReset(&stream);
    } while (result == Z_OK);
    inflateEnd(&stream);
    return result == Z_STREAM_END ? 0 : -1;
}

/* ---- ours ------------------------------------------------------------------------------------ */

struct codec {
    const char *compressor, *expander;
    int (*oracle)(const struct bytes *input, struct bytes *output);
    unsigned level_min, level_max;
};

static const struct codec codecs[] = {
    {"zstd", "unzstd", oracle_zstd, VINE_ZSTD_LEVEL_MIN, VINE_ZSTD_LEVEL_MAX},
    {"gzip", "gunzip", oracle_gzip, VINE_GZIP_LEVEL_MIN, VINE_GZIP_LEVEL_MAX},
};

#define CODEC_COUNT (sizeof(codecs) / sizeof(codecs[0]))

static inline size_t codec_room(const struct codec *codec, size_t size)
{
    return codec->oracle == oracle_zstd ? VINE_ZSTD_ROOM(size) : VINE_GZIP_ROOM(size);
}

/* `level` 0 of zstd stands for none sent. */
static inline int compress_whole(const struct codec *codec, uint64_t level, const uint8_t *input,
                                 size_t size, struct bytes *output)
{
    struct vine_call call;
    int status;

    fake_call_init(&call, shipped(codec->compressor), input, size, codec_room(codec, size));
    call.has_scalar = level >= codec->level_min;
    call.scalar = level;
    status = fake_call_run(&call);
    if (status == 0)
        bytes_append(output, call.output, call.output_size);
    fake_call_fini(&call);
    return status;
}

static inline int compress_in_chunks(const struct codec *codec, uint64_t level,
                                     const uint8_t *input, size_t size, size_t chunk_max,
                                     uint64_t *seed, struct bytes *output)
{
    struct fake_session session;
    size_t at = 0;
    int status = fake_session_begin(&session, shipped(codec->compressor), INT64_MAX);
    bool is_last = false;

    while (status == 0 && !is_last) {
        const size_t most = size - at < chunk_max ? size - at : chunk_max;
        const size_t chunk = sample_below(seed, most + 1);
        struct vine_call call;

        is_last = at + chunk == size && sample_below(seed, 3) == 0;
        fake_call_init(&call, shipped(codec->compressor), input + at, chunk,
                       codec_room(codec, chunk));
        call.has_scalar = true;
        call.scalar = level;
        status = fake_call_run_in(&call, &session, is_last);
        bytes_append(output, call.output, call.output_size);
        fake_call_fini(&call);
        at += chunk;
    }
    fake_session_end(&session);
    return status;
}

static inline int expand_whole(const struct codec *codec, const uint8_t *input, size_t size,
                               size_t room, struct bytes *output, uint64_t *ret_flags)
{
    struct vine_call call;
    int status;

    fake_call_init(&call, shipped(codec->expander), input, size, room);
    status = fake_call_run(&call);
    if (status == 0) {
        VINE_ASSERT(progress_of(&call).consumed_bytes == size);
        bytes_append(output, call.output, call.output_size);
        if (ret_flags)
            *ret_flags = progress_of(&call).flags;
    }
    fake_call_fini(&call);
    return status;
}

/* Follows the protocol of struct vine_expand_result. */
static inline int expand_in_chunks(const struct codec *codec, const uint8_t *input, size_t size,
                                   size_t chunk_max, size_t room_max, int64_t charge_max,
                                   uint64_t *seed, struct bytes *output)
{
    struct fake_session session;
    size_t at = 0, chunk = 0;
    uint64_t flags = 0;
    bool is_last = false;
    int status = fake_session_begin(&session, shipped(codec->expander), charge_max);

    while (status == 0 && !is_last) {
        const size_t most = size - at < chunk_max ? size - at : chunk_max;
        struct vine_call call;

        if (chunk == 0 && !(flags & VINE_EXPAND_MORE)) {
            is_last = at == size;
            chunk = sample_below(seed, most + 1);
        }
        fake_call_init(&call, shipped(codec->expander), input + at, chunk,
                       is_last ? 0 : 1 + sample_below(seed, room_max));
        status = fake_call_run_in(&call, &session, is_last);
        if (status == 0) {
            const struct vine_expand_result progress = progress_of(&call);

            bytes_append(output, call.output, call.output_size);
            flags = progress.flags;
            VINE_ASSERT(progress.consumed_bytes <= chunk);
            at += progress.consumed_bytes;
            chunk -= progress.consumed_bytes;
            VINE_ASSERT(progress.consumed_bytes > 0 || call.output_size > 0 || chunk == 0);
        }
        fake_call_fini(&call);
    }
    fake_session_end(&session);
    VINE_ASSERT(session.charged <= charge_max);
    return status;
}

#endif
