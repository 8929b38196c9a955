/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/assert.h"

#include <stdio.h>
#include <stdlib.h>

void vine__assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "vine: %s:%d: this should always hold: %s\n", file, line, condition);
    abort();
}
