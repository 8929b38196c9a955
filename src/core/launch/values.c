/* SPDX-License-Identifier: Apache-2.0 */
/* Values of options, by their kinds. See options_internal.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <vine/network.h>

#include "arch/topology/cpus.h"
#include "core/launch/options_internal.h"
#include "utils/bits.h"
#include "utils/config.h"

#define NS_PER_MS 1000000U
#define NS_PER_US 1000U

#define UNIX_BYTES_MAX ((int)sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* "12" or "0.5", in units of which `scale` make one; what is less than a unit is cut off. */
static int parse_decimal(const char *text, uint64_t scale, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *at = text;

    if (*at < '0' || *at > '9')
        return -EINVAL;
    for (; *at >= '0' && *at <= '9'; at++)
        if (vine__multiply_overflows_u64(number, 10, &number) ||
            vine__add_overflows_u64(number, (uint64_t)(*at - '0'), &number))
            return -ERANGE;
    if (vine__multiply_overflows_u64(number, scale, &number))
        return -ERANGE;
    if (*at == '.') {
        at++;
        if (*at < '0' || *at > '9')
            return -EINVAL;
        for (uint64_t place = scale / 10; *at >= '0' && *at <= '9'; at++, place /= 10)
            if (vine__add_overflows_u64(number, place * (uint64_t)(*at - '0'), &number))
                return -ERANGE;
    }
    if (*at != '\0')
        return -EINVAL;
    *ret_number = number;
    return 0;
}

/* "25%", or a size. */
static int parse_portion(const char *text, struct vine__launch_value *ret_value)
{
    const size_t length = strlen(text);
    char digits[32];

    ret_value->is_percent = length > 0 && text[length - 1] == '%';
    if (!ret_value->is_percent)
        return vine__parse_size(text, &ret_value->number);
    if (length > sizeof(digits))
        return -EINVAL;
    memcpy(digits, text, length - 1);
    digits[length - 1] = '\0';
    if (parse_decimal(digits, 1000, &ret_value->number) != 0 ||
        ret_value->number > UINT64_C(100) * 1000)
        return -EINVAL;
    return 0;
}

/* Which of the words "a|b|c" a text is, or UINT32_MAX. */
static uint32_t find_word(const char *words, const char *text, size_t length)
{
    for (uint32_t index = 0;; index++) {
        const size_t word_length = strcspn(words, "|");

        if (word_length == length && memcmp(words, text, length) == 0)
            return index;
        if (words[word_length] == '\0')
            return UINT32_MAX;
        words += word_length + 1;
    }
}

int vine__option_add_levels(struct vine__launch_options *options, const char *text)
{
    static const char levels[] = "error|warning|info|debug";

    for (;;) {
        const size_t length = strcspn(text, ":");
        const char *const equals = memchr(text, '=', length);

        if (equals == NULL || equals == text)
            return -EINVAL;
        if (equals - text >= VINE_LOG_MODULE_BYTES)
            return -ENAMETOOLONG;

        const uint32_t level = find_word(levels, equals + 1, length - (size_t)(equals + 1 - text));

        if (level == UINT32_MAX)
            return -EINVAL;
        if (options->level_count == VINE__LEVELS_MAX)
            return -ENOSPC;
        options->levels[options->level_count++] =
            (struct vine__level){text, (uint32_t)(equals - text), (enum vine_log_level)level};
        if (text[length] == '\0')
            return 0;
        text += length + 1;
    }
}

static int parse(const struct vine__option_row *row, const char *text,
                 struct vine__launch_value *ret_value)
{
    struct vine_address address;
    struct vine__cpus cpus;
    bool is_on;
    int error = 0;

    switch (row->kind) {
    case VINE_OPTION_FLAG:
    case VINE_OPTION_SWITCH:
        error = vine__parse_bool(text, &is_on);
        if (error == 0)
            ret_value->number = is_on;
        return error;
    case VINE_OPTION_COUNT:
        return vine__parse_unsigned(text, &ret_value->number);
    case VINE_OPTION_SIZE:
        return vine__parse_size(text, &ret_value->number);
    case VINE_OPTION_MILLISECONDS:
        return parse_decimal(text, NS_PER_MS, &ret_value->number);
    case VINE_OPTION_MICROSECONDS:
        return parse_decimal(text, NS_PER_US, &ret_value->number);
    case VINE_OPTION_PORTION:
        return parse_portion(text, ret_value);
    case VINE_OPTION_CPUS:
        error = vine__cpus_parse(text, &cpus);
        return error == 0 && text[0] == '\0' ? -EINVAL : error;
    case VINE_OPTION_CHOICE:
        ret_value->number = find_word(row->shown, text, strlen(text));
        return ret_value->number == UINT32_MAX ? -EINVAL : 0;
    case VINE_OPTION_ADDRESS:
    case VINE_OPTION_ADDRESSES:
        return vine_address_parse(text, &address);
    case VINE_OPTION_PATH:
    case VINE_OPTION_MACHINE:
    case VINE_OPTION_LEVELS:
        return text[0] == '\0' ? -EINVAL : 0;
    default:
        return 0;
    }
}

static bool has_limits(const struct vine__option_row *row)
{
    return row->kind == VINE_OPTION_COUNT || row->kind == VINE_OPTION_SIZE ||
           row->kind == VINE_OPTION_MILLISECONDS || row->kind == VINE_OPTION_MICROSECONDS;
}

static bool is_within(const struct vine__option_row *row, const struct vine__launch_value *value)
{
    struct vine__launch_value limit = {0};

    if (!has_limits(row))
        return true;
    if (row->least != NULL && parse(row, row->least, &limit) == 0 && value->number < limit.number)
        return false;
    return row->greatest == NULL || parse(row, row->greatest, &limit) != 0 ||
           value->number <= limit.number;
}

static void describe_words(const char *words, char ret_right[VINE__RIGHT_BYTES])
{
    size_t length = 0;

    for (;;) {
        const size_t word_length = strcspn(words, "|");
        const bool is_last = words[word_length] == '\0';
        const int added =
            snprintf(ret_right + length, VINE__RIGHT_BYTES - length, "%s%.*s",
                     length == 0 ? "" : (is_last ? " or " : ", "), (int)word_length, words);

        if (added < 0 || (size_t)added >= VINE__RIGHT_BYTES - length || is_last)
            return;
        length += (size_t)added;
        words += word_length + 1;
    }
}

void vine__option_describe(const struct vine__option_row *row, char ret_right[VINE__RIGHT_BYTES])
{
    static const char *const texts[] = {
        [VINE_OPTION_FLAG] = "0 or 1, or no value",
        [VINE_OPTION_COUNT] = "a whole number",
        [VINE_OPTION_SIZE] = "a size, as 512M",
        [VINE_OPTION_MILLISECONDS] = "milliseconds, as 0.5",
        [VINE_OPTION_TEXT] = "any text",
        [VINE_OPTION_TEXTS] = "any text",
        [VINE_OPTION_ADDRESS] = VINE_ADDRESS_FORMS,
        [VINE_OPTION_ADDRESSES] = VINE_ADDRESS_FORMS,
        [VINE_OPTION_SWITCH] = "0 or 1",
        [VINE_OPTION_MICROSECONDS] = "microseconds, as 200",
        [VINE_OPTION_PORTION] = "a size, as 512M or 4G, or a part, as 25%",
        [VINE_OPTION_PATH] = "a path",
        [VINE_OPTION_MACHINE] = "a file of hwloc's XML, or hwloc's words",
        [VINE_OPTION_CPUS] = "a list of processors, as 0-3,8",
        [VINE_OPTION_CHOICE] = "",
        [VINE_OPTION_LEVELS] = "MODULE=LEVEL, the level one of error, warning, info or debug",
    };
    const char *const text = texts[row->kind];

    if (row->kind == VINE_OPTION_CHOICE)
        describe_words(row->shown, ret_right);
    else if (!has_limits(row) || (row->least == NULL && row->greatest == NULL))
        snprintf(ret_right, VINE__RIGHT_BYTES, "%s", text);
    else if (row->greatest == NULL)
        snprintf(ret_right, VINE__RIGHT_BYTES, "%s, at least %s", text, row->least);
    else if (row->least == NULL)
        snprintf(ret_right, VINE__RIGHT_BYTES, "%s, at most %s", text, row->greatest);
    else
        snprintf(ret_right, VINE__RIGHT_BYTES, "%s, %s to %s", text, row->least, row->greatest);
}

int vine__option_parse(const struct vine__option_row *row, const char *text,
                       struct vine__launch_value *ret_value, char ret_right[VINE__RIGHT_BYTES])
{
    struct vine__launch_value value = {.text = text};
    const int error = parse(row, text, &value);

    if (error == -ENAMETOOLONG) {
        snprintf(ret_right, VINE__RIGHT_BYTES,
                 "a path or name of at most %d bytes behind unix:", UNIX_BYTES_MAX);
        return -EINVAL;
    }
    if (error != 0 || !is_within(row, &value)) {
        vine__option_describe(row, ret_right);
        return -EINVAL;
    }
    *ret_value = value;
    return 0;
}
