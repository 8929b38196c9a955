/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/error.h>

#include "utils/assert.h"
#include "utils/tables.h"

#include <stddef.h>
#include <string.h>

#define FIRST 1001

static const struct {
    int number;
    const char *name;
    const char *text;
} errors[] = {
#define ROW(name, number, text) {number, #name, text},
    VINE_ERRORS(ROW)
#undef ROW
};

enum { COUNT = VINE_TABLE_COUNT(VINE_ERRORS) };

/* The numbers are consecutive, so that one is found without a search: number - FIRST == index. */
VINE_STATIC_ASSERT(VINE_EPEERLOST == FIRST, "the table begins at the first number");
#define NUMBER_IS_WITHIN(name, number, text)                                                       \
    VINE_STATIC_ASSERT((number) >= FIRST && (number) < FIRST + COUNT, "numbers are consecutive");
VINE_ERRORS(NUMBER_IS_WITHIN)
#undef NUMBER_IS_WITHIN

/* The magnitude, without negating the one value that has no counterpart. */
static int positive(int error)
{
    return error < 0 && error >= -__INT_MAX__ ? -error : error;
}

/* The index of one of ours, or -1. */
static int index_of(int number)
{
    if (number < FIRST || number >= FIRST + COUNT)
        return -1;
    VINE_ASSERT(errors[number - FIRST].number == number);
    return number - FIRST;
}

const char *vine_error_name(int error)
{
    const int number = positive(error);
    const int index = index_of(number);
    if (number == 0)
        return "OK";
    if (index >= 0)
        return errors[index].name;
    const char *name = number > 0 ? strerrorname_np(number) : NULL;
    return name != NULL ? name : "?";
}

const char *vine_error_text(int error)
{
    const int number = positive(error);
    const int index = index_of(number);
    if (number == 0)
        return "no error";
    if (index >= 0)
        return errors[index].text;
    const char *text = number > 0 ? strerrordesc_np(number) : NULL;
    return text != NULL ? text : "unknown error";
}
