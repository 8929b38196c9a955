/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.h - the regular files of arguments, one after the other, in an order that repeats.
 *
 * Owns:     descriptors of the directories that lie above the current file, at most
 *           WALK_DESCRIPTORS_MAX: trees may be deeper than that, and paths longer than PATH_MAX.
 * Blocking: reads directories.
 * Trust:    the tree may change meanwhile. Inside it no symbolic link is followed, so loops cannot
 *           be entered and nothing outside is read; arguments themselves may be links.
 * Limits:   memory for the names of one directory at each level, and one path.
 *
 * Order: arguments as given; each directory's entries by their bytes. What is neither a regular
 * file nor a directory is reported, never opened.
 */
#ifndef VINE_TOOLS_WALK_H
#define VINE_TOOLS_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define WALK_DESCRIPTORS_MAX 32

enum walk_kind {
    WALK_FILE,     /* a regular file */
    WALK_LINK,     /* a symbolic link inside a tree */
    WALK_SPECIAL,  /* a fifo, socket or device: `reason` says which */
    WALK_EXCLUDED, /* the directory that was excluded */
    WALK_ERROR,    /* cannot be looked at, or a directory that cannot be read: `error` */
};

struct walk_entry {
    enum walk_kind kind;
    size_t argument;   /* its index */
    bool is_argument;  /* it is the argument itself */
    int directory;     /* descriptor, for openat; valid until the next call */
    const char *name;  /* within `directory`; valid until the next call, as the others */
    const char *path;  /* relative to the argument; of an argument itself its last component */
    const char *shown; /* the argument and, below a directory, the path: as a person would say it */
    bool has_status;   /* else the directory has told its kind already, and nobody has looked */
    struct stat status; /* of WALK_FILE */
    int error;          /* negated errno */
    const char *reason;
};

struct walk;

/* `excluded` (may be NULL): a directory that is not entered. Returns 0 or -ENOMEM. Keeps
 * `arguments`. */
int walk_open(char *const *arguments, size_t count, const struct stat *excluded,
              struct walk **ret_walk);

/* Returns 1 with the next entry, 0 at the end, -ENOMEM. */
int walk_next(struct walk *walk, struct walk_entry *ret_entry);

void walk_close(struct walk *walk);

/* The last component of a path, without slashes at its end, for the caller to free; "." and ".."
 * and "/" have none: NULL, as without memory. */
char *walk_last_component(const char *path);

/* Whether both are one file at one time: what tells a change while it is read. */
bool walk_same_state(const struct stat *one, const struct stat *other);

#endif
