/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/metrics.h - what a program counts and measures, core by core, and its collection.
 *
 * Owns:     a metric owns copies of its texts; the word, function or histogram behind it stays the
 *           caller's while it is registered.
 * Threads:  reactors. A metric is registered, written and read on its own core alone, so that a
 *           count is an addition to a plain word; a collection asks each core for its own by calls.
 * Blocking: never. A collection is put into text in several turns, if one is too short.
 * Trust:    labels may be any text; it is escaped.
 * Limits:   VINE_METRIC_LABELS_MAX labels beside `core`, which each metric has by itself, together
 *           1 KiB; names of VINE_METRIC_NAME_BYTES_MAX bytes.
 *
 * Names are those of Prometheus: a noun of the program's, what is counted, its unit, and `_total`
 * for what only grows: vine_reactor_turns_total, server_request_seconds.
 */
#ifndef VINE_METRICS_H
#define VINE_METRICS_H

#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

#define VINE_METRIC_LABELS_MAX     8
#define VINE_METRIC_NAME_BYTES_MAX 200

/* ---- histograms ------------------------------------------------------------------------------ */

/* Whole numbers (nanoseconds, bytes) in 9 KiB; percentiles are at most 3.1 % above the true ones.
 * Values of 2^40 (18 minutes) and more count as that. One core's. */
struct vine_histogram;

/* Returns 0 or -ENOMEM. */
VINE_API VINE_MUST_CHECK int vine_histogram_create(struct vine_histogram **ret_histogram);
/* When no metric is registered for it any more. NULL is allowed. */
VINE_API void vine_histogram_destroy(struct vine_histogram *histogram);
VINE_API void vine_histogram_record(struct vine_histogram *histogram, uint64_t value);

/* ---- metrics --------------------------------------------------------------------------------- */

enum vine_metric_kind {
    VINE_METRIC_COUNTER, /* only grows */
    VINE_METRIC_GAUGE,   /* goes up and down */
    VINE_METRIC_HISTOGRAM,
    VINE_METRIC_KIND_COUNT,
};

/* Called on the metric's core, when it is collected. */
typedef double (*vine_metric_fn)(void *context);

struct vine_label {
    const char *name; /* a letter or _, then these and digits; not `core` and not `le` */
    const char *value;
};

/* What a metric is. All texts are copied. One of `count`, `level`, `fn`, `histogram` is given. */
struct vine_metric_description {
    const char *name;
    const char *help; /* a sentence */
    const char *unit; /* "seconds", "bytes"; NULL: none. The name ends with it, or with it and
                         _total */
    enum vine_metric_kind kind;
    const struct vine_label *labels; /* `label_count` of them */
    uint32_t label_count;
    double scale; /* what is told is the value times this, as 1e-9 for nanoseconds; 0: 1 */

    const uint64_t *count; /* of a counter */
    const int64_t *level;  /* of a gauge */
    vine_metric_fn fn;     /* of either, with `context` */
    void *context;
    const struct vine_histogram *histogram;
};

/* A metric that is known; a private field. */
struct vine__metric;
struct vine_metric {
    struct vine__metric *record;
};

/*
 * Make a metric known on the calling core, until it is unregistered or the reactors have stopped.
 *
 * Returns 0; -EINVAL: a name, label, unit or source that is none, or a kind or unit other than that
 *         of the metrics of this name here; -EEXIST: one with this name and these labels is here;
 *         -ENOMEM.
 */
VINE_API VINE_MUST_CHECK int
vine_metric_register(struct vine_metric *ret_metric,
                     const struct vine_metric_description *description);

/* On its core, while its reactor runs. A metric of zeroes and one that has been unregistered are
 * allowed. */
VINE_API void vine_metric_unregister(struct vine_metric *metric);

/* A function that is called on this core before its metrics are read: for words that are not
 * written as things happen, but are worked out together. It may register metrics. The caller's
 * memory; private fields. */
struct vine_metrics_refresh {
    struct vine_metrics_refresh *next;
    void (*fn)(void *context);
    void *context;
};

/* Returns 0 or -ENOMEM. */
VINE_API VINE_MUST_CHECK int vine_metrics_refresh_add(struct vine_metrics_refresh *refresh,
                                                      void (*fn)(void *context), void *context);
VINE_API void vine_metrics_refresh_remove(struct vine_metrics_refresh *refresh);

/* ---- collection ------------------------------------------------------------------------------ */

enum vine_metrics_form {
    VINE_METRICS_PROMETHEUS, /* its text format, version 0.0.4 */
    VINE_METRICS_TABLE,      /* for people: sums over cores, and percentiles of histograms */
};

/* Where a collection goes. All on the core that asked. */
struct vine_metrics_sink {
    void (*text)(void *context, const char *text, size_t size_bytes); /* some whole lines, many
                                                                         times */
    void (*done)(void *context,
                 int error); /* once, last: 0, or -ENOMEM and the text is not whole */
    void *context;
};

/*
 * Collect the metrics of all cores, by name, then labels, then core. `sink` is copied; nothing of
 * it is called within this call. A core whose metric of some name is of another kind than that of
 * a core before it is left out there.
 *
 * Returns 0 or -ENOMEM.
 */
VINE_API VINE_MUST_CHECK int vine_metrics_collect(enum vine_metrics_form form,
                                                  const struct vine_metrics_sink *sink);

VINE_END_DECLARATIONS

#endif
