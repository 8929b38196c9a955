/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at a heap in which anything may stand: each word is read once, checked, and then used. */
#include "core/heap/heap_internal.h"

#include "core/heap/poison.h"
#include "utils/atomic.h"
#include "utils/hostile.h"

#include <string.h>

#include <vine/error.h>

struct look {
    const unsigned char *base;
    uint32_t first;
    uint32_t end; /* the place of the last header */
};

VINE__HEAP_UNSEEN static uint32_t read_word(const struct look *look, uint32_t place)
{
    VINE__MEMCHECK_LOOK_BEGINS();

    const uint32_t word =
        vine__load_relaxed_u32((const uint32_t *)(const void *)(look->base + place));

    VINE__MEMCHECK_LOOK_ENDS();
    return word;
}

/* A header; and links, where there are any. */
static struct vine__heap_block read_block(const struct look *look, uint32_t place)
{
    struct vine__heap_block block = {
        .size = read_word(look, place),
        .before = read_word(look, place + 4),
    };

    if ((block.size & USED) == 0 && look->end - place >= sizeof(block)) {
        block.next = read_word(look, place + 8);
        block.previous = read_word(look, place + 12);
    }
    return block;
}

static bool is_place(const struct look *look, uint32_t place)
{
    return place >= look->first && place <= look->end && place % GRAIN == HEADER;
}

/* Sizes forward and backward agree. Counts free blocks and segments. */
static bool blocks_agree(const struct look *look, uint32_t *ret_free_count,
                         uint32_t *ret_segment_count)
{
    uint32_t place = look->first, before = 0, free_count = 0, segment_count = 0;
    bool was_free = false;

    while (place != look->end) {
        const struct vine__heap_block block = read_block(look, place);
        const uint32_t size = block.size & ~FLAGS;
        const uint32_t flags = block.size & FLAGS;

        if (VINE__HOSTILE(size < BLOCK_MIN || size > look->end - place || block.before != before ||
                          (flags != 0 && flags != USED && flags != (USED | SEGMENT)) ||
                          (flags == 0 && was_free)))
            return false;
        was_free = flags == 0;
        free_count += flags == 0 ? 1 : 0;
        segment_count += (flags & SEGMENT) != 0 ? 1 : 0;
        before = size;
        place += size;
    }

    const struct vine__heap_block end = read_block(look, place);

    *ret_free_count = free_count;
    *ret_segment_count = segment_count;
    return end.size == USED && end.before == before;
}

/* As many in the lists as there are, each in its own. A list that runs in a circle is found by its
 * links, of which each has to name the one before. */
static bool lists_agree(const struct look *look, const struct vine__heap_head *head,
                        uint32_t free_count)
{
    uint32_t seen = 0;

    for (uint32_t class = 0; class < VINE__HEAP_CLASSES; class ++) {
        uint32_t place = head->free[class], previous = 0;

        if (VINE__HOSTILE((place != 0) != ((head->free_classes >> class & 1) != 0)))
            return false;
        while (place != 0) {
            if (VINE__HOSTILE(!is_place(look, place) || place == look->end || ++seen > free_count))
                return false;

            const struct vine__heap_block block = read_block(look, place);

            if (VINE__HOSTILE((block.size & FLAGS) != 0 || block.size < BLOCK_MIN ||
                              class_of(block.size) != class || block.previous != previous))
                return false;
            previous = place;
            place = block.next;
        }
    }
    return seen == free_count && head->free_classes >> VINE__HEAP_CLASSES == 0;
}

static bool segments_agree(const struct look *look, const struct vine__heap_head *head,
                           uint32_t segment_count)
{
    uint32_t place = head->segment, top = head->top;

    for (uint32_t n = 0; n < segment_count; n++) {
        if (VINE__HOSTILE(!is_place(look, place) || place == look->end))
            return false;

        const struct vine__heap_block block = read_block(look, place);
        const uint32_t size = block.size & ~FLAGS;

        if (VINE__HOSTILE((block.size & FLAGS) != (USED | SEGMENT) || size > look->end - place ||
                          top % GRAIN != 0 || top < place || top > place + size))
            return false;
        if (place == look->first)
            return n + 1 == segment_count;
        if (VINE__HOSTILE(size < HEADER + sizeof(struct vine__heap_segment)))
            return false;
        top = read_word(look, place + HEADER + 4);
        place = read_word(look, place + HEADER);
    }
    return false;
}

int vine__heap_validate(const struct vine__heap_head *shared, size_t size_bytes)
{
    struct vine__heap_head head;
    uint32_t free_count, segment_count;

    memcpy(&head, shared, sizeof(head));
    if (VINE__HOSTILE(head.magic != VINE__HEAP_MAGIC || head.size_bytes != size_bytes ||
                      head.head_bytes < sizeof(head) || head.head_bytes >= size_bytes - 2 * GRAIN ||
                      head.limit_bytes < size_bytes))
        return -VINE_ECORRUPT;

    const struct look look = {
        .base = (const unsigned char *)shared,
        .first = (head.head_bytes + HEADER + GRAIN - 1) / GRAIN * GRAIN - HEADER,
        .end = (uint32_t)size_bytes - HEADER,
    };

    if (!blocks_agree(&look, &free_count, &segment_count) ||
        !lists_agree(&look, &head, free_count) || !segments_agree(&look, &head, segment_count))
        return -VINE_ECORRUPT;
    return 0;
}
