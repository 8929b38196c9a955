/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of a core: a list in the order in which they are told, and a picture of it. */
#include "core/metrics/metrics_internal.h"

#include <vine/reactor.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"
#include "utils/bits.h"

#define LABELS_BYTES 1024 /* of one metric, escaped */

struct vine__metric {
    struct vine__metric *next;
    struct vine_metric_description description; /* its texts are those that follow */
    const char *labels;                         /* as Prometheus writes them, without braces */
    char texts[];
};

struct registry {
    struct vine__metric *first; /* by name and labels */
    struct vine_metrics_refresh *refresh;
};

/* Each is its core's alone. It is there from the first thing that is registered on. */
static struct registry *registries[VINE_CORES_MAX];

static int have_registry(struct registry **ret_registry)
{
    struct registry **const place = &registries[vine_core()];

    if (*place == NULL)
        *place = calloc(1, sizeof(**place));
    if (*place == NULL)
        return -ENOMEM;
    *ret_registry = *place;
    return 0;
}

int vine__metric_order(const char *name_a, const char *labels_a, const char *name_b,
                       const char *labels_b)
{
    const int order = strcmp(name_a, name_b);

    return order != 0 ? order : strcmp(labels_a, labels_b);
}

/* ---- what a description may say -------------------------------------------------------------- */

static bool is_name(const char *name, const char *also)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char digits[] = "0123456789";

    if (name == NULL || name[0] == '\0' || strchr(digits, name[0]) != NULL)
        return false;
    if (strlen(name) > VINE_METRIC_NAME_BYTES_MAX)
        return false;
    for (; *name != '\0'; name++)
        if (strchr(letters, *name) == NULL && strchr(digits, *name) == NULL &&
            strchr(also, *name) == NULL)
            return false;
    return true;
}

static bool ends_with(const char *name, size_t length, const char *end)
{
    const size_t end_length = strlen(end);

    return length > end_length && memcmp(name + length - end_length, end, end_length) == 0;
}

/* seconds of request_seconds and request_seconds_total. */
static bool has_unit(const char *name, const char *unit)
{
    size_t length = strlen(name);

    if (ends_with(name, length, "_total"))
        length -= strlen("_total");
    return is_name(unit, "") && ends_with(name, length, unit) &&
           name[length - strlen(unit) - 1] == '_';
}

static bool has_one_source(const struct vine_metric_description *description)
{
    const bool is_counter = description->kind == VINE_METRIC_COUNTER;
    const bool is_gauge = description->kind == VINE_METRIC_GAUGE;
    const int given = (description->count != NULL) + (description->level != NULL) +
                      (description->fn != NULL) + (description->histogram != NULL);

    return given == 1 &&
           ((description->count != NULL && is_counter) ||
            (description->level != NULL && is_gauge) ||
            (description->fn != NULL && (is_counter || is_gauge)) ||
            (description->histogram != NULL && description->kind == VINE_METRIC_HISTOGRAM));
}

static bool is_sound(const struct vine_metric_description *description)
{
    if (!is_name(description->name, ":") || description->help == NULL)
        return false;
    if (description->unit != NULL && !has_unit(description->name, description->unit))
        return false;
    if (description->label_count > VINE_METRIC_LABELS_MAX)
        return false;
    for (uint32_t i = 0; i < description->label_count; i++) {
        const struct vine_label *const label = &description->labels[i];

        if (!is_name(label->name, "") || label->value == NULL || strcmp(label->name, "core") == 0 ||
            strcmp(label->name, "le") == 0)
            return false;
        for (uint32_t other = 0; other < i; other++)
            if (strcmp(label->name, description->labels[other].name) == 0)
                return false;
    }
    return has_one_source(description);
}

/* ---- texts ----------------------------------------------------------------------------------- */

struct composed {
    char *bytes;
    size_t size_bytes, length;
};

/* What does not fit is not there, and is found by the length. */
static void put(struct composed *text, char byte)
{
    if (text->length < text->size_bytes)
        text->bytes[text->length] = byte;
    text->length++;
}

static void put_text(struct composed *text, const char *more)
{
    while (*more != '\0')
        put(text, *more++);
}

static void put_escaped(struct composed *text, const char *more)
{
    for (; *more != '\0'; more++) {
        if (*more == '\n') {
            put_text(text, "\\n");
            continue;
        }
        if (*more == '"' || *more == '\\')
            put(text, '\\');
        put(text, *more);
    }
}

static int compose_labels(const struct vine_metric_description *description,
                          char ret_labels[LABELS_BYTES])
{
    struct composed text = {.bytes = ret_labels, .size_bytes = LABELS_BYTES};

    for (uint32_t i = 0; i < description->label_count; i++) {
        if (i > 0)
            put(&text, ',');
        put_text(&text, description->labels[i].name);
        put_text(&text, "=\"");
        put_escaped(&text, description->labels[i].value);
        put(&text, '"');
    }
    put(&text, '\0');
    return text.length <= LABELS_BYTES ? 0 : -EINVAL;
}

/* A copy behind what is there already. */
static const char *copy_text(char **end, const char *text)
{
    const size_t size_bytes = strlen(text) + 1;
    char *const copy = *end;

    memcpy(copy, text, size_bytes);
    *end += size_bytes;
    return copy;
}

static struct vine__metric *make(const struct vine_metric_description *description,
                                 const char *labels)
{
    const char *const unit = description->unit != NULL ? description->unit : "";
    struct vine__metric *const metric =
        malloc(sizeof(*metric) + strlen(description->name) + strlen(description->help) +
               strlen(unit) + strlen(labels) + 4);

    if (metric == NULL)
        return NULL;
    char *end = metric->texts;

    metric->description = *description;
    metric->description.name = copy_text(&end, description->name);
    metric->description.help = copy_text(&end, description->help);
    metric->description.unit = copy_text(&end, unit);
    metric->labels = copy_text(&end, labels);
    metric->description.labels = NULL;
    if (description->scale == 0)
        metric->description.scale = 1;
    return metric;
}

/* ---- the list -------------------------------------------------------------------------------- */

/* Returns 0, -EEXIST, or -EINVAL: others of its name are not like it. */
static int insert(struct registry *registry, struct vine__metric *metric)
{
    const struct vine_metric_description *const own = &metric->description;
    struct vine__metric **place = NULL;

    for (struct vine__metric **at = &registry->first; *at != NULL; at = &(*at)->next) {
        const struct vine_metric_description *const other = &(*at)->description;
        const int order = vine__metric_order(other->name, (*at)->labels, own->name, metric->labels);

        if (strcmp(other->name, own->name) == 0 &&
            (other->kind != own->kind || strcmp(other->unit, own->unit) != 0))
            return -EINVAL;
        if (order == 0)
            return -EEXIST;
        if (order < 0)
            place = &(*at)->next;
    }
    if (place == NULL)
        place = &registry->first;
    metric->next = *place;
    *place = metric;
    return 0;
}

int vine_metric_register(struct vine_metric *ret_metric,
                         const struct vine_metric_description *description)
{
    char labels[LABELS_BYTES];
    struct registry *registry;
    struct vine__metric *metric;
    int error;

    if (!is_sound(description) || compose_labels(description, labels) != 0)
        return -EINVAL;
    error = have_registry(&registry);
    if (error != 0)
        return error;
    metric = make(description, labels);
    if (metric == NULL)
        return -ENOMEM;
    error = insert(registry, metric);
    if (error == 0)
        ret_metric->record = metric;
    else
        free(metric);
    return error;
}

void vine_metric_unregister(struct vine_metric *metric)
{
    struct registry *const registry = registries[vine_core()];

    if (metric->record == NULL)
        return;
    VINE_ASSERT(registry != NULL); /* it was registered on this core */
    struct vine__metric **place = &registry->first;

    while (*place != metric->record) {
        VINE_ASSERT(*place != NULL);
        place = &(*place)->next;
    }
    *place = metric->record->next;
    free(metric->record);
    metric->record = NULL;
}

int vine_metrics_refresh_add(struct vine_metrics_refresh *refresh, void (*fn)(void *context),
                             void *context)
{
    struct registry *registry;
    const int error = have_registry(&registry);

    if (error != 0)
        return error;
    *refresh =
        (struct vine_metrics_refresh){.next = registry->refresh, .fn = fn, .context = context};
    registry->refresh = refresh;
    return 0;
}

void vine_metrics_refresh_remove(struct vine_metrics_refresh *refresh)
{
    struct registry *const registry = registries[vine_core()];

    if (registry == NULL)
        return;
    for (struct vine_metrics_refresh **place = &registry->refresh; *place != NULL;
         place = &(*place)->next) {
        if (*place == refresh) {
            *place = refresh->next;
            return;
        }
    }
}

void vine__metrics_end(uint32_t core)
{
    struct registry *const registry = registries[core];

    if (registry == NULL)
        return;
    while (registry->first != NULL) {
        struct vine__metric *const metric = registry->first;

        registry->first = metric->next;
        free(metric);
    }
    free(registry);
    registries[core] = NULL;
}

/* ---- a picture of it ------------------------------------------------------------------------- */

static void take_value(const struct vine_metric_description *metric,
                       struct vine__metric_sample *sample)
{
    if (metric->count != NULL) {
        sample->exact = *metric->count;
        sample->value = (double)sample->exact * metric->scale;
        sample->is_exact = metric->scale == 1;
    } else if (metric->level != NULL) {
        sample->value = (double)*metric->level * metric->scale;
    } else {
        sample->value = metric->fn(metric->context) * metric->scale;
    }
}

/* Which may register more. Returns the first metric. */
static const struct vine__metric *refresh_all(void)
{
    const struct registry *const registry = registries[vine_core()];
    const struct vine_metrics_refresh *refresh = registry != NULL ? registry->refresh : NULL;

    for (; refresh != NULL; refresh = refresh->next)
        refresh->fn(refresh->context);
    return registry != NULL ? registry->first : NULL;
}

int vine__metrics_take(struct vine__metrics_snapshot **ret_snapshot)
{
    const struct vine__metric *const first = refresh_all();
    struct vine__metrics_snapshot *snapshot;
    size_t text_bytes = 0;
    uint32_t count = 0;
    uint32_t shape_count = 0;

    for (const struct vine__metric *at = first; at != NULL; at = at->next) {
        const struct vine_metric_description *const metric = &at->description;

        text_bytes += strlen(metric->name) + strlen(metric->help) + strlen(metric->unit) +
                      strlen(at->labels) + 4;
        shape_count += metric->histogram != NULL;
        count++;
    }
    snapshot = malloc(sizeof(*snapshot) + count * sizeof(snapshot->samples[0]) +
                      shape_count * sizeof(struct vine__metric_shape) + text_bytes);
    if (snapshot == NULL)
        return -ENOMEM;
    struct vine__metric_shape *shape = (struct vine__metric_shape *)&snapshot->samples[count];
    char *end = (char *)(shape + shape_count);

    snapshot->count = 0;
    for (const struct vine__metric *at = first; at != NULL; at = at->next) {
        const struct vine_metric_description *const metric = &at->description;
        struct vine__metric_sample *const sample = &snapshot->samples[snapshot->count++];

        *sample = (struct vine__metric_sample){
            .name = copy_text(&end, metric->name),
            .help = copy_text(&end, metric->help),
            .unit = copy_text(&end, metric->unit),
            .labels = copy_text(&end, at->labels),
            .kind = metric->kind,
            .scale = metric->scale,
        };
        if (metric->histogram != NULL) {
            sample->shape = shape++;
            vine__histogram_shape(metric->histogram, sample->shape);
        } else {
            take_value(metric, sample);
        }
    }
    *ret_snapshot = snapshot;
    return 0;
}
