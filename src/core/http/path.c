/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and queries of targets (RFC 3986 2.1, 3.3, 3.4, 5.2.4). */
#include <vine/http_resource.h>

#include <errno.h>

#include "http_internal.h"

/* The byte that "%41" stands for, or -1. `text` has so many bytes from there on. */
VINE__INSIDE static int unescape(const char *text, size_t size_bytes)
{
    unsigned high, low;

    if (size_bytes < 3)
        return -1;
    high = vine__http_hex(text[1]);
    low = vine__http_hex(text[2]);
    return high > 15 || low > 15 ? -1 : (int)(high << 4 | low);
}

VINE__INSIDE int vine_http_unescape(struct vine_http_slice text, bool plus_is_space, char *out,
                                    size_t size_max)
{
    size_t size = 0;

    for (size_t at = 0; at < text.size; at++, size++) {
        int byte = (unsigned char)text.text[at];

        if (byte == '%') {
            byte = unescape(text.text + at, text.size - at);
            if (byte < 0)
                return -EINVAL;
            at += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        if (size == size_max)
            return -ENOSPC;
        out[size] = (char)byte;
    }
    return (int)size;
}

VINE__INSIDE bool vine_http_query_next(struct vine_http_slice *rest,
                                       struct vine_http_slice *ret_name,
                                       struct vine_http_slice *ret_value)
{
    while (rest->size > 0) {
        const char *const start = rest->text;
        const char *const ampersand = memchr(start, '&', rest->size);
        const size_t size = ampersand == NULL ? rest->size : (size_t)(ampersand - start);
        const size_t used = ampersand == NULL ? size : size + 1;
        const char *equal;

        rest->text += used;
        rest->size -= used;
        if (size == 0)
            continue;
        equal = memchr(start, '=', size);
        ret_name->text = start;
        ret_name->size = equal == NULL ? size : (size_t)(equal - start);
        ret_value->text = equal == NULL ? start + size : equal + 1;
        ret_value->size = (size_t)(start + size - ret_value->text);
        return true;
    }
    return false;
}

/* ---- paths of files -------------------------------------------------------------------------- */

/* Escapes are undone, once. Returns the size or an error. */
VINE__INSIDE static int decode(struct vine_http_slice path, unsigned flags, char *out,
                               size_t size_max)
{
    size_t size = 0;

    for (size_t at = 0; at < path.size; at++) {
        int byte = (unsigned char)path.text[at];

        if (byte == '%') {
            byte = unescape(path.text + at, path.size - at);
            at += 2;
            if (byte < 0 || (byte == '/' && (flags & VINE_HTTP_PATH_SLASHES) == 0))
                return -EINVAL;
        }
        if (byte < 0x20 || byte == 0x7f)
            return -EINVAL;
        /* A byte for the zero, too. */
        if (size + 1 >= size_max)
            return -ENAMETOOLONG;
        out[size++] = (char)byte;
    }
    return (int)size;
}

/* A path as it is put together, in the place where its parts come from: it never overtakes them. */
struct built {
    char *out;
    size_t size;
    bool is_folder;
};

/* Returns 0 or an error. */
VINE__INSIDE static int add_part(struct built *built, const char *part, size_t size_bytes,
                                 unsigned flags)
{
    built->is_folder = true;
    if (size_bytes == 0 || (size_bytes == 1 && part[0] == '.'))
        return 0;
    if (size_bytes == 2 && part[0] == '.' && part[1] == '.') {
        if (built->size == 0)
            return -EINVAL;
        while (built->size > 0 && built->out[built->size - 1] != '/')
            built->size--;
        built->size -= built->size > 0;
        return 0;
    }
    if (part[0] == '.' && (flags & VINE_HTTP_PATH_HIDDEN) == 0)
        return -EACCES;
    built->is_folder = false;
    if (built->size > 0)
        built->out[built->size++] = '/';
    memmove(built->out + built->size, part, size_bytes);
    built->size += size_bytes;
    return 0;
}

VINE__INSIDE int vine_http_path(struct vine_http_slice path, unsigned flags, char *out,
                                size_t size_max)
{
    struct built built = {.out = out, .is_folder = true};
    int size;

    if (size_max < sizeof("."))
        return -ENAMETOOLONG;
    /* RFC 9110 4.2.3: an empty path is that of the root. */
    if (path.size > 0) {
        if (path.text[0] != '/')
            return -EINVAL;
        path.text++;
        path.size--;
    }
    size = decode(path, flags, out, size_max);
    if (size < 0)
        return size;
    for (size_t start = 0; start <= (size_t)size;) {
        const char *const slash = memchr(out + start, '/', (size_t)size - start);
        const size_t end = slash == NULL ? (size_t)size : (size_t)(slash - out);
        const int error = add_part(&built, out + start, end - start, flags);

        if (error != 0)
            return error;
        start = end + 1;
    }
    if (built.size == 0)
        out[built.size++] = '.';
    else if (built.is_folder)
        out[built.size++] = '/';
    out[built.size] = '\0';
    return (int)built.size;
}
