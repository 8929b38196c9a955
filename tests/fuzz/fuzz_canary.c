/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canary: a parser with a hole planted, a length that is believed. A fuzzer that runs for
 * seconds must fall into it; if it does not, no other fuzzer's silence means anything. The inputs
 * of the corpus stay clear of the hole, so that replaying them passes.
 */
#include "utils/cursor.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct vine__cursor cursor = vine__cursor_of(bytes, size_bytes);
    const uint16_t magic = vine__cursor_u16(&cursor);
    const uint8_t length = vine__cursor_u8(&cursor);
    if (vine__cursor_has_failed(&cursor) || magic != 0x6956)
        return 0;
    unsigned int sum = 0;
    for (unsigned int i = 0; i < length; i++)
        sum += bytes[3 + i];
    if (sum > 255 * 255)
        abort();
    return 0;
}
