/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/resp_server/resp_server_internal.h"
#include "utils/assert.h"

const struct vine__resp_row vine__resp_rows[] = {
#define VINE__RESP_ROW(text, count, first, last, step, what, whose, when, function, takes, does)   \
    {                                                                                              \
        .name = text,                                                                              \
        .arguments = takes,                                                                        \
        .summary = does,                                                                           \
        .group = whose,                                                                            \
        .since = when,                                                                             \
        .run = vine__resp_##function,                                                              \
        .arity = count,                                                                            \
        .flags = what,                                                                             \
        .first_key = first,                                                                        \
        .last_key = last,                                                                          \
        .key_step = step,                                                                          \
    },
    VINE__RESP_COMMANDS(VINE__RESP_ROW)
#undef VINE__RESP_ROW
};

const size_t vine__resp_row_count = sizeof(vine__resp_rows) / sizeof(vine__resp_rows[0]);

VINE_STATIC_ASSERT(sizeof(vine__resp_rows) / sizeof(vine__resp_rows[0]) <= UINT8_MAX,
                   "a session keeps a row in a byte");

/* The names alone, close together: a row is found by comparing two words with those before it. */
static const char names[][VINE__RESP_NAME_BYTES] = {
#define VINE__RESP_NAME(name, ...) name,
    VINE__RESP_COMMANDS(VINE__RESP_NAME)
#undef VINE__RESP_NAME
};

/* Put a word behind what a name has, in lower case. Returns whether there is room for it. */
static bool append(char name[VINE__RESP_NAME_BYTES], size_t *size,
                   const struct vine_resp_argument *word)
{
    if (word->size_bytes > VINE__RESP_NAME_BYTES - *size)
        return false;
    for (uint32_t n = 0; n < word->size_bytes; n++) {
        const char byte = word->bytes[n];

        name[(*size)++] = byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
    }
    return true;
}

const struct vine__resp_row *vine__resp_find_row(const struct vine_resp_argument *name,
                                                 const struct vine_resp_argument *part)
{
    char wanted[VINE__RESP_NAME_BYTES] = {0};
    uint64_t words[2], candidate[2];
    size_t size = 0;

    if (!append(wanted, &size, name))
        return NULL;
    if (part != NULL) {
        if (size == VINE__RESP_NAME_BYTES)
            return NULL;
        wanted[size++] = '|';
        if (!append(wanted, &size, part))
            return NULL;
    }
    memcpy(words, wanted, sizeof(words));
    for (size_t n = 0; n < vine__resp_row_count; n++) {
        memcpy(candidate, names[n], sizeof(candidate));
        if (candidate[0] == words[0] && candidate[1] == words[1])
            return &vine__resp_rows[n];
    }
    return NULL;
}

size_t vine__resp_part_count(const struct vine__resp_row *row)
{
    const size_t size = strlen(row->name);
    const struct vine__resp_row *const end = vine__resp_rows + vine__resp_row_count;
    const struct vine__resp_row *part = row + 1;

    while (part < end && strncmp(part->name, row->name, size) == 0 && part->name[size] == '|')
        part++;
    return (size_t)(part - row - 1);
}
