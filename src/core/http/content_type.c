/* SPDX-License-Identifier: Apache-2.0 */
/* What files are, by the ends of their names. */
#include <vine/http_resource.h>

#include "http_internal.h"

#define EXTENSION_MAX 11u

struct content_type {
    const char *extension; /* in lower case */
    uint8_t size;
    const char *type;
};

static const struct content_type types[] = {
#define TYPE(extension, type) {extension, sizeof(extension) - 1, type},
    VINE_HTTP_CONTENT_TYPES(TYPE)
#undef TYPE
};

VINE__INSIDE const char *vine_http_content_type(struct vine_http_slice path)
{
    size_t start = path.size;

    while (start > 0 && path.size - start <= EXTENSION_MAX && path.text[start - 1] != '.' &&
           path.text[start - 1] != '/')
        start--;
    if (start > 0 && path.text[start - 1] == '.')
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
            if (types[i].size == path.size - start &&
                vine__http_same(path.text + start, types[i].extension, types[i].size))
                return types[i].type;
    return "application/octet-stream";
}
