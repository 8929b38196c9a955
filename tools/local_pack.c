/* SPDX-License-Identifier: Apache-2.0 */
#include "local.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>
#include <vine/error.h>
#include <zstd.h>

#include "../procedures/procedures.h"

#include "utils/tables.h"

enum kind {
    KIND_COPY,
    KIND_ZSTD,
    KIND_GZIP,
};

static const char *const kind_names[] = {
    [KIND_COPY] = "copy", [KIND_ZSTD] = "zstd", [KIND_GZIP] = "gzip"};

struct local_packer {
    enum kind kind;
    ZSTD_CCtx *zstd;
    struct isal_zstream gzip;
    uint32_t gzip_level;
    uint8_t gzip_buffer[ISAL_DEF_LVL3_DEFAULT];
};

struct local_opener {
    enum kind kind;
    ZSTD_DCtx *zstd;
    bool is_within; /* a gzip member */
    bool ignores_garbage;
    bool had_member;
    struct inflate_state gzip;
};

static int find_kind(const char *procedure)
{
    for (size_t i = 0; i < VINE_ARRAY_COUNT(kind_names); i++)
        if (strcmp(kind_names[i], procedure) == 0)
            return (int)i;
    return -1;
}

bool local_is_packer(const char *procedure)
{
    return find_kind(procedure) >= 0;
}

struct local_packer *local_packer_create(const char *procedure, bool has_level, uint64_t level)
{
    const int kind = find_kind(procedure);
    struct local_packer *packer = kind >= 0 ? malloc(sizeof(*packer)) : NULL;

    if (packer == NULL)
        return NULL;
    packer->kind = (enum kind)kind;
    packer->zstd = NULL;
    packer->gzip_level = has_level ? (uint32_t)level : VINE_GZIP_LEVEL_DEFAULT;
    if (packer->kind == KIND_ZSTD) {
        packer->zstd = ZSTD_createCCtx();
        if (packer->zstd == NULL) {
            free(packer);
            return NULL;
        }
        ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_compressionLevel,
                               has_level ? (int)level : VINE_ZSTD_LEVEL_DEFAULT);
        ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_checksumFlag, 1);
    }
    return packer;
}

static int pack_gzip(struct local_packer *packer, const void *input, size_t size, void *output,
                     size_t room, size_t *ret_size)
{
    struct isal_zstream *stream = &packer->gzip;

    isal_deflate_init(stream);
    stream->level = packer->gzip_level;
    stream->level_buf = packer->gzip_buffer;
    stream->level_buf_size = sizeof(packer->gzip_buffer);
    stream->gzip_flag = IGZIP_GZIP;
    stream->next_in = (uint8_t *)(uintptr_t)input; /* only read */
    stream->avail_in = (uint32_t)size;
    stream->end_of_stream = 1;
    stream->flush = NO_FLUSH;
    stream->next_out = output;
    stream->avail_out = (uint32_t)room;
    if (isal_deflate(stream) != COMP_OK)
        return -VINE_EFAILED;
    if (stream->internal_state.state != ZSTATE_END)
        return -VINE_EOVERFLOW;
    *ret_size = room - stream->avail_out;
    return 0;
}

int local_pack(struct local_packer *packer, const void *input, size_t size, void *output,
               size_t room, size_t *ret_size)
{
    size_t made;

    switch (packer->kind) {
    case KIND_COPY:
        if (size > room)
            return -VINE_EOVERFLOW;
        if (size > 0) /* an empty file may have no bytes to point at */
            memcpy(output, input, size);
        *ret_size = size;
        return 0;
    case KIND_ZSTD:
        made = ZSTD_compress2(packer->zstd, output, room, input, size);
        if (ZSTD_isError(made))
            return -VINE_EFAILED;
        *ret_size = made;
        return 0;
    default:
        return pack_gzip(packer, input, size, output, room, ret_size);
    }
}

void local_packer_destroy(struct local_packer *packer)
{
    if (packer == NULL)
        return;
    ZSTD_freeCCtx(packer->zstd);
    free(packer);
}

struct local_opener *local_opener_create(const char *procedure, bool ignores_garbage)
{
    const int kind = find_kind(procedure);
    struct local_opener *opener = kind >= 0 ? calloc(1, sizeof(*opener)) : NULL;

    if (opener == NULL)
        return NULL;
    opener->kind = (enum kind)kind;
    opener->ignores_garbage = ignores_garbage;
    if (opener->kind == KIND_ZSTD) {
        opener->zstd = ZSTD_createDCtx();
        if (opener->zstd == NULL) {
            free(opener);
            return NULL;
        }
    }
    return opener;
}

static int open_zstd(struct local_opener *opener, struct local_piece *piece)
{
    ZSTD_inBuffer in = {piece->input, piece->size, 0};
    ZSTD_outBuffer out = {piece->output, piece->room, 0};
    const size_t left = ZSTD_decompressStream(opener->zstd, &out, &in);

    if (ZSTD_isError(left))
        return -VINE_EDATA;
    piece->taken = in.pos;
    piece->made = out.pos;
    return left == 0;
}

static int open_gzip(struct local_opener *opener, struct local_piece *piece)
{
    struct inflate_state *state = &opener->gzip;

    if (opener->ignores_garbage && opener->had_member && !opener->is_within && piece->size > 0 &&
        piece->input[0] != 0x1f) {
        piece->taken = piece->size;
        piece->made = 0;
        return 1;
    }

    if (!opener->is_within) {
        isal_inflate_init(state);
        state->crc_flag = ISAL_GZIP;
        opener->is_within = true;
    }
    state->next_in = (uint8_t *)(uintptr_t)piece->input; /* only read */
    state->avail_in = (uint32_t)piece->size;
    state->next_out = piece->output;
    state->avail_out = (uint32_t)piece->room;
    if (isal_inflate(state) != ISAL_DECOMP_OK)
        return -VINE_EDATA;
    piece->taken = piece->size - state->avail_in;
    piece->made = piece->room - state->avail_out;
    if (state->block_state == ISAL_BLOCK_FINISH)
        opener->is_within = false;
    opener->had_member |= !opener->is_within;
    return !opener->is_within;
}

int local_open(struct local_opener *opener, struct local_piece *piece)
{
    switch (opener->kind) {
    case KIND_ZSTD:
        return open_zstd(opener, piece);
    case KIND_GZIP:
        return open_gzip(opener, piece);
    default:
        piece->taken = piece->made = piece->size < piece->room ? piece->size : piece->room;
        memcpy(piece->output, piece->input, piece->made);
        return 1;
    }
}

void local_opener_destroy(struct local_opener *opener)
{
    if (opener == NULL)
        return;
    ZSTD_freeDCtx(opener->zstd);
    free(opener);
}
