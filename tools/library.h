/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/library.h - procedure libraries: the shared objects of one directory, loaded, offered by an
 * appliance, and taken up anew when their files change.
 *
 * Owns:     a set owns what it loaded. Each version of a file is copied into a sealed memfd and
 *           loaded from there, since a loaded file that is overwritten kills its process. A
 *           version stays loaded until the set is closed: tasks of its time may still run.
 * Threads:  one at a time; the appliance may serve meanwhile.
 * Blocking: for the file system, and as long as the libraries' constructors take.
 * Trust:    a library is code of this process. Taken are regular files (or links to them) that
 *           belong to the user or root and that nobody else may write, in a directory of the same
 *           kind; the path to the directory is the caller's to judge.
 * Limits:   VINE_LIBRARY_VERSIONS_MAX versions, VINE_LIBRARY_BYTES_MAX each.
 */
#ifndef VINE_TOOLS_LIBRARY_H
#define VINE_TOOLS_LIBRARY_H

#include <stdbool.h>

#include <vine/appliance.h>

#define VINE_LIBRARY_VERSIONS_MAX 64
#define VINE_LIBRARY_BYTES_MAX    (64ULL << 20)

struct vine_library_set;

/* What became of a file, or of the directory: `file` is NULL then. Valid during the call. */
struct vine_library_news {
    const char *file;
    bool is_gone;             /* what was loaded of it goes on serving */
    int error;                /* 0: taken up, or gone; else it was refused */
    const char *reason;       /* of a refusal */
    uint32_t procedure_count; /* of a file that was taken up */
    uint32_t version;         /* how many were loaded so far, of all files */
};

/* Who is told: people, by a line each, and programs. Either may be NULL. */
struct vine_library_watcher {
    vine_log_fn log;
    void (*news)(void *context, const struct vine_library_news *news);
    void *context;
};

/*
 * Load every *.so of `directory`, in the order of their names, and register their procedures. A
 * file that cannot be used is logged with its reason, and the others go on.
 *
 * Returns 0; -ENOENT, -ENOTDIR, -EACCES, ...  the directory cannot be read;
 *         -EPERM   somebody else than the user and root may write it (logged); -ENOMEM.
 */
VINE_MUST_CHECK int vine_library_open(const char *directory, struct vine_appliance *appliance,
                                      const struct vine_library_watcher *watcher,
                                      struct vine_library_set **ret_set);

/* A descriptor that polls readable when a file was written, moved, allowed or removed: rescan. -1
 * where the kernel gives none: rescan every second. Stays the set's. */
int vine_library_fd(const struct vine_library_set *set);

/*
 * Take up what is new or has changed since the last scan. A file that cannot be used leaves its old
 * version serving, and is logged once; so does one that was removed. No task is dropped.
 *
 * Returns how many files were taken up.
 */
uint32_t vine_library_rescan(struct vine_library_set *set);

/* Unload everything. After the appliance is destroyed, which still uses the definitions. NULL is
 * allowed. */
void vine_library_close(struct vine_library_set *set);

#endif
