/* SPDX-License-Identifier: Apache-2.0 */
#include "times.h"

#include <string.h>

#define MILLION 1000000U

void times_clear(struct times *times)
{
    memset(times, 0, sizeof(*times));
}

uint64_t times_percentile(const struct times *times, uint32_t millionths)
{
    /* From 1, and rounded up; that many times fit the product for more than a century. */
    const uint64_t rank = (times->all.count * millionths + MILLION - 1) / MILLION;
    uint64_t seen = 0;

    for (uint32_t ns = 0; ns < TIMES_EXACT_NS && rank > 0; ns++) {
        seen += times->counts[ns];
        if (seen >= rank)
            return ns;
    }
    return vine__histogram_percentile(&times->all, millionths);
}
