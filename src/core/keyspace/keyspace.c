/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry is one block: its head, room for the value, the key. Who has a deadline has a second
 * block, which stands in an ordered set: so the next one to expire is known, and no memory is kept
 * by what nobody looks for, without looking at entries by chance as Redis does.
 *
 *     bytes == sum of block_bytes over all entries, those held beside the keyspace too,
 *              + what others got by vine_keyspace_alloc + deadlines * sizeof(struct deadline)
 *              + the table's buckets + the keyspace itself
 *     refs  == who holds the entry + (it is in the table)
 *     deadline != NULL only in the table
 */
#include <vine/keyspace.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/hash_table.h>
#include <vine/set.h>

#include "core/keyspace/siphash.h"
#include "utils/assert.h"
#include "utils/bits.h"

#define GRAIN 16 /* malloc gives no less */

/* Entries that are taken out to make room for another one. */
#define EXPIRED_FOR_ONE_MAX 16

struct deadline {
    struct vine_set_node node;
    struct vine_keyspace_entry *entry;
    int64_t at_ms;
};

struct vine_keyspace_entry {
    struct vine_hash_node node;
    struct deadline *deadline;
    uint32_t refs;
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint32_t value_room;
    char bytes[]; /* `value_room` of the value, then the key */
};

struct vine_keyspace {
    struct vine_hash_table table;
    struct vine_set deadlines;
    int64_t now_ms;
    struct vine_keyspace_stats stats; /* without what the containers count */
    uint8_t hash_key[VINE_KEYSPACE_KEY_BYTES];
};

/* What a key is to a table. */
struct key {
    const char *bytes;
    size_t size;
};

/* ---- memory ---------------------------------------------------------------------------------- */

static bool has_room(const struct vine_keyspace *keyspace, uint64_t size_bytes)
{
    const struct vine_keyspace_stats *const stats = &keyspace->stats;

    return stats->bytes_max == 0 ||
           (stats->bytes <= stats->bytes_max && size_bytes <= stats->bytes_max - stats->bytes);
}

/* It may take out what has expired. */
void *vine_keyspace_alloc(struct vine_keyspace *keyspace, size_t size_bytes, bool is_needed)
{
    void *memory = NULL;

    if (!has_room(keyspace, size_bytes))
        (void)vine_keyspace_expire(keyspace, EXPIRED_FOR_ONE_MAX);
    if (is_needed || has_room(keyspace, size_bytes))
        memory = malloc(size_bytes);
    if (memory == NULL)
        keyspace->stats.refused++;
    else
        keyspace->stats.bytes += size_bytes;
    return memory;
}

void vine_keyspace_free(struct vine_keyspace *keyspace, void *memory, size_t size_bytes)
{
    VINE_ASSERT(keyspace->stats.bytes >= size_bytes);
    keyspace->stats.bytes -= size_bytes;
    free(memory);
}

/* Buckets. Whoever asks is in the midst of an insertion: nothing is taken out for them, and where
 * they are refused the table does with those that it has. */
static void *get_buckets(void *context, size_t size_bytes)
{
    struct vine_keyspace *const keyspace = context;
    void *memory = NULL;

    if (has_room(keyspace, size_bytes))
        memory = calloc(1, size_bytes);
    if (memory != NULL)
        keyspace->stats.bytes += size_bytes;
    return memory;
}

static void put_buckets(void *context, void *memory, size_t size_bytes)
{
    vine_keyspace_free(context, memory, size_bytes);
}

static size_t block_bytes(size_t value_room, size_t key_bytes)
{
    return vine__round_up_u64(sizeof(struct vine_keyspace_entry) + value_room + key_bytes, GRAIN);
}

static const char *key_of(const struct vine_keyspace_entry *entry)
{
    return entry->bytes + entry->value_room;
}

/* ---- the keyspace ---------------------------------------------------------------------------- */

static int order_deadlines(const struct vine_set_node *a, const struct vine_set_node *b)
{
    const struct deadline *const one = VINE_CONTAINER_OF(a, const struct deadline, node);
    const struct deadline *const other = VINE_CONTAINER_OF(b, const struct deadline, node);

    if (one->at_ms != other->at_ms)
        return one->at_ms < other->at_ms ? -1 : 1;
    return ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b);
}

int vine_keyspace_create(const struct vine_keyspace_options *options,
                         struct vine_keyspace **ret_keyspace)
{
    struct vine_keyspace *const keyspace = calloc(1, sizeof(*keyspace));

    VINE_ASSERT(options->size_bytes == sizeof(*options));
    if (keyspace == NULL)
        return -ENOMEM;
    keyspace->stats.bytes = sizeof(*keyspace);
    keyspace->stats.bytes_max = options->bytes_max;
    memcpy(keyspace->hash_key, options->hash_key, sizeof(keyspace->hash_key));
    vine_hash_table_init(&keyspace->table, &(struct vine_hash_memory){
                                               .get = get_buckets,
                                               .put = put_buckets,
                                               .context = keyspace,
                                           });
    vine_set_init(&keyspace->deadlines, order_deadlines);
    *ret_keyspace = keyspace;
    return 0;
}

void vine_keyspace_destroy(struct vine_keyspace *keyspace)
{
    struct vine_hash_cursor cursor = {.next = NULL};
    struct vine_hash_node *node;

    if (keyspace == NULL)
        return;
    while ((node = vine_hash_table_next(&keyspace->table, &cursor)) != NULL)
        vine_keyspace_remove(keyspace, VINE_CONTAINER_OF(node, struct vine_keyspace_entry, node));
    vine_hash_table_fini(&keyspace->table);
    VINE_ASSERT(keyspace->stats.bytes == sizeof(*keyspace)); /* else somebody holds an entry */
    free(keyspace);
}

void vine_keyspace_set_time(struct vine_keyspace *keyspace, int64_t now_ms)
{
    keyspace->now_ms = now_ms;
}

int64_t vine_keyspace_time(const struct vine_keyspace *keyspace)
{
    return keyspace->now_ms;
}

/* ---- entries --------------------------------------------------------------------------------- */

static bool has_key(const struct vine_hash_node *node, const void *key)
{
    const struct vine_keyspace_entry *const entry =
        VINE_CONTAINER_OF(node, const struct vine_keyspace_entry, node);
    const struct key *const wanted = key;

    return entry->key_bytes == wanted->size &&
           (wanted->size == 0 || memcmp(key_of(entry), wanted->bytes, wanted->size) == 0);
}

static uint64_t hash_of(const struct vine_keyspace *keyspace, const char *key, size_t key_bytes)
{
    return vine__siphash(key, key_bytes, keyspace->hash_key, 1, 3);
}

/* The entry of a key whose hash is known. What has expired is taken out on the way. */
static struct vine_keyspace_entry *find(struct vine_keyspace *keyspace, uint64_t hash,
                                        struct key key)
{
    struct vine_hash_node *const node = vine_hash_table_find(&keyspace->table, hash, has_key, &key);
    struct vine_keyspace_entry *entry;

    if (node == NULL)
        return NULL;
    entry = VINE_CONTAINER_OF(node, struct vine_keyspace_entry, node);
    if (entry->deadline == NULL || entry->deadline->at_ms >= keyspace->now_ms)
        return entry;
    vine_keyspace_remove(keyspace, entry);
    keyspace->stats.expired++;
    return NULL;
}

struct vine_keyspace_entry *vine_keyspace_find(struct vine_keyspace *keyspace, const char *key,
                                               size_t key_bytes)
{
    return find(keyspace, hash_of(keyspace, key, key_bytes), (struct key){key, key_bytes});
}

struct vine_keyspace_entry *vine_keyspace_get(struct vine_keyspace *keyspace, const char *key,
                                              size_t key_bytes)
{
    struct vine_keyspace_entry *const entry = vine_keyspace_find(keyspace, key, key_bytes);

    if (entry == NULL)
        keyspace->stats.misses++;
    else
        keyspace->stats.hits++;
    return entry;
}

const char *vine_keyspace_value(const struct vine_keyspace_entry *entry, size_t *ret_value_bytes)
{
    *ret_value_bytes = entry->value_bytes;
    return entry->bytes;
}

int64_t vine_keyspace_deadline(const struct vine_keyspace_entry *entry)
{
    return entry->deadline == NULL ? VINE_KEYSPACE_NEVER : entry->deadline->at_ms;
}

void vine_keyspace_hold(struct vine_keyspace_entry *entry)
{
    VINE_ASSERT(entry->refs < UINT32_MAX);
    entry->refs++;
}

void vine_keyspace_release(struct vine_keyspace *keyspace, struct vine_keyspace_entry *entry)
{
    VINE_ASSERT(entry->refs > 0);
    if (--entry->refs == 0)
        vine_keyspace_free(keyspace, entry, block_bytes(entry->value_room, entry->key_bytes));
}

static void forget_deadline(struct vine_keyspace *keyspace, struct vine_keyspace_entry *entry)
{
    if (entry->deadline == NULL)
        return;
    vine_set_remove(&keyspace->deadlines, &entry->deadline->node);
    vine_keyspace_free(keyspace, entry->deadline, sizeof(*entry->deadline));
    entry->deadline = NULL;
}

void vine_keyspace_remove(struct vine_keyspace *keyspace, struct vine_keyspace_entry *entry)
{
    forget_deadline(keyspace, entry);
    vine_hash_table_remove(&keyspace->table, &entry->node);
    vine_keyspace_release(keyspace, entry);
}

int vine_keyspace_set_deadline(struct vine_keyspace *keyspace, struct vine_keyspace_entry *entry,
                               int64_t deadline_ms)
{
    struct deadline *deadline = entry->deadline;

    if (deadline_ms == VINE_KEYSPACE_KEEP)
        return 0;
    if (deadline_ms == VINE_KEYSPACE_NEVER) {
        forget_deadline(keyspace, entry);
        return 0;
    }
    VINE_ASSERT(deadline_ms >= 0);
    if (deadline == NULL) {
        /* This may take out what has expired: not this entry, which has no deadline. */
        deadline = vine_keyspace_alloc(keyspace, sizeof(*deadline), false);
        if (deadline == NULL)
            return -ENOMEM;
        deadline->entry = entry;
        entry->deadline = deadline;
    } else {
        vine_set_remove(&keyspace->deadlines, &deadline->node);
    }
    deadline->at_ms = deadline_ms;
    (void)vine_set_insert(&keyspace->deadlines, &deadline->node);
    return 0;
}

int vine_keyspace_prepare(struct vine_keyspace *keyspace, const char *key, size_t key_bytes,
                          size_t value_bytes, struct vine_keyspace_entry **ret_entry)
{
    struct vine_keyspace_entry *entry;
    size_t block;

    if (key_bytes > VINE_KEYSPACE_SIZE_MAX || value_bytes > VINE_KEYSPACE_SIZE_MAX)
        return -VINE_ETOOBIG;
    block = block_bytes(value_bytes, key_bytes);
    entry = vine_keyspace_alloc(keyspace, block, false);
    if (entry == NULL)
        return -ENOMEM;
    *entry = (struct vine_keyspace_entry){
        .node.hash = hash_of(keyspace, key, key_bytes),
        .refs = 1,
        .key_bytes = (uint32_t)key_bytes,
        .value_bytes = (uint32_t)value_bytes,
        .value_room = (uint32_t)(block - sizeof(*entry) - key_bytes),
    };
    if (key_bytes > 0)
        memcpy(entry->bytes + entry->value_room, key, key_bytes);
    *ret_entry = entry;
    return 0;
}

char *vine_keyspace_prepared_value(struct vine_keyspace_entry *entry)
{
    VINE_ASSERT(entry->refs == 1);
    return entry->bytes;
}

int vine_keyspace_put(struct vine_keyspace *keyspace, struct vine_keyspace_entry *entry,
                      int64_t deadline_ms)
{
    struct vine_keyspace_entry *former;

    VINE_ASSERT(entry->deadline == NULL);
    if (deadline_ms != VINE_KEYSPACE_KEEP) {
        const int error = vine_keyspace_set_deadline(keyspace, entry, deadline_ms);

        if (error != 0)
            return error;
    }
    former = find(keyspace, entry->node.hash, (struct key){key_of(entry), entry->key_bytes});
    if (former != NULL) {
        if (deadline_ms == VINE_KEYSPACE_KEEP && former->deadline != NULL) {
            entry->deadline = former->deadline;
            entry->deadline->entry = entry;
            former->deadline = NULL;
        }
        vine_keyspace_remove(keyspace, former);
    }
    vine_hash_table_insert(&keyspace->table, &entry->node, entry->node.hash);
    return 0;
}

/* Whether a value can take the place of an entry's without another block, and without keeping a
 * room that is much too large for it. */
static bool fits_in(const struct vine_keyspace_entry *entry, size_t value_bytes)
{
    return entry->refs == 1 && value_bytes <= entry->value_room &&
           entry->value_room <= 2 * value_bytes + 4 * (uint64_t)GRAIN;
}

int vine_keyspace_set(struct vine_keyspace *keyspace, const char *key, size_t key_bytes,
                      const char *value, size_t value_bytes, int64_t deadline_ms)
{
    struct vine_keyspace_entry *entry = vine_keyspace_find(keyspace, key, key_bytes);
    int error;

    if (entry != NULL && fits_in(entry, value_bytes)) {
        error = vine_keyspace_set_deadline(keyspace, entry, deadline_ms);
        if (error != 0)
            return error;
        if (value_bytes > 0)
            memmove(entry->bytes, value, value_bytes);
        entry->value_bytes = (uint32_t)value_bytes;
        return 0;
    }
    error = vine_keyspace_prepare(keyspace, key, key_bytes, value_bytes, &entry);
    if (error != 0)
        return error;
    if (value_bytes > 0)
        memcpy(entry->bytes, value, value_bytes);
    error = vine_keyspace_put(keyspace, entry, deadline_ms);
    if (error != 0)
        vine_keyspace_release(keyspace, entry);
    return error;
}

/* ---- its owner ------------------------------------------------------------------------------- */

size_t vine_keyspace_expire(struct vine_keyspace *keyspace, size_t count_max)
{
    size_t count = 0;

    for (; count < count_max; count++) {
        const struct vine_set_node *const first = vine_set_first(&keyspace->deadlines);
        const struct deadline *deadline;

        if (first == NULL)
            break;
        deadline = VINE_CONTAINER_OF(first, const struct deadline, node);
        if (deadline->at_ms >= keyspace->now_ms)
            break;
        vine_keyspace_remove(keyspace, deadline->entry);
    }
    keyspace->stats.expired += count;
    return count;
}

int64_t vine_keyspace_next_deadline(const struct vine_keyspace *keyspace)
{
    const struct vine_set_node *const first = vine_set_first(&keyspace->deadlines);

    return first == NULL ? VINE_KEYSPACE_NEVER
                         : VINE_CONTAINER_OF(first, const struct deadline, node)->at_ms;
}

void vine_keyspace_stats(const struct vine_keyspace *keyspace,
                         struct vine_keyspace_stats *ret_stats)
{
    *ret_stats = keyspace->stats;
    ret_stats->keys = vine_hash_table_count(&keyspace->table);
    ret_stats->deadlines = vine_set_count(&keyspace->deadlines);
}
