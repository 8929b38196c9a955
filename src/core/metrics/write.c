/* SPDX-License-Identifier: Apache-2.0 */
/* The two forms in which metrics are written: Prometheus's text format, and one for people. */
#include "core/metrics/metrics_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const kinds[] = {
    [VINE_METRIC_COUNTER] = "counter",
    [VINE_METRIC_GAUGE] = "gauge",
    [VINE_METRIC_HISTOGRAM] = "histogram",
};

const char *vine__metric_number(double value, char ret_text[VINE__METRIC_NUMBER_BYTES])
{
    if (isnan(value) || isinf(value)) {
        const char *const word = isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";

        (void)snprintf(ret_text, VINE__METRIC_NUMBER_BYTES, "%s", word);
        return ret_text;
    }
    (void)snprintf(ret_text, VINE__METRIC_NUMBER_BYTES, "%.15g", value);
    /* The program's locale may have another point, of several bytes. */
    const size_t digits = strspn(ret_text, "-0123456789");
    const size_t point = strcspn(ret_text + digits, "0123456789e");

    if (point > 0) {
        ret_text[digits] = '.';
        memmove(ret_text + digits + 1, ret_text + digits + point,
                strlen(ret_text + digits + point) + 1);
    }
    return ret_text;
}

/* Whether the sample is of another name than the one before. */
static bool begins_family(struct vine__metrics_place *place,
                          const struct vine__metric_sample *sample)
{
    if (place->family != NULL && strcmp(place->family->name, sample->name) == 0)
        return false;
    place->family = sample;
    return true;
}

static bool is_like_its_family(const struct vine__metrics_place *place,
                               const struct vine__metric_sample *sample)
{
    return place->family->kind == sample->kind && strcmp(place->family->unit, sample->unit) == 0;
}

/* ---- Prometheus ------------------------------------------------------------------------------ */

/* Name, what is added to it, and labels. `le`: one more label, or NULL. */
static void add_head(struct vine__metrics_text *text, const struct vine__metric_sample *sample,
                     const char *more, uint32_t core, const char *le)
{
    vine__metrics_add_text(text, sample->name);
    vine__metrics_add(text, "%s{core=\"%" PRIu32 "\"%s", more, core,
                      sample->labels[0] != '\0' ? "," : "");
    vine__metrics_add_text(text, sample->labels);
    if (le != NULL)
        vine__metrics_add(text, ",le=\"%s\"", le);
    vine__metrics_add_text(text, "} ");
}

static void add_help(struct vine__metrics_text *text, const struct vine__metric_sample *sample)
{
    vine__metrics_add(text, "# HELP %s ", sample->name);
    for (const char *help = sample->help; *help != '\0'; help++) {
        const char escaped[3] = {'\\', *help == '\n' ? 'n' : '\\', '\0'};
        const char plain[2] = {*help, '\0'};

        vine__metrics_add_text(text, *help == '\n' || *help == '\\' ? escaped : plain);
    }
    vine__metrics_add(text, "\n# TYPE %s %s\n", sample->name, kinds[sample->kind]);
    if (sample->unit[0] != '\0') /* to Prometheus itself a comment; OpenMetrics knows it */
        vine__metrics_add(text, "# UNIT %s %s\n", sample->name, sample->unit);
}

static void add_shape(struct vine__metrics_text *text, const struct vine__metric_sample *sample,
                      uint32_t core)
{
    const struct vine__metric_shape *const shape = sample->shape;
    char number[VINE__METRIC_NUMBER_BYTES];

    for (uint32_t i = 0; i < VINE__METRIC_BOUNDS; i++) {
        const double bound = (double)((UINT64_C(1) << 2 * i) - 1) * sample->scale;

        add_head(text, sample, "_bucket", core, vine__metric_number(bound, number));
        vine__metrics_add(text, "%" PRIu64 "\n", shape->up_to[i]);
    }
    add_head(text, sample, "_bucket", core, "+Inf");
    vine__metrics_add(text, "%" PRIu64 "\n", shape->count);
    add_head(text, sample, "_sum", core, NULL);
    vine__metrics_add(text, "%s\n", vine__metric_number(shape->sum * sample->scale, number));
    add_head(text, sample, "_count", core, NULL);
    vine__metrics_add(text, "%" PRIu64 "\n", shape->count);
}

void vine__metrics_write_prometheus(struct vine__metrics_text *text,
                                    struct vine__metrics_place *place,
                                    const struct vine__metric_sample *sample, uint32_t core)
{
    char number[VINE__METRIC_NUMBER_BYTES];

    if (sample == NULL)
        return;
    if (begins_family(place, sample))
        add_help(text, sample);
    else if (!is_like_its_family(place, sample))
        return;
    if (sample->shape != NULL) {
        add_shape(text, sample, core);
        return;
    }
    add_head(text, sample, "", core, NULL);
    if (sample->is_exact)
        vine__metrics_add(text, "%" PRIu64 "\n", sample->exact);
    else
        vine__metrics_add(text, "%s\n", vine__metric_number(sample->value, number));
}

/* ---- for people ------------------------------------------------------------------------------ */

static void add_row(struct vine__metrics_text *text, const char *who, const char *labels,
                    const char *value)
{
    vine__metrics_add(text, "  %-10s", who);
    if (labels[0] != '\0') {
        vine__metrics_add_text(text, labels);
        vine__metrics_add_text(text, "  ");
    }
    vine__metrics_add_text(text, value);
    vine__metrics_add_text(text, "\n");
}

/* What several cores count under the same labels belongs together; levels may not. */
static void end_labels(struct vine__metrics_text *text, struct vine__metrics_place *place)
{
    const struct vine__metric_sample *const sample = place->labels;
    char number[VINE__METRIC_NUMBER_BYTES];

    if (sample != NULL && sample->kind == VINE_METRIC_COUNTER && place->cores > 1) {
        if (sample->is_exact)
            (void)snprintf(number, sizeof(number), "%" PRIu64, place->exact_sum);
        else
            (void)vine__metric_number(place->sum, number);
        add_row(text, "all", sample->labels, number);
    }
    place->labels = NULL;
    place->cores = 0;
    place->sum = 0;
    place->exact_sum = 0;
}

static void compose_value(const struct vine__metric_sample *sample, char *ret_value, size_t size)
{
    const struct vine__metric_shape *const shape = sample->shape;
    char numbers[5][VINE__METRIC_NUMBER_BYTES];

    if (shape == NULL) {
        if (sample->is_exact)
            (void)snprintf(ret_value, size, "%" PRIu64, sample->exact);
        else
            (void)snprintf(ret_value, size, "%s", vine__metric_number(sample->value, numbers[0]));
        return;
    }
    if (shape->count == 0) {
        (void)snprintf(ret_value, size, "0 values");
        return;
    }
    (void)snprintf(
        ret_value, size, "%" PRIu64 " values, mean %s, half %s, 90%% %s, 99%% %s, greatest %s",
        shape->count,
        vine__metric_number(shape->sum / (double)shape->count * sample->scale, numbers[0]),
        vine__metric_number((double)shape->half * sample->scale, numbers[1]),
        vine__metric_number((double)shape->most_of_ten * sample->scale, numbers[2]),
        vine__metric_number((double)shape->most_of_hundred * sample->scale, numbers[3]),
        vine__metric_number((double)shape->greatest * sample->scale, numbers[4]));
}

void vine__metrics_write_table(struct vine__metrics_text *text, struct vine__metrics_place *place,
                               const struct vine__metric_sample *sample, uint32_t core)
{
    char value[320];
    char who[24];

    if (sample == NULL) {
        end_labels(text, place);
        return;
    }
    if (place->labels != NULL && vine__metric_order(place->labels->name, place->labels->labels,
                                                    sample->name, sample->labels) != 0)
        end_labels(text, place);
    if (begins_family(place, sample)) {
        vine__metrics_add(text, "%s: ", sample->name);
        vine__metrics_add_text(text, sample->help);
        vine__metrics_add_text(text, "\n");
    } else if (!is_like_its_family(place, sample)) {
        return;
    }
    if (place->labels == NULL)
        place->labels = sample;
    place->cores++;
    place->sum += sample->value;
    place->exact_sum += sample->exact;
    compose_value(sample, value, sizeof(value));
    (void)snprintf(who, sizeof(who), "core %" PRIu32, core);
    add_row(text, who, sample->labels, value);
}
