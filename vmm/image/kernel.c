/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/kernel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <lz4.h>

#include "vmm/image/elf.h"

/* The setup header of a bzImage: the kernel's Documentation/x86/boot.rst. */
#define SETUP_SECTORS_OFFSET  0x1f1
#define MAGIC_OFFSET          0x202
#define VERSION_OFFSET        0x206
#define PAYLOAD_OFFSET_OFFSET 0x248
#define PAYLOAD_LENGTH_OFFSET 0x24c
#define HEADER_BYTES          0x250
#define VERSION_WITH_PAYLOAD  0x0208
#define SECTOR_BYTES          512

/* LZ4's legacy frame: this magic, and blocks that each begin with their packed size. The kernel's
 * build puts the size of the whole, unpacked, behind the last one. */
#define LZ4_MAGIC          0x184c2102
#define LZ4_BLOCK_BYTES    (8U << 20)
#define UNPACKED_BYTES_MAX (1U << 30)

static uint32_t read_32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static int find_payload(const unsigned char *image, size_t size, const unsigned char **ret_payload,
                        size_t *ret_size)
{
    if (size < HEADER_BYTES || memcmp(image + MAGIC_OFFSET, "HdrS", 4) != 0 ||
        (image[VERSION_OFFSET] | image[VERSION_OFFSET + 1] << 8) < VERSION_WITH_PAYLOAD)
        return -EBADMSG;
    const unsigned sectors = image[SETUP_SECTORS_OFFSET] > 0 ? image[SETUP_SECTORS_OFFSET] : 4;
    const uint64_t offset =
        (uint64_t)(sectors + 1) * SECTOR_BYTES + read_32(image + PAYLOAD_OFFSET_OFFSET);
    const uint64_t length = read_32(image + PAYLOAD_LENGTH_OFFSET);
    if (offset > size || length > size - offset || length < 8)
        return -EBADMSG;
    *ret_payload = image + offset;
    *ret_size = length;
    return 0;
}

/* Unpack blocks until `unpacked` is full. Returns whether it is, and exactly so. */
static bool unpack_blocks(const unsigned char *packed, size_t size, char *unpacked, size_t wanted)
{
    size_t done = 0;

    while (size >= 4 && done < wanted) {
        const uint32_t block = read_32(packed);
        const size_t room = wanted - done < LZ4_BLOCK_BYTES ? wanted - done : LZ4_BLOCK_BYTES;

        packed += 4;
        size -= 4;
        if (block > size || block > INT32_MAX)
            return false;
        const int got =
            LZ4_decompress_safe((const char *)packed, unpacked + done, (int)block, (int)room);
        if (got <= 0)
            return false;
        packed += block;
        size -= block;
        done += (size_t)got;
    }
    return done == wanted && size == 0;
}

int kernel_unpack(const void *image, size_t size, void **ret_bytes, size_t *ret_size)
{
    const unsigned char *payload;
    size_t payload_size;
    const int error = find_payload(image, size, &payload, &payload_size);

    if (error < 0)
        return error;
    if (read_32(payload) != LZ4_MAGIC)
        return -ENOTSUP;
    const uint32_t wanted = read_32(payload + payload_size - 4);
    if (wanted == 0 || wanted > UNPACKED_BYTES_MAX)
        return -EBADMSG;
    char *const unpacked = malloc(wanted);
    if (unpacked == NULL)
        return -ENOMEM;
    if (!unpack_blocks(payload + 4, payload_size - 8, unpacked, wanted) ||
        !elf_is(unpacked, wanted)) {
        free(unpacked);
        return -EBADMSG;
    }
    *ret_bytes = unpacked;
    *ret_size = wanted;
    return 0;
}
