/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every slice is compressed by itself, with nothing of the one before it in the window: on 4 MiB
 * that costs less than a thousandth. isa-l 2.30 cannot be trusted with a stream that is flushed:
 * after a first piece of a few bytes it reads up to 32 KiB in front of its buffer.
 */
#include "gzip_member.h"

#include <isa-l/crc.h>

#include <string.h>

#include <vine/error.h>

VINE_STATIC_ASSERT(ISAL_DEF_LVL3_DEFAULT >= ISAL_DEF_LVL2_DEFAULT &&
                       ISAL_DEF_LVL3_DEFAULT >= ISAL_DEF_LVL1_DEFAULT,
                   "one buffer does for every level");

static int gzip_put(struct vine__gzip_output *output, const void *bytes, size_t size)
{
    if (output->room - output->size < size)
        return -VINE_EOVERFLOW;
    memcpy(output->bytes + output->size, bytes, size);
    output->size += size;
    return 0;
}

int vine__gzip_begin(struct vine__gzip_member *member, struct vine__gzip_output *output)
{
    /* Magic, deflate, no flags, no time, no word on effort, unknown system. */
    static const uint8_t header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};

    if (member->is_begun)
        return 0;
    member->is_begun = true;
    return gzip_put(output, header, sizeof(header));
}

void vine__gzip_count(struct vine__gzip_member *member, const uint8_t *input, size_t size)
{
    if (size > 0)
        member->sum = crc32_gzip_refl(member->sum, input, size);
    member->bytes += size;
}

int vine__gzip_slice(struct vine__gzip_scratch *scratch, uint32_t level, const uint8_t *input,
                     size_t size, struct vine__gzip_output *output)
{
    struct isal_zstream *stream = &scratch->stream;
    const size_t room = output->room - output->size;

    isal_deflate_init(stream);
    stream->level = level;
    stream->level_buf = scratch->level_buffer;
    stream->level_buf_size = sizeof(scratch->level_buffer);
    stream->gzip_flag = IGZIP_DEFLATE;
    stream->flush = FULL_FLUSH;
    stream->next_in = (uint8_t *)(uintptr_t)input; /* only read */
    stream->avail_in = (uint32_t)size;
    stream->next_out = output->bytes + output->size;
    stream->avail_out = (uint32_t)room;
    if (isal_deflate(stream) != COMP_OK)
        return -VINE_EFAILED;
    if (stream->avail_in > 0 || stream->avail_out == 0) /* full: not all may have come out */
        return -VINE_EOVERFLOW;
    output->size += room - stream->avail_out;
    return 0;
}

int vine__gzip_finish(const struct vine__gzip_member *member, struct vine__gzip_output *output)
{
    uint8_t end[10] = {0x03, 0x00};

    for (unsigned index = 0; index < 4; index++) {
        end[2 + index] = (uint8_t)(member->sum >> (8 * index));
        end[6 + index] = (uint8_t)(member->bytes >> (8 * index));
    }
    return gzip_put(output, end, sizeof(end));
}
