/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_cache.h - the folder where `vine guest build` keeps what it downloaded: vine/guest below
 * $XDG_CACHE_HOME, or below ~/.cache.
 */
#ifndef VINE_TOOLS_GUEST_CACHE_H
#define VINE_TOOLS_GUEST_CACHE_H

struct guest_cache {
    int fd; /* holds the lock */
    char folder[4096];
};

/* Make it, if it is not there, and be alone in it: waits for others. Returns a status. */
int guest_cache_open(struct guest_cache *ret_cache);
void guest_cache_close(struct guest_cache *cache);

#endif
