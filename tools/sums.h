/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sums.h - lines as `sha256sum` prints and checks them, and the file OUT/SHA256SUMS.
 */
#ifndef VINE_TOOLS_SUMS_H
#define VINE_TOOLS_SUMS_H

#include <stddef.h>
#include <stdio.h>

#include "output.h"

#define SUMS_NAME      "SHA256SUMS"
#define SUMS_BYTES_MAX 32

/* Print bytes as hexadecimal digits, two blanks, the name, a newline. A name with a newline,
 * carriage return or backslash has them as \n, \r and \\, and its line begins with a backslash. */
void sums_print(FILE *file, const unsigned char *sum, size_t size, const char *name);

/* The same for a terminal: other control characters and what is not UTF-8 are shown as \ooo, so
 * that a name cannot steer the terminal. */
void sums_show(FILE *file, const unsigned char *sum, size_t size, const char *name);

void sums_hex(const unsigned char *sum, size_t size, char *ret_text);

/* Returns the bytes that the text's hexadecimal digits make, or 0 if it is not all of those or too
 * long. */
size_t sums_from_hex(const char *text, size_t length, unsigned char *ret_sum, size_t capacity);

/* OUT/SHA256SUMS while it grows; appears with its name when it is whole. */
struct sums {
    struct output_file file;
    FILE *stream;
};

int sums_open(struct output *output, struct sums *ret_sums);
/* Returns 0 or a negated errno; the object is finished in any case. */
int sums_commit(struct sums *sums);
void sums_abandon(struct sums *sums);

#endif
