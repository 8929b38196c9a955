/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/launch/options_internal.h - rows of the tables, the runtime's and the program's alike.
 */
#ifndef VINE_CORE_LAUNCH_OPTIONS_INTERNAL_H
#define VINE_CORE_LAUNCH_OPTIONS_INTERNAL_H

#include "core/launch/options.h"

struct vine__option_row {
    const char *name;
    uint32_t kind;
    const char *shown; /* NULL: it takes no value */
    const char *fallback;
    const char *bare;
    const char *least;
    const char *greatest;
    const char *help;
};

/* How many rows there are: the runtime's first, then the program's. */
uint32_t vine__option_rows(const struct vine_options *program);
struct vine__option_row vine__option_row(const struct vine_options *program, uint32_t index);

/* Which row has this name (`length` bytes), or UINT32_MAX. */
uint32_t vine__option_find(const struct vine_options *program, const char *name, size_t length);

/* The row whose name is most like it, if any is. */
uint32_t vine__option_nearest(const struct vine_options *program, const char *name, size_t length);

/* The value that a program wishes for a row, or NULL; and a fallback in parentheses is none. */
const char *vine__option_wish(const struct vine_options *program,
                              const struct vine__option_row *row);
static inline bool vine__option_repeats(uint32_t kind)
{
    return kind == VINE_OPTION_TEXTS || kind == VINE_OPTION_ADDRESSES;
}
static inline bool vine__option_has_fallback(const struct vine__option_row *row)
{
    return row->fallback != NULL && row->fallback[0] != '(';
}

/*
 * Read a value. Returns 0, or -EINVAL with what would be right: "0 or 1", "1 to 256".
 */
#define VINE__RIGHT_BYTES 256
VINE_MUST_CHECK int vine__option_parse(const struct vine__option_row *row, const char *text,
                                       struct vine__launch_value *ret_value,
                                       char ret_right[VINE__RIGHT_BYTES]);

/* What would be right, for help: "1 to 256". */
void vine__option_describe(const struct vine__option_row *row, char ret_right[VINE__RIGHT_BYTES]);

/* Take MODULE=LEVEL:MODULE=LEVEL. Returns 0, -EINVAL, -ENAMETOOLONG, or -ENOSPC: there are too
 * many. */
VINE_MUST_CHECK int vine__option_add_levels(struct vine__launch_options *options, const char *text);

/* Name what is wrong with the operands, argv[1] and those behind it, of a program that takes
 * `words`: "FROM TO", "[FILE...]"; NULL: none. */
void vine__operands_check(const char *words, int argc, char **argv,
                          struct vine__mistakes *mistakes);

#endif
