/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/resp/resp_internal.h - what both parsers share: numbers of a head, and problems.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    bytes may be anything.
 * Limits:   numbers of heads have at most 18 digits.
 */
#ifndef VINE_CORE_RESP_INTERNAL_H
#define VINE_CORE_RESP_INTERNAL_H

#include <vine/resp.h>

#include "utils/assert.h"
#include "utils/hostile.h"

#include <stddef.h>
#include <stdint.h>

/* X(name, text): '%c' stands for the byte that was there instead. Redis has the texts of the first
 * seven. */
#define VINE__RESP_PROBLEMS(X)                                                                     \
    X(NONE, "nothing is wrong")                                                                    \
    X(COUNT, "invalid multibulk length")                                                           \
    X(BULK_SIZE, "invalid bulk length")                                                            \
    X(NO_BULK, "expected '$', got '%c'")                                                           \
    X(INLINE_SIZE, "too big inline request")                                                       \
    X(QUOTES, "unbalanced quotes in request")                                                      \
    X(BULK_END, "no line end after a bulk")                                                        \
    X(COMMAND_SIZE, "too big request")                                                             \
    X(INLINE_NUL, "a NUL byte in an inline request")                                               \
    X(INLINE_COUNT, "too many words in an inline request")                                         \
    X(TYPE, "unknown type '%c'")                                                                   \
    X(LINE_SIZE, "too long a line")                                                                \
    X(LINE_END, "a line that does not end as lines do")                                            \
    X(NUMBER, "invalid number")                                                                    \
    X(DEPTH, "too deep")                                                                           \
    X(FORMAT, "verbatim text without a format")

enum vine__resp_problem {
#define VINE__RESP_PROBLEM_VALUE(name, text) VINE__RESP_PROBLEM_##name,
    VINE__RESP_PROBLEMS(VINE__RESP_PROBLEM_VALUE)
#undef VINE__RESP_PROBLEM_VALUE
};

/* The text of a problem, behind "Protocol error: ". Returns its size. */
size_t vine__resp_problem_text(uint8_t problem, char got, char text[VINE_RESP_PROBLEM_BYTES]);

#define VINE__RESP_HEAD_DIGITS_MAX 18

/*
 * The number of a head, from behind its type to the end of its line, written as Redis writes
 * numbers: no '+', no zero before other digits.
 *
 * Returns how many bytes it took, line end included; 0: the line does not end here; -1: it is not
 *         such a line.
 */
static inline ptrdiff_t vine__resp_head(const char *bytes, size_t size, int64_t *ret_number)
{
    const size_t first = size > 0 && bytes[0] == '-';
    size_t at = first;
    int64_t number = 0;

    /* Most have one digit. */
    if (size >= 3 && bytes[1] == '\r' && bytes[2] == '\n' && (unsigned char)(bytes[0] - '0') <= 9) {
        *ret_number = bytes[0] - '0';
        return 3;
    }
    while (at < size && (unsigned char)(bytes[at] - '0') <= 9) {
        if (at - first == VINE__RESP_HEAD_DIGITS_MAX)
            return -1;
        number = number * 10 + (bytes[at] - '0');
        at++;
    }
    if (at - first > 1 - first && bytes[first] == '0')
        return -1; /* "01", or "-0" */
    if (at == size)
        return 0;
    if (bytes[at] != '\r' || at == first)
        return -1;
    if (at + 1 == size)
        return 0;
    if (bytes[at + 1] != '\n')
        return -1;
    *ret_number = first ? -number : number;
    return (ptrdiff_t)(at + 2);
}

#endif
