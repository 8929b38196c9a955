/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of processors. See cpus.h. */
#include "arch/topology/cpus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "utils/assert.h"
#include "utils/tables.h"

#define WORDS VINE_ARRAY_COUNT(((struct vine__cpus *)0)->words)

void vine__cpus_add(struct vine__cpus *cpus, uint32_t cpu)
{
    VINE_ASSERT(cpu < VINE__CPUS_MAX);
    cpus->words[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

bool vine__cpus_has(const struct vine__cpus *cpus, uint32_t cpu)
{
    return cpu < VINE__CPUS_MAX && (cpus->words[cpu / 64] >> cpu % 64 & 1) != 0;
}

uint32_t vine__cpus_count(const struct vine__cpus *cpus)
{
    uint32_t count = 0;

    for (size_t i = 0; i < WORDS; i++)
        count += (uint32_t)__builtin_popcountll(cpus->words[i]);
    return count;
}

uint32_t vine__cpus_next(const struct vine__cpus *cpus, uint32_t from)
{
    while (from < VINE__CPUS_MAX) {
        const uint64_t rest = cpus->words[from / 64] >> from % 64;

        if (rest != 0)
            return from + (uint32_t)__builtin_ctzll(rest);
        from = (from / 64 + 1) * 64;
    }
    return VINE__CPUS_MAX;
}

void vine__cpus_keep(struct vine__cpus *cpus, const struct vine__cpus *others)
{
    for (size_t i = 0; i < WORDS; i++)
        cpus->words[i] &= others->words[i];
}

void vine__cpus_remove(struct vine__cpus *cpus, const struct vine__cpus *others)
{
    for (size_t i = 0; i < WORDS; i++)
        cpus->words[i] &= ~others->words[i];
}

/* A number from `*text` on, which moves behind it. */
static int parse_number(const char **text, uint32_t *ret_number)
{
    const char *at = *text;
    uint32_t number = 0;

    if (*at < '0' || *at > '9')
        return -EINVAL;
    for (; *at >= '0' && *at <= '9'; at++)
        if (number < VINE__CPUS_MAX) /* beyond it, which is all that matters, it stays */
            number = number * 10 + (uint32_t)(*at - '0');
    *text = at;
    *ret_number = number;
    return 0;
}

int vine__cpus_parse(const char *text, struct vine__cpus *ret_cpus)
{
    struct vine__cpus cpus = {0};
    int error = 0;

    while (*text != '\0') {
        uint32_t first, last;

        if (parse_number(&text, &first) != 0)
            return -EINVAL;
        last = first;
        if (*text == '-') {
            text++;
            if (parse_number(&text, &last) != 0)
                return -EINVAL;
        }
        if (first >= VINE__CPUS_MAX || last >= VINE__CPUS_MAX)
            error = -ERANGE; /* unless what follows makes it no list at all */
        else if (first > last)
            return -EINVAL;
        else
            for (uint32_t cpu = first; cpu <= last; cpu++)
                vine__cpus_add(&cpus, cpu);
        if (*text == ',' && text[1] != '\0')
            text++;
        else if (*text != '\0')
            return -EINVAL;
    }
    if (error == 0)
        *ret_cpus = cpus;
    return error;
}

void vine__cpus_format(const struct vine__cpus *cpus, char *ret_text, size_t capacity)
{
    static const char more[] = "...";
    size_t length = 0;
    uint32_t first = vine__cpus_next(cpus, 0);

    VINE_ASSERT(capacity >= 16);
    if (first == VINE__CPUS_MAX) {
        snprintf(ret_text, capacity, "none");
        return;
    }
    ret_text[0] = '\0';
    while (first < VINE__CPUS_MAX) {
        char part[32];
        uint32_t last = first;
        size_t part_length;

        while (vine__cpus_has(cpus, last + 1))
            last++;
        snprintf(part, sizeof(part), first == last ? "%s%u" : "%s%u-%u", length > 0 ? "," : "",
                 first, last);
        part_length = strlen(part);
        if (length + part_length + sizeof(more) > capacity) {
            memcpy(ret_text + length, more, sizeof(more));
            return;
        }
        memcpy(ret_text + length, part, part_length + 1);
        length += part_length;
        first = vine__cpus_next(cpus, last + 1);
    }
}
