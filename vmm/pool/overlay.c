/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/overlay_internal.h"

#include "utils/container_of.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Neighbours fall apart; nobody chooses indices to make them meet but whoever made the image, and
 * then it is his own time. */
static uint64_t hash_of(uint64_t index)
{
    return (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool has_index(const struct vine_hash_node *node, const void *key)
{
    const struct vine__overlay_unit *const unit =
        VINE_CONTAINER_OF(node, struct vine__overlay_unit, node);

    return unit->index == *(const uint64_t *)key;
}

void vine__overlay_init(struct vine__overlay *overlay)
{
    *overlay = (struct vine__overlay){0};
    vine_hash_table_init(&overlay->table, NULL);
}

void vine__overlay_fini(struct vine__overlay *overlay)
{
    vine_hash_table_fini(&overlay->table);
    for (size_t i = 0; i < overlay->count; i++)
        free(overlay->units[i]);
    free(overlay->units);
    vine__overlay_init(overlay);
}

struct vine__overlay_unit *vine__overlay_find(const struct vine__overlay *overlay, uint64_t index)
{
    struct vine_hash_node *const node =
        overlay->count > 0
            ? vine_hash_table_find(&overlay->table, hash_of(index), has_index, &index)
            : NULL;

    return node != NULL ? VINE_CONTAINER_OF(node, struct vine__overlay_unit, node) : NULL;
}

int vine__overlay_put(struct vine__overlay *overlay, uint64_t index, const void *bytes)
{
    struct vine__overlay_unit *unit = vine__overlay_find(overlay, index);

    if (unit == NULL && overlay->count == overlay->capacity) {
        const size_t capacity = overlay->capacity > 0 ? 2 * overlay->capacity : 64;
        struct vine__overlay_unit **const units =
            realloc(overlay->units, capacity * sizeof(struct vine__overlay_unit *));

        if (units == NULL)
            return -ENOMEM;
        overlay->units = units;
        overlay->capacity = capacity;
    }
    if (unit == NULL) {
        unit = malloc(sizeof(*unit));
        if (unit == NULL)
            return -ENOMEM;
        unit->index = index;
        overlay->units[overlay->count++] = unit;
        vine_hash_table_insert(&overlay->table, &unit->node, hash_of(index));
    }
    memcpy(unit->bytes, bytes, sizeof(unit->bytes));
    return 0;
}

static int compare_units(const void *one, const void *other)
{
    const struct vine__overlay_unit *const a = *(struct vine__overlay_unit *const *)one;
    const struct vine__overlay_unit *const b = *(struct vine__overlay_unit *const *)other;

    return a->index < b->index ? -1 : a->index > b->index;
}

void vine__overlay_sort(struct vine__overlay *overlay)
{
    if (overlay->count > 1)
        qsort(overlay->units, overlay->count, sizeof(struct vine__overlay_unit *), compare_units);
}
