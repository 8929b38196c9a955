/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/pool/json.h - files that people write as JSON, read value by value, with the place of the
 * first that is wrong.
 *
 * Owns:     nothing; what was parsed is the caller's, json_decref.
 * Threads:  one at a time on one reader.
 * Blocking: never.
 * Trust:    the text may be anything. A key that is not known, or there twice, is an error: a
 *           misspelt word would be passed over.
 * Limits:   the reader's.
 */
#ifndef VINE_VMM_POOL_JSON_H
#define VINE_VMM_POOL_JSON_H

#include "vmm/pool/problem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define VINE__JSON_AT_BYTES 96

struct vine__json_reader {
    const char *file;              /* how messages call it */
    char at[VINE__JSON_AT_BYTES];  /* the object that is read: "vms[3].kernel", or "" */
    struct vine__problem *problem; /* the first one */
};

/* One object, the whole text. Returns NULL after saying what is wrong. */
json_t *vine__json_parse(struct vine__json_reader *reader, const void *bytes, size_t size);

void vine__json_stand_at(struct vine__json_reader *reader, const char *format, ...)
    VINE_PRINTF(2, 3);
void vine__json_wrong(struct vine__json_reader *reader, const char *key, const char *format, ...)
    VINE_PRINTF(3, 4);
bool vine__json_is_well(const struct vine__json_reader *reader);

/* `value` is an object with none but these keys, which NULL ends. */
bool vine__json_expect(struct vine__json_reader *reader, const json_t *value,
                       const char *const *keys);

/* Values of an object. What is absent is `otherwise`; of a text NULL says that it may not be, and
 * "" gives NULL. Sizes are bytes, or a text like "64M". */
const char *vine__json_text(struct vine__json_reader *reader, const json_t *object, const char *key,
                            const char *otherwise);
uint64_t vine__json_size(struct vine__json_reader *reader, const json_t *object, const char *key,
                         uint64_t otherwise);
uint32_t vine__json_count(struct vine__json_reader *reader, const json_t *object, const char *key,
                          uint32_t otherwise, uint32_t most);
bool vine__json_flag(struct vine__json_reader *reader, const json_t *object, const char *key,
                     bool otherwise);
/* An array of at most `most` values; NULL where it is absent or wrong. */
const json_t *vine__json_list(struct vine__json_reader *reader, const json_t *object,
                              const char *key, size_t most);

/* The version of a file's format, of which we know `known`. */
void vine__json_version(struct vine__json_reader *reader, const json_t *object, uint32_t known);

#endif
