/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/saver.h - files of state that are written beside core 0: whoever changes what such a
 * file says is told when that is on the disk, or that it is not.
 *
 * Owns:     a thread; and texts, from when they are handed over.
 * Threads:  core 0's; and its own one, which writes one file after the other.
 * Blocking: never; its thread writes and flushes (state_file.h).
 * Trust:    its callers.
 * Limits:   of one file no more than one text is written, and no more than one waits: the last one,
 *           for all who have handed over one since the former writing began. So a later text is
 *           never overwritten by an earlier one, and a slow disk sees few.
 */
#ifndef VINE_VMM_SERVER_SAVER_H
#define VINE_VMM_SERVER_SAVER_H

#include <vine/base.h>
#include <vine/list.h>

#include "vmm/server/errand.h"

#include <stdbool.h>

struct vine__saver_work {
    /* Whoever asks fills in these, and leaves all of it alone until `done`... */
    void (*done)(struct vine__saver_work *work); /* on core 0, once, never within `begin` */
    const char *path;
    char *text;                /* NULL: there was no memory for it */
    int error;                 /* ...which finds this */
    struct vine__saver *saver; /* the saver's */
    struct vine__errand errand;
};

/* The first field of one. */
struct vine__saver {
    void (*begin)(struct vine__saver *saver, struct vine__saver_work *work);
};

/* One with a thread. Returns 0 or an error. Core 0. */
VINE_MUST_CHECK int vine__saver_create(struct vine__saver **ret_saver);
/* All of its files are closed; `done` is called when it is gone. Core 0, before reactors stop. */
void vine__saver_destroy(struct vine__saver *saver, void (*done)(void *context), void *context);

/* Who waits for a change to be on the disk. */
struct vine__saving {
    /* Its maker's: on core 0, once, never within the call that has handed over the text. With an
     * error none of what changed since the file's last text is on the disk, or all of it may be:
     * whoever takes his change back hands over a text without it. */
    void (*done)(struct vine__saving *saving, int error);
    struct vine_list link; /* the file's */
};

/* A file. Private fields, but for the path. */
struct vine__saved_file {
    const char *path;
    struct vine__saver *saver;
    struct vine_list waiting, writing; /* of those who are told */
    char *next;                        /* the text that waits, if `has_next` */
    bool has_next, is_under_way, is_closed;
    struct vine__saver_work work;
    void (*closed)(void *context);
    void *context;
};

/* `path` stays the caller's. All zero: a file that is nowhere, of which nobody waits. */
void vine__saved_file_init(struct vine__saved_file *file, struct vine__saver *saver,
                           const char *path);

/* Have this text written, which is the file's from now on (NULL: there was no memory for it). Of
 * `saving` NULL nobody waits. */
void vine__save(struct vine__saved_file *file, char *text, struct vine__saving *saving);

/* What was handed over is written, and then `closed` called; perhaps within the call. Who waits for
 * what is handed over from now on is told -ESHUTDOWN; of whom nobody waits it is written only in
 * the place of a text that waits. */
void vine__saved_file_close(struct vine__saved_file *file, void (*closed)(void *context),
                            void *context);

#endif
