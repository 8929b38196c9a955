/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_sample.h - the bytes that a measurement sends.
 */
#ifndef VINE_TOOLS_GUEST_SAMPLE_H
#define VINE_TOOLS_GUEST_SAMPLE_H

#include <stddef.h>

/* Fill memory with what a file begins with, or the files of a directory, over and over where that
 * is too little; with a pattern where `path` is NULL. Returns 0, -ENODATA where there is nothing,
 * or another negated errno. */
int guest_sample_fill(const char *path, unsigned char *bytes, size_t size);

#endif
