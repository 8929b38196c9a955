/* SPDX-License-Identifier: Apache-2.0 */
#include "human.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <vine/talk.h>

#include "utils/tables.h"

static const char *scaled(double value, double step, const char *const *units, char *ret_text)
{
    while (value >= step && units[1] != NULL) {
        value /= step;
        units++;
    }
    /* Three digits that say something, whatever the size. */
    const int decimals = value >= 99.95 || value == (double)(uint64_t)value ? 0
                         : value >= 9.995                                   ? 1
                                                                            : 2;
    snprintf(ret_text, HUMAN_MAX, "%.*f%s", decimals, value, units[0]);
    return ret_text;
}

const char *human_bytes(uint64_t bytes, char ret_text[HUMAN_MAX])
{
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB", " PB", NULL};
    return scaled((double)bytes, 1000, units, ret_text);
}

const char *human_binary(uint64_t bytes, char ret_text[HUMAN_MAX])
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", NULL};
    return scaled((double)bytes, 1024, units, ret_text);
}

const char *human_ns(uint64_t ns, char ret_text[HUMAN_MAX])
{
    static const char *const units[] = {" ns", " us", " ms", " s", NULL};
    return scaled((double)ns, 1000, units, ret_text);
}

static const char *brief(double value, const char *const *units, char *ret_text)
{
    while (value >= 999.5 && units[1] != NULL) {
        value /= 1000;
        units++;
    }
    const bool is_whole = value >= 9.95 || value == (double)(uint64_t)value;
    snprintf(ret_text, HUMAN_MAX, "%.*f%s", is_whole ? 0 : 1, value, units[0]);
    return ret_text;
}

const char *human_ns_brief(uint64_t ns, char ret_text[HUMAN_MAX])
{
    static const char *const units[] = {"ns", "us", "ms", "s", NULL};
    return brief((double)ns, units, ret_text);
}

const char *human_age_brief(uint64_t ns, char ret_text[HUMAN_MAX])
{
    static const struct {
        uint64_t seconds;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    const uint64_t seconds = ns / 1000000000;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        /* Two of a unit at least, so that what is cut off is less than half. */
        if (seconds < 2 * units[i].seconds)
            continue;
        snprintf(ret_text, HUMAN_MAX, "%llu%s", (unsigned long long)(seconds / units[i].seconds),
                 units[i].unit);
        return ret_text;
    }
    return human_ns_brief(ns, ret_text);
}

const char *human_megabytes_brief(uint64_t bytes, char ret_text[HUMAN_MAX])
{
    static const char *const units[] = {"", NULL};
    return brief((double)bytes / 1e6, units, ret_text);
}

const char *human_count_brief(uint64_t count, char ret_text[HUMAN_MAX])
{
    static const char *const units[] = {"", "k", "M", "G", NULL};

    if (count > 9999)
        return brief((double)count, units, ret_text);
    snprintf(ret_text, HUMAN_MAX, "%llu", (unsigned long long)count);
    return ret_text;
}

const char *human_rate(double rate, char ret_text[HUMAN_MAX])
{
    static const char *const units[] = {"", " k", " M", " G", NULL};
    return scaled(rate, 1000, units, ret_text);
}

const char *human_count(uint64_t count, char ret_text[HUMAN_MAX])
{
    char digits[HUMAN_MAX];
    const size_t length =
        (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
    size_t at = 0;

    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            ret_text[at++] = ',';
        ret_text[at++] = digits[i];
    }
    ret_text[at] = '\0';
    return ret_text;
}

const char *human_data_type(uint32_t data_type)
{
    static const char *const names[] = {
        [VINE_TYPE_BYTES] = "bytes", [VINE_TYPE_U32] = "u32", [VINE_TYPE_U64] = "u64",
        [VINE_TYPE_F32] = "f32",     [VINE_TYPE_F64] = "f64",
    };
    if (data_type >= VINE_TYPE_USER)
        return "own";
    return data_type < VINE_ARRAY_COUNT(names) && names[data_type] != NULL ? names[data_type] : "?";
}

uint64_t human_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}
