/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void vine__assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "vine: %s:%d: this should always hold: %s\n", file, line, condition);
    abort();
}

void vine__assert_say(const char *text)
{
    const ssize_t written = write(STDERR_FILENO, text, strlen(text));

    (void)written; /* nobody is left to be told */
}
