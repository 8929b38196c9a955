/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/launch/lines.h - text that is handed on line by line, since a library does not print.
 *
 * Owns:     nothing.
 * Threads:  whoever calls, one at a time.
 * Blocking: as the function that gets the lines.
 * Trust:    not concerned.
 * Limits:   VINE__LINE_BYTES a line; longer ones are cut.
 */
#ifndef VINE_CORE_LAUNCH_LINES_H
#define VINE_CORE_LAUNCH_LINES_H

#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

#define VINE__LINE_BYTES 1024

/* Gets one line, without its end, valid during the call. */
typedef void (*vine__line_fn)(void *context, const char *line);

struct vine__lines {
    vine__line_fn fn; /* NULL: nobody listens */
    void *context;
};

/* Hand on one line. */
void vine__lines_add(const struct vine__lines *lines, const char *format, ...) VINE_PRINTF(2, 3);

/* Hand on `text` in lines of at most `width` columns, broken between words. The first begins with
 * `first`, the others with as many blanks as `indent`. */
void vine__lines_wrap(const struct vine__lines *lines, const char *first, uint32_t indent,
                      uint32_t width, const char *text);

/* Bytes as a person reads them: "512 MiB", "23.54 GiB", cut off behind hundredths. */
#define VINE__BYTES_TEXT 40
const char *vine__bytes_text(uint64_t bytes, char ret_text[VINE__BYTES_TEXT]);

#endif
