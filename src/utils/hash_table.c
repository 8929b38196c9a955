/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table with chains. When there are as many nodes as buckets, an array of twice as many takes
 * over, and each insertion moves some buckets: all have moved long before the next time.
 *
 *     a node of hash h is in former[i], i = place(h) of its size, if former != NULL and i >= moved;
 *     else in buckets[place(h)]
 */
#include <vine/hash_table.h>

#include <stdlib.h>

#include "utils/assert.h"

#define BITS_FIRST 2
#define BITS_MAX   40
#define MOVES      4 /* buckets that an insertion moves */

VINE_STATIC_ASSERT(VINE_HASH_BUCKETS_FIRST == 1 << BITS_FIRST, "the first array");

static void *get_zeroed(void *context, size_t size_bytes)
{
    (void)context;
    return calloc(1, size_bytes);
}

static void put_back(void *context, void *memory, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    free(memory);
}

/* Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4): the upper bits are good, however
 * poor the hash. */
static size_t place_of(uint64_t hash, uint8_t bits)
{
    return (size_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

/* Of an array of buckets, each a pointer to its chain. */
static size_t bytes_of(uint8_t bits)
{
    return sizeof(struct vine_hash_node *) << bits;
}

static struct vine_hash_node **bucket_of(const struct vine_hash_table *table, uint64_t hash)
{
    if (table->former != NULL) {
        const size_t place = place_of(hash, (uint8_t)(table->bits - 1));

        if (place >= table->moved)
            return &table->former[place];
    }
    return &table->buckets[place_of(hash, table->bits)];
}

static void give_back(struct vine_hash_table *table, struct vine_hash_node **buckets, uint8_t bits)
{
    if (buckets != table->first)
        table->memory.put(table->memory.context, buckets, bytes_of(bits));
}

void vine_hash_table_init(struct vine_hash_table *table, const struct vine_hash_memory *memory)
{
    *table = (struct vine_hash_table){
        .bits = BITS_FIRST,
        .memory = {.get = get_zeroed, .put = put_back},
    };
    table->buckets = table->first;
    if (memory != NULL)
        table->memory = *memory;
}

void vine_hash_table_fini(struct vine_hash_table *table)
{
    if (table->former != NULL)
        give_back(table, table->former, (uint8_t)(table->bits - 1));
    give_back(table, table->buckets, table->bits);
    table->former = NULL;
    table->buckets = NULL;
    table->count = 0;
}

static void push(struct vine_hash_node **bucket, struct vine_hash_node *node)
{
    node->next = *bucket;
    *bucket = node;
}

static void move_some(struct vine_hash_table *table)
{
    const size_t former_count = (size_t)1 << (table->bits - 1);

    for (int i = 0; i < MOVES && table->moved < former_count; i++) {
        struct vine_hash_node *node = table->former[table->moved];

        table->moved++;
        while (node != NULL) {
            struct vine_hash_node *const next = node->next;

            push(&table->buckets[place_of(node->hash, table->bits)], node);
            node = next;
        }
    }
    if (table->moved < former_count)
        return;
    give_back(table, table->former, (uint8_t)(table->bits - 1));
    table->former = NULL;
}

static void grow(struct vine_hash_table *table)
{
    if (table->bits == BITS_MAX)
        return;

    struct vine_hash_node **const larger =
        table->memory.get(table->memory.context, bytes_of((uint8_t)(table->bits + 1)));

    if (larger == NULL)
        return;
    table->former = table->buckets;
    table->buckets = larger;
    table->bits++;
    table->moved = 0;
}

void vine_hash_table_insert(struct vine_hash_table *table, struct vine_hash_node *node,
                            uint64_t hash)
{
    if (table->former != NULL)
        move_some(table);
    else if (table->count >> table->bits != 0)
        grow(table);
    node->hash = hash;
    push(bucket_of(table, hash), node);
    table->count++;
}

void vine_hash_table_remove(struct vine_hash_table *table, struct vine_hash_node *node)
{
    struct vine_hash_node **place = bucket_of(table, node->hash);

    while (*place != node) {
        VINE_ASSERT(*place != NULL); /* it is not in this table */
        place = &(*place)->next;
    }
    *place = node->next;
    node->next = NULL;
    table->count--;
}

struct vine_hash_node *vine_hash_table_find(const struct vine_hash_table *table, uint64_t hash,
                                            vine_hash_match_fn match, const void *key)
{
    for (struct vine_hash_node *node = *bucket_of(table, hash); node != NULL; node = node->next)
        if (node->hash == hash && match(node, key))
            return node;
    return NULL;
}

/* The bucket at a place of a walk: the former ones that have not moved, and then the others. NULL:
 * there is no such place. */
static struct vine_hash_node *const *bucket_at(const struct vine_hash_table *table, size_t place)
{
    const size_t former_left =
        table->former == NULL ? 0 : ((size_t)1 << (table->bits - 1)) - table->moved;

    if (place < former_left)
        return &table->former[table->moved + place];
    place -= former_left;
    return place >> table->bits == 0 ? &table->buckets[place] : NULL;
}

struct vine_hash_node *vine_hash_table_next(const struct vine_hash_table *table,
                                            struct vine_hash_cursor *cursor)
{
    struct vine_hash_node *node = cursor->next;

    while (node == NULL) {
        struct vine_hash_node *const *const bucket = bucket_at(table, cursor->bucket);

        if (bucket == NULL)
            return NULL;
        cursor->bucket++;
        node = *bucket;
    }
    cursor->next = node->next;
    return node;
}
