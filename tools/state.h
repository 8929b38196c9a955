/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - OUT/.vine-run: which results are whole, and what of, so that a second run skips them.
 *
 * A text file that grows at its end, a line as each result gets its name:
 *
 *   vine-run 1                     the format
 *   boot ID                        what follows was written while the machine had this boot id
 *   with PROCEDURE PARAMETERS      what follows was made so
 *   done RSIZE RTIME SIZE MTIME CTIME INODE SUM PATH
 *                                  a result: its size and time of change, those of its source, the
 *                                  source's SHA-256 or "-", the result's path below OUT, with
 *                                  newline, carriage return and backslash as \n, \r and \\
 *   synced                         everything above is on the disk
 *
 * Times are nanoseconds. A result is believed if it and its source still have these numbers, and
 * its line is followed by `synced` or stands under the boot id of now: a killed run loses nothing,
 * and after a power cut nothing is believed that was not synced. Lines that are not understood
 * count for nothing; the last line of a path counts. What has more dead lines than living ones is
 * written anew.
 */
#ifndef VINE_TOOLS_STATE_H
#define VINE_TOOLS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include "output.h"
#include "sums.h"

#define STATE_NAME ".vine-run"

struct state_record {
    const char *path;
    const char *with;
    const char *fields; /* behind "done " */
    bool believed;
};

struct state {
    char *bytes;                  /* the file as it was read; records point into it */
    struct state_record *records; /* sorted by path, one for each */
    size_t count;
    size_t lines;
    FILE *file; /* at its end; NULL: nothing can be added */
    char *with;
    char boot[64];
};

/* Read OUT's state, if there is one; what is added was made `with` this. Returns 0 or a negated
 * errno. */
int state_open(struct output *output, const char *with, struct state *ret_state);

/* Whether anything is known of a result at `path`: if not, it need not be looked at. */
bool state_knows(const struct state *state, const char *path);

/* Whether the result at `path` is whole and of this source, both as they are now. Its sum is given
 * if the state knows it: *ret_sum_size is 0 or SUMS_BYTES_MAX. */
bool state_is_complete(const struct state *state, const char *path, const struct stat *result,
                       const struct stat *source, unsigned char *ret_sum, size_t *ret_sum_size);

/* Add a result; `sum` may be NULL. */
void state_add(struct state *state, const char *path, const struct stat *result,
               const struct stat *source, const unsigned char *sum);

/* All that was added is whole, and synced if `synced`. Returns 0 or a negated errno. */
int state_close(struct state *state, bool synced);

#endif
