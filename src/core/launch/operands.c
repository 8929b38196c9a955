/* SPDX-License-Identifier: Apache-2.0 */
/* Whether operands are those that a program takes. See options_internal.h. */
#include <stdbool.h>
#include <string.h>

#include "core/launch/options_internal.h"

/* How many there have to be, and may be, by a text as "FROM TO" or "[FILE...]". */
struct taken {
    uint32_t least;
    uint32_t most; /* UINT32_MAX: any number */
};

/* A word in brackets need not be there, and of one that ends with dots there may be more. */
static struct taken count_taken(const char *words)
{
    struct taken taken = {0};

    for (const char *at = words + strspn(words, " "); *at != '\0'; at += strspn(at, " ")) {
        const size_t length = strcspn(at, " ");
        const bool is_optional = at[0] == '[';
        const size_t end = length - (is_optional && at[length - 1] == ']');
        const bool repeats = end > 3 && memcmp(at + end - 3, "...", 3) == 0;

        taken.least += !is_optional;
        if (repeats)
            taken.most = UINT32_MAX;
        else if (taken.most < UINT32_MAX)
            taken.most++;
        at += length;
    }
    return taken;
}

/* The word that operand number `index` goes by, `ret_length` bytes. There is one. */
static const char *find_word(const char *words, uint32_t index, size_t *ret_length)
{
    const char *at = words + strspn(words, " ");

    for (; index > 0; index--) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    *ret_length = strcspn(at, " ");
    return at;
}

void vine__operands_check(const char *words, int argc, char **argv, struct vine__mistakes *mistakes)
{
    const struct taken taken = count_taken(words == NULL ? "" : words);
    const uint32_t given = argc > 0 ? (uint32_t)argc - 1 : 0;

    if (given > taken.most && taken.most == 0) {
        vine__mistakes_add(mistakes, "'%s': it takes options alone, and this is none", argv[1]);
    } else if (given > taken.most) {
        vine__mistakes_add(mistakes, "'%s' is one too many: it takes %s", argv[taken.most + 1],
                           words);
    } else if (given < taken.least) {
        size_t length;
        const char *const word = find_word(words, given, &length);

        vine__mistakes_add(mistakes, "%.*s is missing%s%s", (int)length, word,
                           taken.most > 1 ? ": it takes " : "", taken.most > 1 ? words : "");
    }
}
