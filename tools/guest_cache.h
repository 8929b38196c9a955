/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_cache.h - the folder where `vine guest build` keeps what it downloaded: vine/guest below
 * $XDG_CACHE_HOME, or below ~/.cache.
 */
#ifndef VINE_TOOLS_GUEST_CACHE_H
#define VINE_TOOLS_GUEST_CACHE_H

#define GUEST_CACHE_FOLDER_BYTES 4096

struct guest_cache {
    int fd; /* holds the lock */
    char folder[GUEST_CACHE_FOLDER_BYTES];
};

/* Where it is, or would be. Returns 0; -ENOENT  nothing says; -ENAMETOOLONG. */
int guest_cache_name(char ret_folder[GUEST_CACHE_FOLDER_BYTES]);

/* Make it, if it is not there. Returns a status. */
int guest_cache_find(char ret_folder[GUEST_CACHE_FOLDER_BYTES]);

/* The same, and be alone in it: waits for others. Returns a status. */
int guest_cache_open(struct guest_cache *ret_cache);
void guest_cache_close(struct guest_cache *cache);

#endif
