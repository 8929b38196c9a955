/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/table.h"

#include "utils/assert.h"
#include "utils/bits.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define COUNT_MAX (UINT32_C(1) << 31)

/* The finalizer of splitmix64: every bit of the key reaches every bit of the result. */
static uint64_t mix(uint64_t value)
{
    value ^= value >> 30;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    value ^= value >> 27;
    value *= UINT64_C(0x94d049bb133111eb);
    value ^= value >> 31;
    return value;
}

/* Mixed twice: a seed that is only added before one mix would keep the differences of keys, by
 * which a peer could still aim. */
static uint64_t home_of(const struct vine__table *table, uint64_t key)
{
    return mix(mix(key ^ table->seed) + table->seed) & table->mask;
}

static uint64_t slots_for(uint32_t count_max)
{
    return vine__ceil_power_of_two_u64((uint64_t)count_max * 2);
}

uint64_t vine__table_bytes(uint32_t count_max)
{
    return slots_for(count_max) * sizeof(struct vine__table_slot);
}

int vine__table_init(struct vine__table *table, uint32_t count_max, uint64_t seed)
{
    if (count_max == 0 || count_max > COUNT_MAX)
        return -EINVAL;
    const uint64_t slot_count = slots_for(count_max);
    struct vine__table_slot *slots = calloc(slot_count, sizeof(*slots));
    if (slots == NULL)
        return -ENOMEM;
    *table = (struct vine__table){
        .slots = slots, .mask = slot_count - 1, .seed = seed, .count_max = count_max};
    return 0;
}

void vine__table_fini(struct vine__table *table)
{
    free(table->slots);
    *table = (struct vine__table){0};
}

/* The slot that holds `key`, or the empty one where the search for it ends. There always is an
 * empty one: at most half are in use. */
static uint64_t search(const struct vine__table *table, uint64_t key)
{
    uint64_t at = home_of(table, key);
    while (table->slots[at].value != NULL && table->slots[at].key != key)
        at = (at + 1) & table->mask;
    return at;
}

int vine__table_insert(struct vine__table *table, uint64_t key, void *value)
{
    VINE_ASSERT(value != NULL);
    const uint64_t at = search(table, key);
    if (table->slots[at].value != NULL)
        return -EEXIST;
    if (table->count == table->count_max)
        return -ENOSPC;
    table->slots[at] = (struct vine__table_slot){.key = key, .value = value};
    table->count++;
    return 0;
}

void *vine__table_find(const struct vine__table *table, uint64_t key)
{
    return table->slots[search(table, key)].value;
}

void *vine__table_remove(struct vine__table *table, uint64_t key)
{
    uint64_t hole = search(table, key);
    void *removed = table->slots[hole].value;
    if (removed == NULL)
        return NULL;
    VINE_ASSERT(table->count > 0);
    table->count--;

    /* Entries behind the hole whose way from home leads through it move into it. */
    uint64_t at = hole;
    for (;;) {
        at = (at + 1) & table->mask;
        if (table->slots[at].value == NULL)
            break;
        const uint64_t way = (at - home_of(table, table->slots[at].key)) & table->mask;
        const uint64_t back = (at - hole) & table->mask;
        if (way >= back) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole] = (struct vine__table_slot){0};
    return removed;
}

bool vine__table_next(const struct vine__table *table, uint64_t *position, uint64_t *ret_key,
                      void **ret_value)
{
    for (uint64_t at = *position; at <= table->mask; at++) {
        if (table->slots[at].value == NULL)
            continue;
        if (ret_key != NULL)
            *ret_key = table->slots[at].key;
        *ret_value = table->slots[at].value;
        *position = at + 1;
        return true;
    }
    *position = table->mask + 1;
    return false;
}

bool vine__table_validate(const struct vine__table *table)
{
    uint64_t count = 0;
    for (uint64_t at = 0; at <= table->mask; at++) {
        if (table->slots[at].value == NULL)
            continue;
        count++;
        if (search(table, table->slots[at].key) != at)
            return false;
    }
    return count == table->count && table->count <= table->count_max &&
           (uint64_t)table->count_max * 2 <= table->mask + 1;
}
