/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/store.h - objects of one size that live as long as the pipe or shorter.
 *
 * Owns:     the objects' memory, in slabs that stay until the store ends.
 * Threads:  one at a time; the caller locks.
 * Blocking: never; taking may allocate a slab.
 * Trust:    private memory only.
 * Limits:   none of its own.
 */
#ifndef VINE_CORE_TALK_STORE_H
#define VINE_CORE_TALK_STORE_H

#include <stdlib.h>
#include <string.h>

#define VINE__STORE_OBJECTS_A_SLAB 64u

/* What a free object holds, and what a slab begins with. */
struct vine__store_link {
    struct vine__store_link *next;
};

struct vine__store {
    size_t object_bytes;
    struct vine__store_link *free;
    struct vine__store_link *slabs;
};

/* `object_bytes` is the size of a struct that holds a pointer or a uint64_t, so that objects that
 * follow each other are aligned. */
static inline void vine__store_init(struct vine__store *store, size_t object_bytes)
{
    *store = (struct vine__store){.object_bytes = object_bytes};
}

/* A zeroed object, or NULL if there is no memory. */
static inline void *vine__store_take(struct vine__store *store)
{
    struct vine__store_link *object = store->free;

    if (object == NULL) {
        unsigned char *slab =
            calloc(1, sizeof *object + VINE__STORE_OBJECTS_A_SLAB * store->object_bytes);

        if (slab == NULL)
            return NULL;
        ((struct vine__store_link *)(void *)slab)->next = store->slabs;
        store->slabs = (struct vine__store_link *)(void *)slab;
        for (size_t i = VINE__STORE_OBJECTS_A_SLAB; i-- > 0;) {
            object = (struct vine__store_link *)(void *)(slab + sizeof *object +
                                                         i * store->object_bytes);
            object->next = store->free;
            store->free = object;
        }
    }
    store->free = object->next;
    memset(object, 0, store->object_bytes);
    return object;
}

static inline void vine__store_give(struct vine__store *store, void *object)
{
    struct vine__store_link *link = object;

    /* What follows the link, the magic too, tells of no living object any more. */
    memset(object, 0, store->object_bytes);
    link->next = store->free;
    store->free = link;
}

/* Show every object, those that are free, too: behind their link they are zero. */
static inline void vine__store_each(const struct vine__store *store,
                                    void (*see)(void *object, void *context), void *context)
{
    for (struct vine__store_link *slab = store->slabs; slab != NULL; slab = slab->next)
        for (size_t i = 0; i < VINE__STORE_OBJECTS_A_SLAB; i++)
            see((unsigned char *)slab + sizeof *slab + i * store->object_bytes, context);
}

static inline void vine__store_fini(struct vine__store *store)
{
    while (store->slabs != NULL) {
        struct vine__store_link *slab = store->slabs;

        store->slabs = slab->next;
        free(slab);
    }
    store->free = NULL;
}

#endif
