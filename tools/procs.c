/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/inspect.h>

#include "utils/tables.h"

#include "connect.h"
#include "human.h"
#include "json.h"
#include "message.h"
#include "settings.h"
#include "status.h"
#include "verb.h"

#define PROCEDURES_MAX 1024

struct procs_values {
    const char *appliance;
    bool json;
    bool stats;
};

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [VINE_SCALAR] = "scalar", [VINE_BYTES] = "bytes",   [VINE_INPUT] = "input",
        [VINE_OUTPUT] = "output", [VINE_RESULT] = "result",
    };
    return kind < VINE_ARRAY_COUNT(names) && names[kind] != NULL ? names[kind] : "?";
}

static bool is_data(const struct vine_argument *argument)
{
    return argument->kind == VINE_INPUT || argument->kind == VINE_OUTPUT;
}

static void print_argument(const struct vine_argument *argument)
{
    char least[HUMAN_MAX], most[HUMAN_MAX];

    printf("    %-8s %-14s", kind_name(argument->kind), message_escape(argument->name));
    if (argument->kind == VINE_SCALAR)
        printf("%llu to %llu\n", (unsigned long long)argument->min,
               (unsigned long long)argument->max);
    else if (argument->min == argument->max)
        printf("%s%s%s\n", is_data(argument) ? human_data_type(argument->data_type) : "",
               is_data(argument) ? ", " : "", human_binary(argument->max, most));
    else
        printf("%s%s%s to %s\n", is_data(argument) ? human_data_type(argument->data_type) : "",
               is_data(argument) ? ", " : "", human_binary(argument->min, least),
               human_binary(argument->max, most));
}

static void print_procedure(const struct vine_procedure_info *info)
{
    const int fd = fileno(stdout);

    printf("%s%s%s  %s\n    on %s%s%s%s\n", message_colour_of(fd, COLOUR_BOLD),
           message_escape(info->name), message_colour_of(fd, COLOUR_PLAIN),
           message_escape(info->summary), message_escape(info->accelerator_type),
           info->copies_arguments ? "; copies its inputs before use" : "; reads inputs in place",
           info->has_sessions ? "; work may span tasks" : "", info->has_streams ? "; streams" : "");
    for (uint32_t i = 0; i < info->argument_count; i++)
        print_argument(&info->arguments[i]);
}

static json_t *describe(const struct vine_procedure_info *info)
{
    json_t *object = json_object(), *arguments = json_array();

    json_set_name(object, "name", info->name);
    json_set_name(object, "summary", info->summary);
    json_set_name(object, "accelerator", info->accelerator_type);
    json_object_set_new(object, "copies_arguments", json_boolean(info->copies_arguments));
    json_object_set_new(object, "has_sessions", json_boolean(info->has_sessions));
    json_object_set_new(object, "has_streams", json_boolean(info->has_streams));
    for (uint32_t i = 0; i < info->argument_count; i++) {
        const struct vine_argument *argument = &info->arguments[i];
        json_t *row = json_object();
        json_set_name(row, "name", argument->name);
        json_object_set_new(row, "kind", json_string(kind_name(argument->kind)));
        if (is_data(argument))
            json_object_set_new(row, "type", json_string(human_data_type(argument->data_type)));
        json_object_set_new(row, "min", json_unsigned(argument->min));
        json_object_set_new(row, "max", json_unsigned(argument->max));
        json_array_append_new(arguments, row);
    }
    json_object_set_new(object, "arguments", arguments);
    return object;
}

static int compare(const void *one, const void *other)
{
    return strcmp(vine_procedure_describe(*(struct vine_procedure *const *)one)->name,
                  vine_procedure_describe(*(struct vine_procedure *const *)other)->name);
}

static int list(struct vine_pipe *pipe, bool json)
{
    struct vine_procedure **procedures = calloc(PROCEDURES_MAX, sizeof(struct vine_procedure *));
    json_t *array = json_array();

    const int count =
        procedures != NULL ? vine_procedure_list(pipe, procedures, PROCEDURES_MAX) : -ENOMEM;
    if (count < 0) {
        message_error("cannot list the procedures: %s", vine_error_text(count));
        free(procedures);
        json_decref(array);
        return status_of_error(count);
    }
    const size_t shown = count < PROCEDURES_MAX ? (size_t)count : PROCEDURES_MAX;
    qsort(procedures, shown, sizeof(struct vine_procedure *), compare);
    for (size_t i = 0; i < shown; i++) {
        const struct vine_procedure_info *info = vine_procedure_describe(procedures[i]);
        if (json)
            json_array_append_new(array, describe(info));
        else
            print_procedure(info);
    }
    free(procedures);
    if (json)
        return json_print(array);
    json_decref(array);
    return STATUS_DONE;
}

/* ---- statistics ------------------------------------------------------------------------------ */

static int compare_stats(const void *one, const void *other)
{
    const struct vine_procedure_stats *first = one, *second = other;

    return strcmp(first->name, second->name);
}

static json_t *describe_durations(const struct vine_durations *durations)
{
    json_t *object = json_object();

    json_object_set_new(object, "total_ns", json_unsigned(durations->total_ns));
    json_object_set_new(object, "p50_ns", json_unsigned(durations->p50_ns));
    json_object_set_new(object, "p99_ns", json_unsigned(durations->p99_ns));
    json_object_set_new(object, "max_ns", json_unsigned(durations->max_ns));
    return object;
}

static json_t *describe_stats(const struct vine_procedure_stats *stats)
{
    json_t *object = json_object();

    json_set_name(object, "name", stats->name);
    json_object_set_new(object, "tasks", json_unsigned(stats->tasks_done));
    json_object_set_new(object, "errors", json_unsigned(stats->tasks_failed));
    json_object_set_new(object, "late", json_unsigned(stats->tasks_late));
    json_object_set_new(object, "long_runs", json_unsigned(stats->runs_long));
    json_object_set_new(object, "bytes_in", json_unsigned(stats->bytes_in));
    json_object_set_new(object, "bytes_out", json_unsigned(stats->bytes_out));
    json_object_set_new(object, "queued", describe_durations(&stats->queued));
    json_object_set_new(object, "run", describe_durations(&stats->run));
    return object;
}

static void print_stats(const struct vine_procedure_stats *stats)
{
    const uint64_t durations[] = {stats->queued.p50_ns, stats->queued.p99_ns, stats->run.p50_ns,
                                  stats->run.p99_ns, stats->run.max_ns};
    char done[HUMAN_MAX], failed[HUMAN_MAX], in[HUMAN_MAX], out[HUMAN_MAX];

    printf("%-16s %8s %8s", message_escape(stats->name), human_count_brief(stats->tasks_done, done),
           human_count_brief(stats->tasks_failed, failed));
    for (size_t i = 0; i < VINE_ARRAY_COUNT(durations); i++) {
        char text[HUMAN_MAX];
        const bool has_run = stats->run.max_ns != 0;
        printf(" %8s", has_run ? human_ns_brief(durations[i], text) : "-");
    }
    printf(" %9s %9s\n", human_bytes(stats->bytes_in, in), human_bytes(stats->bytes_out, out));
    if (stats->tasks_late > 0)
        printf("%26s of these errors were deadlines\n", human_count_brief(stats->tasks_late, done));
    if (stats->runs_long > 0)
        printf("%17s runs held the loop for too long\n", human_count_brief(stats->runs_long, done));
}

static int list_stats(struct vine_pipe *pipe, bool json)
{
    struct vine_procedure_stats *stats = calloc(PROCEDURES_MAX, sizeof(*stats));
    const int count =
        stats != NULL ? vine_inspect_procedures(pipe, stats, PROCEDURES_MAX) : -ENOMEM;
    json_t *array = json ? json_array() : NULL;

    if (count < 0) {
        message_error("cannot learn the statistics: %s",
                      count == -VINE_EPROCEDURE ? "this appliance is older and keeps none"
                                                : vine_error_text(count));
        free(stats);
        json_decref(array);
        return status_of_error(count);
    }
    const size_t shown = count < PROCEDURES_MAX ? (size_t)count : PROCEDURES_MAX;
    qsort(stats, shown, sizeof(*stats), compare_stats);
    if (!json)
        printf("%34s  waited:%10s  ran:\n%-16s %8s %8s %8s %8s %8s %8s %8s %9s %9s\n", "", "",
               "procedure", "tasks", "errors", "p50", "p99", "p50", "p99", "most", "in", "out");
    for (size_t i = 0; i < shown; i++) {
        if (json)
            json_array_append_new(array, describe_stats(&stats[i]));
        else
            print_stats(&stats[i]);
    }
    free(stats);
    return json ? json_print(array) : STATUS_DONE;
}

static int run_procs(const struct arguments *arguments)
{
    const struct procs_values *values = arguments->values;
    struct settings settings;
    struct vine_pipe *pipe = NULL;
    int status = settings_load(&settings, arguments);

    if (status != STATUS_DONE)
        return status;
    struct connection connection = {.address = settings_address(&settings), .workers = 1};
    status = connection_open(&connection, &pipe);
    if (status == STATUS_DONE)
        status = values->stats ? list_stats(pipe, values->json) : list(pipe, values->json);
    vine_pipe_close(pipe);
    connection_close(&connection);
    settings_free(&settings);
    return status;
}

#define VALUE(field) .offset = offsetof(struct procs_values, field)

static const struct option procs_options[] = {
    {.name = "appliance",
     .letter = 'a',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(appliance),
     .value = "ADDRESS",
     .key = "appliance",
     .help = "the appliance to ask; where nothing names one, one is started, and tells what ships"},
    {.name = "stats",
     .letter = 's',
     .kind = OPTION_FLAG,
     VALUE(stats),
     .help = "say instead what became of their tasks since the appliance was started"},
    {.name = "json", .kind = OPTION_FLAG, VALUE(json), .help = "print JSON"},
};

#undef VALUE

static const char *const procs_description[] = {
    "Asks an appliance for its procedures and prints each with its arguments: their kind, type, "
    "and "
    "least and greatest value or size.",
    "With --stats there is a row for each instead: how many tasks ended well and with an error, "
    "how "
    "long they waited and ran (half of them not longer than p50, 99 of 100 not longer than p99; "
    "within an eighth), and the bytes of inputs and outputs of those that ended well. What is "
    "counted are the tasks of all pipes, by the appliance's clock.",
    NULL,
};

const struct verb verb_procs = {
    .name = "procs",
    .synopsis = "",
    .description = procs_description,
    .options = procs_options,
    .option_count = sizeof(procs_options) / sizeof(procs_options[0]),
    .values_size = sizeof(struct procs_values),
    .run = run_procs,
};
