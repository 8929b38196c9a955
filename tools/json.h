/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - JSON on standard output.
 */
#ifndef VINE_TOOLS_JSON_H
#define VINE_TOOLS_JSON_H

#include <stdint.h>

#include <jansson.h>

/* The object in a file, or on standard input (`-`). NULL: what is wrong, and where, was told. */
json_t *json_read_object(const char *path);

/* Print the value, indented, and give it up. NULL (out of memory) is told. Returns a status. */
int json_print(json_t *value);

/* The same on one line, which is not mixed with those of other threads. */
int json_print_line(json_t *value);

/* Where nothing was printed: that the command failed, with the last error that was told. */
void json_print_failure(int status);

/* A number of 64 bits; what JSON's readers have no integers for becomes a real one. */
json_t *json_unsigned(uint64_t number);

/*
 * Set `key` of the object to a file's name. What is not UTF-8 becomes U+FFFD in it, and then
 * `key`_hex holds all of its bytes.
 */
void json_set_name(json_t *object, const char *key, const char *name);

#endif
