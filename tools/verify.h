/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.h - undo or repeat in this process what an appliance did, and compare.
 */
#ifndef VINE_TOOLS_VERIFY_H
#define VINE_TOOLS_VERIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "recipe.h"

/* Whether what the procedure does can be verified. */
bool verify_knows(const struct recipe *recipe);

/* Asked now and then: true ends what is under way with -EINTR. */
typedef bool (*verify_stop_fn)(void);

/* Compressed or copied: undoes `result` and compares with `source`. Expanded: undoes `source` and
 * compares with `result`. Returns 0; -VINE_EDATA: they differ, or it cannot be undone; a negated
 * errno of reading. */
int verify_files(const struct recipe *recipe, int source, int result, verify_stop_fn stop);

/* Hashes `source` and compares. Returns as verify_files. */
int verify_sum(const char *procedure, int source, const unsigned char *sum, size_t size,
               verify_stop_fn stop);

#endif
