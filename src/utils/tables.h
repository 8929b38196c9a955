/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/tables.h - helpers for tables that are written once and used everywhere.
 *
 * A table is a macro that applies its argument to each row:
 *
 *     #define COLOURS(X) X(RED, "red") X(BLUE, "blue")
 *     enum colour { COLOURS(VINE_TABLE_FIRST_COMMA) };
 *     static const char *const names[] = {COLOURS(VINE_TABLE_SECOND_COMMA)};
 *     VINE_STATIC_ASSERT(VINE_ARRAY_COUNT(names) == VINE_TABLE_COUNT(COLOURS), "one name each");
 *
 * so that code, documents and --help cannot drift apart.
 */
#ifndef VINE_UTILS_TABLES_H
#define VINE_UTILS_TABLES_H

#define VINE_TABLE_ONE(...) +1

/* Rows of a table, as a constant expression. */
#define VINE_TABLE_COUNT(TABLE) (0 TABLE(VINE_TABLE_ONE))

/* The first or second column of each row, with a comma after it. */
#define VINE_TABLE_FIRST_COMMA(first, ...)          first,
#define VINE_TABLE_SECOND_COMMA(first, second, ...) second,

/* Elements of an array, never of a pointer: a pointer does not compile. */
#define VINE_ARRAY_COUNT(array)                                                                    \
    (sizeof(array) / sizeof((array)[0]) +                                                          \
     0 * sizeof(char[1 - 2 * !!__builtin_types_compatible_p(__typeof__(array),                     \
                                                            __typeof__(&(array)[0]))]))

#define VINE_STRINGIFY_LATER(x) #x
#define VINE_STRINGIFY(x)       VINE_STRINGIFY_LATER(x)

#endif
