/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_BYTES 512

/* Where a header has what. */
#define NAME_OFFSET   0
#define NAME_BYTES    100
#define SIZE_OFFSET   124
#define SIZE_BYTES    12
#define SUM_OFFSET    148
#define SUM_BYTES     8
#define TYPE_OFFSET   156
#define MAGIC_OFFSET  257
#define PREFIX_OFFSET 345
#define PREFIX_BYTES  155

#define TYPE_LONG_NAME 'L'

/* Octal digits, with blanks before and blanks or zeros behind them. */
static bool read_octal(const unsigned char *field, size_t size, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t i = 0;

    while (i < size && field[i] == ' ')
        i++;
    const size_t first = i;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        number = number * 8 + (uint64_t)(field[i] - '0');
    *ret_number = number;
    return i > first && (i == size || field[i] == ' ' || field[i] == '\0');
}

/* The sum of all bytes of a header, its own field taken as blanks. */
static bool sum_is_right(const unsigned char *header)
{
    uint64_t wanted, sum = 0;

    for (size_t i = 0; i < BLOCK_BYTES; i++)
        sum += i >= SUM_OFFSET && i < SUM_OFFSET + SUM_BYTES ? ' ' : header[i];
    return read_octal(header + SUM_OFFSET, SUM_BYTES, &wanted) && wanted == sum;
}

static void take_path(const char *text, size_t length, char ret_path[TAR_PATH_MAX])
{
    while (length >= 2 && text[0] == '.' && text[1] == '/') {
        text += 2;
        length -= 2;
    }
    snprintf(ret_path, TAR_PATH_MAX, "%.*s", (int)length, text);
}

static void read_path(const unsigned char *header, char ret_path[TAR_PATH_MAX])
{
    char text[PREFIX_BYTES + 1 + NAME_BYTES + 1];
    const char *const name = (const char *)header + NAME_OFFSET;
    const char *const prefix = (const char *)header + PREFIX_OFFSET;
    /* GNU's own headers have other things there, and another magic. */
    const bool has_prefix = memcmp(header + MAGIC_OFFSET, "ustar\0", 6) == 0 && prefix[0] != '\0';

    const int length = snprintf(text, sizeof(text), "%.*s%s%.*s", has_prefix ? PREFIX_BYTES : 0,
                                prefix, has_prefix ? "/" : "", NAME_BYTES, name);
    take_path(text, (size_t)length, ret_path);
}

int tar_next(struct tar *tar, struct tar_file *ret_file)
{
    static const unsigned char end[BLOCK_BYTES];
    bool has_long_name = false;

    for (;;) {
        const unsigned char *const header = tar->bytes + tar->offset;
        uint64_t size;

        if (tar->size - tar->offset < BLOCK_BYTES)
            return tar->size == tar->offset && !has_long_name ? 0 : -EBADMSG;
        if (memcmp(header, end, BLOCK_BYTES) == 0)
            return has_long_name ? -EBADMSG : 0;
        const size_t left = tar->size - tar->offset - BLOCK_BYTES;
        if (!sum_is_right(header) || !read_octal(header + SIZE_OFFSET, SIZE_BYTES, &size) ||
            size > left)
            return -EBADMSG;
        const uint64_t blocks = (size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
        tar->offset += BLOCK_BYTES + (blocks < left ? blocks : left);

        const char type = (char)header[TYPE_OFFSET];
        if (type == TYPE_LONG_NAME) {
            const char *const text = (const char *)header + BLOCK_BYTES;
            take_path(text, strnlen(text, size), ret_file->path);
            has_long_name = true;
            continue;
        }
        if (!has_long_name)
            read_path(header, ret_file->path);
        has_long_name = false;
        if (type != '0' && type != '\0')
            continue;
        ret_file->bytes = header + BLOCK_BYTES;
        ret_file->size = size;
        return 1;
    }
}
