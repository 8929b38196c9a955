/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h - results below one directory, each whole or not there.
 *
 * Owns:     descriptors of OUT and of the directories of unfinished results.
 * Blocking: writes.
 * Trust:    nothing below OUT is reached through a symbolic link.
 * Limits:   any depth: paths are walked component by component.
 *
 * A result grows in a file without a name (O_TMPFILE) that is linked in when it is whole, so that
 * not even a kill -9 leaves anything. Where the file system has none, it grows as
 * `.vine-run-HASH.part` beside its final name, and the next run of the same result takes that up
 * again. Nothing is synced for each file: output_sync does it once for all, and whoever needs to
 * know which results survive a power cut asks for it before believing (state.h).
 */
#ifndef VINE_TOOLS_OUTPUT_H
#define VINE_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct output_directory; /* counted; shared by the results in it */

struct output {
    int fd;
    char *path;
    bool has_tmpfile;
    struct output_directory *last; /* the one that was used last */
};

struct output_file {
    int fd; /* -1: none */
    struct output_directory *directory;
    char *name;
    char *part;          /* its temporary name, or NULL */
    dev_t source_device; /* of its source; 0, 0: none */
    ino_t source_inode;
};

/* Make a directory, with its parents, where they are not there. Returns 0 or a negated errno. */
int output_make_folder(const char *path);

/* Make the directory, with its parents, if it is not there, and lock it against another run.
 * Returns 0; -EBUSY: another run works in it; a negated errno. */
int output_open(const char *path, struct output *ret_output);
void output_close(struct output *output);

/* The state of a result that is there already. Returns 0, -ENOENT, another negated errno. */
int output_stat(struct output *output, const char *path, struct stat *ret_status);

/* Begin a result: `path` is relative to OUT; the mode is cut by the umask. `source` (may be NULL)
 * is a file that it must not replace. Returns 0 or a negated errno, with nothing left behind. */
int output_begin(struct output *output, const char *path, mode_t mode, const struct stat *source,
                 struct output_file *ret_file);

/* Write all bytes at the offset. Returns 0 or a negated errno. */
int output_write(struct output_file *file, const void *bytes, size_t size, uint64_t offset);

/* Give it its final name, in place of what has it. Returns 0; -EEXIST: that is its source; or a
 * negated errno. The file is finished in any case, and *ret_status tells its state. */
int output_commit(struct output_file *file, struct stat *ret_status);

/* Forget it. A file that was not begun is allowed. */
void output_abandon(struct output_file *file);

/* Everything written so far stands a power cut. Returns 0 or a negated errno. */
int output_sync(const struct output *output);

#endif
