/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/world_disk.h - files of the simulated disk: what they hold, and what of that is there when
 * the power has failed.
 */
#ifndef VINE_TESTS_SIM_WORLD_DISK_H
#define VINE_TESTS_SIM_WORLD_DISK_H

#include "sim/world_internal.h"

struct world_bytes {
    unsigned char *at;
    uint64_t size, room;
};

/* What was done to a file and not synced: bytes at an offset, or (`bytes` NULL) a new size. */
struct world_change {
    uint64_t offset, size;
    unsigned char *bytes;
};

struct world_file {
    struct world_file *next; /* of all */
    struct world_bytes now;  /* as programs see it */
    struct world_bytes kept; /* as it is on the device */
    struct world_change *changes;
    uint32_t change_count;
    uint64_t changed; /* how many changes there ever were */
    uint32_t mode;
    uint32_t references; /* descriptors, and names now and kept */
};

/* What was done to names and not synced: in one step `gone` is removed and `path` is `file`'s. */
struct world_name_change {
    char *path, *gone; /* or NULL */
    struct world_file *file;
};

struct world_name {
    char *path;
    struct world_file *file;
};

struct world_names {
    struct world_name *at;
    uint32_t count;
};

struct world_disk {
    struct world_file *files;
    struct world_names now, kept;
    struct world_name_change *changes;
    uint32_t change_count;
    uint64_t used; /* bytes of all files, as programs see them */
};

extern struct world_disk world_disk;

void world_bytes_resize(struct world_bytes *bytes, uint64_t size);

/* ---- world_power.c --------------------------------------------------------------------------- */

struct world_file *world_file_create(uint32_t mode);

/* Note what was done to it. */
void world_file_changed(struct world_file *file, uint64_t offset, const unsigned char *bytes,
                        uint32_t size);
void world_file_resized(struct world_file *file, uint64_t size);

/* The first changes, before the `mark`th that ever was, are on the device; and all names. Or: some
 * of them are, and the others will never be, for all that programs see. */
void world_file_sync(struct world_file *file, uint64_t mark);
void world_file_lose(struct world_file *file, uint64_t mark);

struct world_file *world_name_find(const char *path);

/* In one step, each of them perhaps NULL. */
void world_name_set(const char *path, struct world_file *file, const char *gone);

#endif
