/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/resp/resp_internal.h"

#define BEFORE "Protocol error: "

static const char *const texts[] = {
#define VINE__RESP_PROBLEM_TEXT(name, text) text,
    VINE__RESP_PROBLEMS(VINE__RESP_PROBLEM_TEXT)
#undef VINE__RESP_PROBLEM_TEXT
};

#define VINE__RESP_PROBLEM_FITS(name, text)                                                        \
    VINE_STATIC_ASSERT(sizeof(BEFORE) - 1 + sizeof(text) <= VINE_RESP_PROBLEM_BYTES, #name);
VINE__RESP_PROBLEMS(VINE__RESP_PROBLEM_FITS)
#undef VINE__RESP_PROBLEM_FITS

size_t vine__resp_problem_text(uint8_t problem, char got, char text[VINE_RESP_PROBLEM_BYTES])
{
    size_t size = sizeof(BEFORE) - 1;

    memcpy(text, BEFORE, size);
    for (const char *from = texts[problem]; *from != '\0'; from++) {
        if (from[0] == '%' && from[1] == 'c') {
            from++;
            text[size++] = got >= ' ' && got < 0x7f ? got : ' ';
        } else {
            text[size++] = *from;
        }
    }
    text[size] = '\0';
    return size;
}
