/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=procedures */
/*
 * Any bytes as a file for gunzip.
 */
#include "fuzz/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    expand_both_ways(vine_shipped_procedures[9], true, bytes, size);
    return 0;
}
