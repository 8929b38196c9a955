/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A collection: each core's picture of its own metrics comes by a call, and the pictures, which are
 * in order, are merged into text as far as each turn allows.
 */
#include "core/metrics/metrics_internal.h"

#include <vine/reactor.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"
#include "utils/container_of.h"

#define TOLD_BYTES 400 /* of a metric, in a line */

struct from_core {
    struct vine_core_call call;
    struct vine__metrics_snapshot *snapshot;
    uint32_t at; /* the next sample of it */
};

struct collection {
    struct vine_metrics_sink sink;
    enum vine_metrics_form form;
    struct vine_work work;
    struct vine__metrics_text text;
    struct vine__metrics_place place;
    int error;
    uint32_t pending;
    uint32_t core_count;
    struct from_core cores[];
};

/* ---- text ------------------------------------------------------------------------------------ */

void vine__metrics_text_flush(struct vine__metrics_text *text)
{
    if (text->length > 0)
        text->sink->text(text->sink->context, text->bytes, text->length);
    text->length = 0;
}

/* Make room by handing on the lines that are whole. */
static void hand_on_lines(struct vine__metrics_text *text)
{
    const char *const end = memrchr(text->bytes, '\n', text->length);
    const uint32_t whole = end != NULL ? (uint32_t)(end - text->bytes) + 1 : text->length;

    if (whole > 0)
        text->sink->text(text->sink->context, text->bytes, whole);
    text->length -= whole;
    memmove(text->bytes, text->bytes + whole, text->length);
}

static void add_bytes(struct vine__metrics_text *text, const char *bytes, size_t length)
{
    while (length > 0) {
        const size_t room = sizeof(text->bytes) - text->length;
        const size_t part = length < room ? length : room;

        memcpy(text->bytes + text->length, bytes, part);
        text->length += (uint32_t)part;
        bytes += part;
        length -= part;
        if (text->length == sizeof(text->bytes))
            hand_on_lines(text);
    }
}

void vine__metrics_add_text(struct vine__metrics_text *text, const char *more)
{
    add_bytes(text, more, strlen(more));
}

void vine__metrics_add(struct vine__metrics_text *text, const char *format, ...)
{
    char piece[sizeof(text->bytes) / 8];
    va_list arguments;

    va_start(arguments, format);
    const int length = vsnprintf(piece, sizeof(piece), format, arguments);

    va_end(arguments);
    VINE_ASSERT(length >= 0);
    add_bytes(text, piece, (size_t)length < sizeof(piece) ? (size_t)length : sizeof(piece) - 1);
}

/* ---- merging --------------------------------------------------------------------------------- */

static const struct vine__metric_sample *next_of(const struct from_core *from)
{
    return from->at < from->snapshot->count ? &from->snapshot->samples[from->at] : NULL;
}

/* The core that has the next sample of all, of equal ones the first core; core_count: none has. */
static uint32_t find_next(const struct collection *collection)
{
    const struct vine__metric_sample *least = NULL;
    uint32_t found = collection->core_count;

    for (uint32_t core = 0; core < collection->core_count; core++) {
        const struct vine__metric_sample *const sample = next_of(&collection->cores[core]);

        if (sample != NULL &&
            (least == NULL ||
             vine__metric_order(sample->name, sample->labels, least->name, least->labels) < 0)) {
            least = sample;
            found = core;
        }
    }
    return found;
}

static void end(struct collection *collection)
{
    const struct vine_metrics_sink sink = collection->sink;
    const int error = collection->error;

    for (uint32_t core = 0; core < collection->core_count; core++)
        free(collection->cores[core].snapshot);
    free(collection);
    sink.done(sink.context, error);
}

static void write_some(struct vine_work *work)
{
    struct collection *const collection = VINE_CONTAINER_OF(work, struct collection, work);
    uint32_t core;

    do {
        const struct vine__metric_sample *sample = NULL;

        core = collection->error == 0 ? find_next(collection) : collection->core_count;
        if (core < collection->core_count)
            sample = &collection->cores[core].snapshot->samples[collection->cores[core].at++];
        if (collection->form == VINE_METRICS_TABLE)
            vine__metrics_write_table(&collection->text, &collection->place, sample, core);
        else
            vine__metrics_write_prometheus(&collection->text, &collection->place, sample, core);
        if (sample == NULL) {
            vine__metrics_text_flush(&collection->text);
            end(collection);
            return;
        }
    } while (!vine_need_preempt());
    vine_work_post(work);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* On each core. What is made here is freed where it is read. */
static int64_t take(void *argument)
{
    struct from_core *const from = argument;

    return vine__metrics_take(&from->snapshot);
}

int vine__metrics_tell(const char *prefix, void (*line)(void *context, const char *line),
                       void *context)
{
    const size_t length = strlen(prefix);
    struct vine__metrics_snapshot *snapshot;
    const int error = vine__metrics_take(&snapshot);

    for (uint32_t i = 0; error == 0 && i < snapshot->count; i++) {
        const struct vine__metric_sample *const sample = &snapshot->samples[i];
        char number[VINE__METRIC_NUMBER_BYTES], text[TOLD_BYTES];

        if (strncmp(sample->name, prefix, length) != 0 || sample->shape != NULL ||
            sample->value == 0)
            continue;
        (void)snprintf(text, sizeof(text), sample->labels[0] != '\0' ? "%s{%s} %s" : "%s%s %s",
                       sample->name, sample->labels, vine__metric_number(sample->value, number));
        line(context, text);
    }
    if (error == 0)
        free(snapshot);
    return error;
}

static struct collection *collection_of(struct vine_core_call *call)
{
    const struct from_core *const from = VINE_CONTAINER_OF(call, struct from_core, call);

    return VINE_CONTAINER_OF(from - call->core, struct collection, cores[0]);
}

static void see_taken(struct vine_core_call *call)
{
    struct collection *const collection = collection_of(call);

    if (vine_core_call_result(call) != 0)
        collection->error = (int)vine_core_call_result(call);
    if (--collection->pending == 0)
        vine_work_post(&collection->work);
}

int vine_metrics_collect(enum vine_metrics_form form, const struct vine_metrics_sink *sink)
{
    const uint32_t core_count = vine_core_count();

    VINE_ASSERT(sink->text != NULL && sink->done != NULL);
    struct collection *const collection =
        calloc(1, sizeof(*collection) + core_count * sizeof(collection->cores[0]));

    if (collection == NULL)
        return -ENOMEM;
    collection->sink = *sink;
    collection->form = form;
    collection->text.sink = &collection->sink;
    collection->pending = core_count;
    collection->core_count = core_count;
    vine_work_init(&collection->work, write_some);
    for (uint32_t core = 0; core < core_count; core++)
        vine_core_call(&collection->cores[core].call, core, take, &collection->cores[core],
                       see_taken);
    return 0;
}
