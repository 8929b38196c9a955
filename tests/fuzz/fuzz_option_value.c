/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Values of single options. The first byte says of which, of both tables; the rest is the value. It
 * is refused with what would be right, or taken, twice as the same, and lies within the option's
 * limits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/topology/cpus.h"
#include "core/launch/options_internal.h"
#include "utils/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static const struct vine_option own[] = {
    {.name = "port", .kind = VINE_OPTION_COUNT, .greatest = "65535", .help = "where to listen"},
    {.name = "chunk", .kind = VINE_OPTION_SIZE, .least = "1K", .help = "how much at once"},
    {.name = "wait", .kind = VINE_OPTION_MILLISECONDS, .least = "0.5", .help = "how long"},
};

static const struct vine_options program = {
    .size_bytes = sizeof(program), .name = "fuzzed", .options = own, .option_count = 3};

static void check_limit(const struct vine__option_row *row, const char *limit, uint64_t number,
                        bool is_least)
{
    struct vine__launch_value value = {0};
    char right[VINE__RIGHT_BYTES];

    if (limit == NULL || row->kind == VINE_OPTION_TEXT || row->kind == VINE_OPTION_CPUS)
        return;
    VINE_ASSERT(vine__option_parse(row, limit, &value, right) == 0);
    VINE_ASSERT(is_least ? number >= value.number : number <= value.number);
}

static void check_taken(const struct vine__option_row *row, const char *text,
                        const struct vine__launch_value *value)
{
    struct vine__launch_value again = {.number = 1};
    struct vine__cpus cpus;
    char right[VINE__RIGHT_BYTES];

    VINE_ASSERT(value->text == text);
    VINE_ASSERT(vine__option_parse(row, text, &again, right) == 0);
    VINE_ASSERT(again.number == value->number && again.is_percent == value->is_percent);
    VINE_ASSERT(!value->is_percent || value->number <= 100000);
    check_limit(row, row->least, value->number, true);
    check_limit(row, row->greatest, value->number, false);
    if (row->kind == VINE_OPTION_CPUS)
        VINE_ASSERT(vine__cpus_parse(text, &cpus) == 0);
    if (row->kind == VINE_OPTION_SWITCH || row->kind == VINE_OPTION_FLAG)
        VINE_ASSERT(value->number <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    static struct vine__launch_options options;
    struct vine__launch_value value = {.number = 77};
    char right[VINE__RIGHT_BYTES] = "";
    struct vine__option_row row;
    char *text;

    if (size_bytes == 0)
        return 0;
    row = vine__option_row(&program, bytes[0] % vine__option_rows(&program));
    text = malloc(size_bytes);
    VINE_ASSERT(text != NULL);
    memcpy(text, bytes + 1, size_bytes - 1);
    text[size_bytes - 1] = '\0';
    if (vine__option_parse(&row, text, &value, right) == 0) {
        check_taken(&row, text, &value);
    } else {
        VINE_ASSERT(value.number == 77 && value.text == NULL);
        VINE_ASSERT(right[0] != '\0' && strlen(right) < sizeof(right));
    }
    options.level_count = 0;
    if (row.kind == VINE_OPTION_LEVELS && vine__option_add_levels(&options, text) == 0)
        VINE_ASSERT(options.level_count >= 1 && options.level_count <= VINE__LEVELS_MAX);
    (void)vine__option_nearest(&program, text, strlen(text));
    free(text);
    return 0;
}
