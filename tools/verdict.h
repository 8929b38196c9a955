/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict.h - whether handing work out pays, told from rounds in which it was done both ways.
 *
 * What decides is the ratio of the two medians, and that ratio is what is shown: nobody reads two
 * figures and a sentence that contradicts them. The rounds have a say, too: where too many of them
 * are of the other opinion, the machine changed under the measurement and there is no answer.
 */
#ifndef VINE_TOOLS_VERDICT_H
#define VINE_TOOLS_VERDICT_H

#include <stdbool.h>

#define VERDICT_ROUNDS_MAX 31
#define VERDICT_TEXT_MAX   256

/* As much as this either way is no difference. */
#define VERDICT_MARGIN 0.05

/* X(name, word): the word stands in --json. */
#define VERDICTS(X)                                                                                \
    X(PAYS, "pays")                                                                                \
    X(COSTS, "costs")                                                                              \
    X(NEITHER, "neither") /* within the margin */                                                  \
    X(UNSURE, "unsure")   /* more than a quarter of the rounds say the contrary */

enum verdict {
#define VERDICT_NAME(name, word) VERDICT_##name,
    VERDICTS(VERDICT_NAME)
#undef VERDICT_NAME
};

double verdict_median(const double *values, unsigned count);

/* The median there over the median here. */
double verdict_ratio(const double *here, const double *there, unsigned count);

/* `are_times`: less is better; else they are rates. `count` from 1 to VERDICT_ROUNDS_MAX. */
enum verdict verdict_of(const double *here, const double *there, unsigned count, bool are_times);

const char *verdict_word(enum verdict verdict);

/* A sentence about tasks that go one at a time, or many in flight. Returns `ret_text`. */
const char *verdict_of_one(double ratio, enum verdict verdict, char ret_text[VERDICT_TEXT_MAX]);
const char *verdict_of_many(double ratio, enum verdict verdict, char ret_text[VERDICT_TEXT_MAX]);

#endif
