/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/ages.h"

/* The note whose neighbours are the closest together for their age goes. */
static void thin_out(struct vine__ages *ages, uint64_t now_ticks)
{
    uint32_t least = 1;
    uint64_t least_part = UINT64_MAX;

    for (uint32_t i = 1; i + 1 < ages->count; i++) {
        const uint64_t gap = ages->notes[i + 1].ticks - ages->notes[i - 1].ticks;
        const uint64_t age = now_ticks - ages->notes[i].ticks;
        /* Ticks of some days, times a thousand, are far from 64 bits. */
        const uint64_t part = gap * 1024 / (age + 1);

        if (part < least_part) {
            least_part = part;
            least = i;
        }
    }
    for (uint32_t i = least; i + 1 < ages->count; i++)
        ages->notes[i] = ages->notes[i + 1];
    ages->count--;
}

void vine__ages_note(struct vine__ages *ages, uint32_t generation, uint64_t now_ticks)
{
    if (ages->count == VINE__AGES)
        thin_out(ages, now_ticks);
    ages->notes[ages->count++] = (struct vine__age){.generation = generation, .ticks = now_ticks};
}

uint64_t vine__ages_since(const struct vine__ages *ages, uint32_t generation, uint64_t now_ticks)
{
    uint32_t i = ages->count;

    while (i > 0 && (int32_t)(generation - ages->notes[i - 1].generation) < 0)
        i--;
    if (ages->count == 0)
        return now_ticks;
    return ages->notes[i > 0 ? i - 1 : 0].ticks;
}
