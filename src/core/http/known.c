/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known fields by name. One place of a table for each, by the size and the two ends of its name:
 * the factors were searched for so that no two share one. Who adds a field searches again; a test
 * finds each.
 */
#include "http_internal.h"

const struct vine__http_name vine__http_names[VINE_HTTP_FIELD_COUNT] = {
#define NAME(symbol, name) [VINE_HTTP_FIELD_##symbol] = {name, sizeof(name) - 1},
    VINE_HTTP_FIELDS(NAME)
#undef NAME
};

VINE_STATIC_ASSERT(VINE_HTTP_FIELD_COUNT <= 64, "a bit for each in head->present");

#define PLACES 128

static const uint8_t places[PLACES] = {
    [0] = VINE_HTTP_FIELD_TE,
    [3] = VINE_HTTP_FIELD_SET_COOKIE,
    [5] = VINE_HTTP_FIELD_REFERER,
    [9] = VINE_HTTP_FIELD_SERVER,
    [10] = VINE_HTTP_FIELD_UPGRADE,
    [15] = VINE_HTTP_FIELD_TRAILER,
    [18] = VINE_HTTP_FIELD_ACCEPT_ENCODING,
    [19] = VINE_HTTP_FIELD_ACCEPT,
    [20] = VINE_HTTP_FIELD_CACHE_CONTROL,
    [27] = VINE_HTTP_FIELD_ETAG,
    [29] = VINE_HTTP_FIELD_CONTENT_ENCODING,
    [32] = VINE_HTTP_FIELD_LOCATION,
    [35] = VINE_HTTP_FIELD_MAX_FORWARDS,
    [39] = VINE_HTTP_FIELD_EXPECT,
    [43] = VINE_HTTP_FIELD_X_FORWARDED_FOR,
    [45] = VINE_HTTP_FIELD_ORIGIN,
    [46] = VINE_HTTP_FIELD_ACCEPT_LANGUAGE,
    [47] = VINE_HTTP_FIELD_COOKIE,
    [49] = VINE_HTTP_FIELD_LAST_MODIFIED,
    [50] = VINE_HTTP_FIELD_DATE,
    [52] = VINE_HTTP_FIELD_HOST,
    [53] = VINE_HTTP_FIELD_CONTENT_TYPE,
    [54] = VINE_HTTP_FIELD_CONTENT_RANGE,
    [60] = VINE_HTTP_FIELD_PROXY_CONNECTION,
    [63] = VINE_HTTP_FIELD_PROXY_AUTHORIZATION,
    [67] = VINE_HTTP_FIELD_VIA,
    [77] = VINE_HTTP_FIELD_CONTENT_LENGTH,
    [79] = VINE_HTTP_FIELD_IF_RANGE,
    [88] = VINE_HTTP_FIELD_IF_MODIFIED_SINCE,
    [90] = VINE_HTTP_FIELD_IF_UNMODIFIED_SINCE,
    [91] = VINE_HTTP_FIELD_KEEP_ALIVE,
    [101] = VINE_HTTP_FIELD_IF_MATCH,
    [104] = VINE_HTTP_FIELD_ACCEPT_RANGES,
    [106] = VINE_HTTP_FIELD_IF_NONE_MATCH,
    [110] = VINE_HTTP_FIELD_AUTHORIZATION,
    [115] = VINE_HTTP_FIELD_TRANSFER_ENCODING,
    [116] = VINE_HTTP_FIELD_VARY,
    [117] = VINE_HTTP_FIELD_CONNECTION,
    [121] = VINE_HTTP_FIELD_RANGE,
    [123] = VINE_HTTP_FIELD_USER_AGENT,
    [124] = VINE_HTTP_FIELD_PROXY_AUTHENTICATE,
};

VINE__INSIDE static inline unsigned place_of(const char *name, size_t size_bytes)
{
    const unsigned first = (unsigned char)name[0] | 0x20;
    const unsigned last = (unsigned char)name[size_bytes - 1] | 0x20;

    return ((unsigned)size_bytes + first * 5 + last * 50) % PLACES;
}

/* Case is the bit 0x20 of letters, which are told from '-' by their bit 0x40. */
VINE__INSIDE static inline bool same_4(const char *text, const char *lower)
{
    uint32_t a, b;

    memcpy(&a, text, sizeof(a));
    memcpy(&b, lower, sizeof(b));
    return (a | (b >> 1 & UINT32_C(0x20202020))) == b;
}

VINE__INSIDE static inline bool same_8(const char *text, const char *lower)
{
    const uint64_t a = vine__http_load(text), b = vine__http_load(lower);

    return (a | (b >> 1 & UINT64_C(0x2020202020202020))) == b;
}

/* By parts that overlap, so that nothing behind the name is read. */
VINE__INSIDE static inline bool is_same(const char *name, const char *lower, size_t size_bytes)
{
    if (size_bytes < 4)
        return vine__http_same(name, lower, size_bytes);
    if (size_bytes < 8)
        return same_4(name, lower) && same_4(name + size_bytes - 4, lower + size_bytes - 4);
    for (size_t at = 0; at + 8 < size_bytes; at += 8)
        if (!same_8(name + at, lower + at))
            return false;
    return same_8(name + size_bytes - 8, lower + size_bytes - 8);
}

VINE__INSIDE uint8_t vine__http_known(const char *name, size_t size_bytes)
{
    const uint8_t id = places[place_of(name, size_bytes)];
    const struct vine__http_name *const known = &vine__http_names[id];

    if (known->size != size_bytes || !is_same(name, known->text, size_bytes))
        return VINE_HTTP_FIELD_OTHER;
    return id;
}
