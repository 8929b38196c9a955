/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/metrics/metrics_internal.h - what one core tells another of its metrics.
 */
#ifndef VINE_CORE_METRICS_METRICS_INTERNAL_H
#define VINE_CORE_METRICS_METRICS_INTERNAL_H

#include "core/metrics/metrics.h"

#include <stdbool.h>

#include "utils/histogram.h"

/* The bounds of Prometheus's buckets: 4^0, 4^1 and so on, each less one, since a bucket has what
 * is equal to its bound. What is greater counts up to infinity alone. */
#define VINE__METRIC_BOUNDS (VINE__HISTOGRAM_VALUE_BITS / 2)

struct vine_histogram {
    struct vine__histogram times; /* of any whole number */
    double sum;
};

/* A histogram as it was. */
struct vine__metric_shape {
    uint64_t up_to[VINE__METRIC_BOUNDS]; /* how many values are below 4^i */
    uint64_t count;
    double sum;
    uint64_t half, most_of_ten, most_of_hundred, greatest; /* percentiles: 50, 90, 99, 100 */
};

/* A metric as it was. The texts lie in the snapshot. */
struct vine__metric_sample {
    const char *name;
    const char *help;
    const char *unit;
    const char *labels;
    enum vine_metric_kind kind;
    double scale;
    double value;
    uint64_t exact; /* the value, where it is a count without a scale */
    bool is_exact;
    struct vine__metric_shape *shape; /* of a histogram, else NULL */
};

/* All of one core's, in one block that its reader frees: samples, then shapes, then texts. */
struct vine__metrics_snapshot {
    uint32_t count;
    struct vine__metric_sample samples[];
};

/* Of the calling core. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__metrics_take(struct vine__metrics_snapshot **ret_snapshot);

void vine__histogram_shape(const struct vine_histogram *histogram,
                           struct vine__metric_shape *ret_shape);

/* -1, 0 or 1: which of two comes first, by name and then by labels. */
int vine__metric_order(const char *name_a, const char *labels_a, const char *name_b,
                       const char *labels_b);

/* A text that collects lines and hands them on when it is full. */
struct vine__metrics_text {
    const struct vine_metrics_sink *sink;
    uint32_t length;
    char bytes[8192];
};

void vine__metrics_text_flush(struct vine__metrics_text *text);

/* What has been written of one name, and of one name and labels. */
struct vine__metrics_place {
    const struct vine__metric_sample *family; /* the first of this name */
    const struct vine__metric_sample *labels; /* the first of these labels */
    uint32_t cores;                           /* of these labels */
    double sum;
    uint64_t exact_sum;
};

/* The two forms. `sample` is core `core`'s; NULL: that was the last. */
void vine__metrics_write_prometheus(struct vine__metrics_text *text,
                                    struct vine__metrics_place *place,
                                    const struct vine__metric_sample *sample, uint32_t core);
void vine__metrics_write_table(struct vine__metrics_text *text, struct vine__metrics_place *place,
                               const struct vine__metric_sample *sample, uint32_t core);

/* Add to the text. What is formatted is at most an eighth of it long; what is longer is cut. */
void vine__metrics_add(struct vine__metrics_text *text, const char *format, ...) VINE_PRINTF(2, 3);
void vine__metrics_add_text(struct vine__metrics_text *text, const char *more);

/* A number as Prometheus reads it, whatever the program's locale is. */
#define VINE__METRIC_NUMBER_BYTES 32
const char *vine__metric_number(double value, char ret_text[VINE__METRIC_NUMBER_BYTES]);

#endif
