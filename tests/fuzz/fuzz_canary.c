/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canary: a parser with a hole planted, a length that is believed. A fuzzer that runs for
 * seconds must fall into it; if it does not, no other fuzzer's silence means anything. The inputs
 * of the corpus stay clear of the hole, so that replaying them passes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    if (size_bytes < 3 || bytes[0] != 'V' || bytes[1] != 'i')
        return 0;
    const uint8_t length = bytes[2];
    unsigned int sum = 0;
    for (unsigned int i = 0; i < length; i++)
        sum += bytes[3 + i];
    if (sum > 255 * 255)
        abort();
    return 0;
}
