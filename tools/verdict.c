/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"

static int compare_doubles(const void *one, const void *other)
{
    const double a = *(const double *)one, b = *(const double *)other;

    return a < b ? -1 : a > b;
}

double verdict_median(const double *values, unsigned count)
{
    double sorted[VERDICT_ROUNDS_MAX];

    VINE_ASSERT(count > 0 && count <= VERDICT_ROUNDS_MAX);
    memcpy(sorted, values, count * sizeof(double));
    qsort(sorted, count, sizeof(double), compare_doubles);
    return count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

double verdict_ratio(const double *here, const double *there, unsigned count)
{
    return verdict_median(there, count) / verdict_median(here, count);
}

enum verdict verdict_of(const double *here, const double *there, unsigned count, bool are_times)
{
    const double ratio = verdict_ratio(here, there, count);
    const double gain = are_times ? 1 / ratio : ratio;
    unsigned contrary = 0;

    if (gain <= 1 + VERDICT_MARGIN && gain >= 1 / (1 + VERDICT_MARGIN))
        return VERDICT_NEITHER;
    for (unsigned i = 0; i < count; i++)
        contrary += (there[i] > here[i]) != (ratio > 1);
    if (4 * contrary > count)
        return VERDICT_UNSURE;
    return gain > 1 ? VERDICT_PAYS : VERDICT_COSTS;
}

const char *verdict_word(enum verdict verdict)
{
    static const char *const words[] = {
#define VERDICT_WORD(name, word) [VERDICT_##name] = (word),
        VERDICTS(VERDICT_WORD)
#undef VERDICT_WORD
    };

    return words[verdict];
}

static const char *const unsure = "the rounds disagree, so this decides nothing: measure longer";

const char *verdict_of_one(double ratio, enum verdict verdict, char ret_text[VERDICT_TEXT_MAX])
{
    static const char *const meanings[] = {
        [VERDICT_PAYS] = "offloading pays even one at a time",
        [VERDICT_COSTS] = "for one such task at a time, offloading does not pay",
        [VERDICT_NEITHER] = "offloading one at a time neither pays nor costs",
    };

    snprintf(ret_text, VERDICT_TEXT_MAX,
             "Hashing 4 KiB takes %.2f times as long over Vine as here: %s.", ratio,
             verdict == VERDICT_UNSURE ? unsure : meanings[verdict]);
    return ret_text;
}

const char *verdict_of_many(double ratio, enum verdict verdict, char ret_text[VERDICT_TEXT_MAX])
{
    static const char *const meanings[] = {
        [VERDICT_PAYS] = "offloading pays",
        [VERDICT_COSTS] = "it does not pay, unless this thread has better to do",
        [VERDICT_NEITHER] = "it pays where this thread has better to do",
    };

    snprintf(ret_text, VERDICT_TEXT_MAX,
             "With many in flight an appliance hashes %.2f times as many as this thread alone: %s.",
             ratio, verdict == VERDICT_UNSURE ? unsure : meanings[verdict]);
    return ret_text;
}
