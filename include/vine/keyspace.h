/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/keyspace.h - values by keys, in memory, some of them until a time.
 *
 * Owns:     its entries, and memory for them from malloc. An entry that somebody holds stays as it
 *           is when its key gets another value or goes.
 * Threads:  one: a core has its own.
 * Blocking: never. Calls take constant time on average, or the logarithm of the number of
 *           deadlines, and copying the bytes that they are given; growing goes by and by.
 * Trust:    keys and values may be anything, and be chosen by somebody who wants them to meet in
 *           one place: the hash is keyed with the caller's secret.
 * Limits:   keys and values of at most 2^31 bytes each; `bytes_max` for all of it, as it asks
 *           malloc for it. What malloc refuses is -ENOMEM, and nothing has changed then.
 *
 * Time is told by the caller, in milliseconds since 1970. An entry whose deadline is past is found
 * by nobody; its memory comes back when somebody looks for it, by vine_keyspace_expire, or when
 * what is to be allocated would go beyond the bound.
 */
#ifndef VINE_KEYSPACE_H
#define VINE_KEYSPACE_H

#include <vine/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

VINE_BEGIN_DECLARATIONS

#define VINE_KEYSPACE_KEY_BYTES 16         /* of the hash */
#define VINE_KEYSPACE_SIZE_MAX  0x80000000 /* of a key and a value */

struct vine_keyspace;
struct vine_keyspace_entry;

struct vine_keyspace_options {
    size_t size_bytes;                         /* sizeof(struct vine_keyspace_options) */
    uint64_t bytes_max;                        /* 0: no bound but malloc's */
    uint8_t hash_key[VINE_KEYSPACE_KEY_BYTES]; /* random, and told to nobody */
};

/* Returns 0 and the keyspace; -ENOMEM. */
VINE_API VINE_MUST_CHECK int vine_keyspace_create(const struct vine_keyspace_options *options,
                                                  struct vine_keyspace **ret_keyspace);

/* Nobody holds an entry any more. NULL is nothing. */
VINE_API void vine_keyspace_destroy(struct vine_keyspace *keyspace);

/* From now on it is this time: of a clock that may be set, too. */
VINE_API void vine_keyspace_set_time(struct vine_keyspace *keyspace, int64_t now_ms);
VINE_API int64_t vine_keyspace_time(const struct vine_keyspace *keyspace);

/* ---- entries --------------------------------------------------------------------------------- */

/* Deadlines are times, 0 or more, or: */
#define VINE_KEYSPACE_NEVER (-1)
#define VINE_KEYSPACE_KEEP  (-2) /* the one that the key has */

/* The entry of a key, or NULL. It is there until the next call that changes the keyspace, or gets
 * or finds something in it; or for longer, if it is held. _get counts as somebody's asking for the
 * value, _find does not. */
VINE_API struct vine_keyspace_entry *vine_keyspace_get(struct vine_keyspace *keyspace,
                                                       const char *key, size_t key_bytes);
VINE_API struct vine_keyspace_entry *vine_keyspace_find(struct vine_keyspace *keyspace,
                                                        const char *key, size_t key_bytes);

VINE_API const char *vine_keyspace_value(const struct vine_keyspace_entry *entry,
                                         size_t *ret_value_bytes);
VINE_API int64_t vine_keyspace_deadline(const struct vine_keyspace_entry *entry);

/* Keep an entry as it is, and let go of it. What was held last by somebody, and has left the
 * keyspace, counts among its memory until then. */
VINE_API void vine_keyspace_hold(struct vine_keyspace_entry *entry);
VINE_API void vine_keyspace_release(struct vine_keyspace *keyspace,
                                    struct vine_keyspace_entry *entry);

/*
 * Give a key a value, in place of the one that it has. Key and value are copied.
 *
 * Returns 0; -ENOMEM: the bound, or malloc's refusal; -VINE_ETOOBIG.
 */
VINE_API VINE_MUST_CHECK int vine_keyspace_set(struct vine_keyspace *keyspace, const char *key,
                                               size_t key_bytes, const char *value,
                                               size_t value_bytes, int64_t deadline_ms);

/*
 * The same in two steps: an entry that is not in the keyspace, held by the caller, who writes its
 * value; and putting it there, where it is held no more. For values that come in pieces, and for
 * several of which all or none is to be there: after preparing, putting without a deadline of its
 * own (_NEVER, _KEEP where the key has none) cannot fail.
 *
 * Returns as vine_keyspace_set. After an error of _put the caller still holds the entry.
 */
VINE_API VINE_MUST_CHECK int vine_keyspace_prepare(struct vine_keyspace *keyspace, const char *key,
                                                   size_t key_bytes, size_t value_bytes,
                                                   struct vine_keyspace_entry **ret_entry);
VINE_API char *vine_keyspace_prepared_value(struct vine_keyspace_entry *entry);
VINE_API VINE_MUST_CHECK int vine_keyspace_put(struct vine_keyspace *keyspace,
                                               struct vine_keyspace_entry *entry,
                                               int64_t deadline_ms);

/* Give an entry that was found another deadline, or none. Returns 0; -ENOMEM. */
VINE_API VINE_MUST_CHECK int vine_keyspace_set_deadline(struct vine_keyspace *keyspace,
                                                        struct vine_keyspace_entry *entry,
                                                        int64_t deadline_ms);

/* Take out an entry that was found. */
VINE_API void vine_keyspace_remove(struct vine_keyspace *keyspace,
                                   struct vine_keyspace_entry *entry);

/* Memory beside entries that counts as theirs does, for what is kept of a command, say; and giving
 * it back. NULL: the bound, which `is_needed` ignores, or malloc's refusal. */
VINE_API void *vine_keyspace_alloc(struct vine_keyspace *keyspace, size_t size_bytes,
                                   bool is_needed);
VINE_API void vine_keyspace_free(struct vine_keyspace *keyspace, void *memory, size_t size_bytes);

/* ---- what its owner does now and then -------------------------------------------------------- */

/* Take out at most `count_max` entries whose deadline is past. Returns how many those were: fewer
 * than that if there are no more. */
VINE_API size_t vine_keyspace_expire(struct vine_keyspace *keyspace, size_t count_max);

/* The first deadline of all, or VINE_KEYSPACE_NEVER: until it is past, vine_keyspace_expire has
 * nothing to do. */
VINE_API int64_t vine_keyspace_next_deadline(const struct vine_keyspace *keyspace);

struct vine_keyspace_stats {
    uint64_t keys;      /* with those whose deadline is past and that are still there */
    uint64_t deadlines; /* keys that have one */
    uint64_t bytes;     /* as it was asked for of malloc, in all */
    uint64_t bytes_max; /* 0: no bound */
    uint64_t hits;      /* of vine_keyspace_get */
    uint64_t misses;
    uint64_t expired; /* entries taken out because their deadline was past */
    uint64_t refused; /* for want of memory */
};

VINE_API void vine_keyspace_stats(const struct vine_keyspace *keyspace,
                                  struct vine_keyspace_stats *ret_stats);

VINE_END_DECLARATIONS

#endif
