/* SPDX-License-Identifier: Apache-2.0 */
/* pipes.c - `vine pipes`: who uses an appliance, and who did. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include <vine/error.h>
#include <vine/inspect.h>

#include "connect.h"
#include "human.h"
#include "json.h"
#include "message.h"
#include "settings.h"
#include "status.h"
#include "verb.h"

#define PIPES_MAX 8192

struct pipes_values {
    const char *appliance;
    bool json;
};

static json_t *describe(const struct vine_pipe_facts *facts)
{
    json_t *object = json_object();

    json_object_set_new(object, "pipe", json_unsigned(facts->number));
    json_object_set_new(object, "state", json_string(facts->is_closed ? "closed" : "open"));
    json_set_name(object, "name", facts->name);
    if (facts->uid >= 0)
        json_object_set_new(object, "uid", json_integer(facts->uid));
    if (facts->pid > 0)
        json_object_set_new(object, "pid", json_integer(facts->pid));
    if (facts->link[0] != '\0')
        json_set_name(object, "link", facts->link);
    json_object_set_new(object, "own", json_boolean(facts->is_own));
    json_object_set_new(object, "age_ns", json_unsigned(facts->age_ns));
    json_object_set_new(object, "tasks", json_unsigned(facts->tasks_done));
    json_object_set_new(object, "errors", json_unsigned(facts->tasks_failed));
    json_object_set_new(object, "tasks_in_flight", json_unsigned(facts->tasks_in_flight));
    json_object_set_new(object, "channels", json_unsigned(facts->channels));
    json_object_set_new(object, "threads_sharing", json_unsigned(facts->threads_sharing));
    json_object_set_new(object, "bytes_in", json_unsigned(facts->bytes_in));
    json_object_set_new(object, "bytes_out", json_unsigned(facts->bytes_out));
    json_object_set_new(object, "quota_bytes", json_unsigned(facts->quota_bytes));
    json_object_set_new(object, "held_bytes", json_unsigned(facts->held_bytes));
    if (facts->is_closed) {
        json_object_set_new(object, "closed_ns", json_unsigned(facts->closed_ns));
        if (facts->error != 0)
            json_object_set_new(object, "error", json_string(vine_error_name(facts->error)));
        json_set_name(object, "reason", facts->reason);
    }
    return object;
}

/* The user's name, or its number. */
static const char *user_of(const struct vine_pipe_facts *facts, char ret_text[HUMAN_MAX])
{
    /* The command has one thread here. */
    const struct passwd *known =
        facts->uid >= 0 ? getpwuid((uid_t)facts->uid) : NULL; /* NOLINT(concurrency-mt-unsafe) */

    if (facts->uid < 0)
        snprintf(ret_text, HUMAN_MAX, "-");
    else if (known != NULL)
        snprintf(ret_text, HUMAN_MAX, "%s", known->pw_name);
    else
        snprintf(ret_text, HUMAN_MAX, "%lld", (long long)facts->uid);
    return ret_text;
}

static void print_row(const struct vine_pipe_facts *facts)
{
    char user[HUMAN_MAX], pid[HUMAN_MAX] = "-", age[HUMAN_MAX], done[HUMAN_MAX], failed[HUMAN_MAX];
    char flying[HUMAN_MAX], in[HUMAN_MAX], out[HUMAN_MAX], held[HUMAN_MAX], quota[HUMAN_MAX];

    if (facts->pid > 0)
        snprintf(pid, sizeof(pid), "%lld", (long long)facts->pid);
    printf("%6llu %-16s %-10s %8s %8s %8s %7s %7s %9s %9s %10s of %s",
           (unsigned long long)facts->number, message_escape(facts->name), user_of(facts, user),
           pid, human_age_brief(facts->age_ns, age), human_count_brief(facts->tasks_done, done),
           human_count_brief(facts->tasks_failed, failed),
           human_count_brief(facts->tasks_in_flight, flying), human_bytes(facts->bytes_in, in),
           human_bytes(facts->bytes_out, out), human_binary(facts->held_bytes, held),
           human_binary(facts->quota_bytes, quota));
    if (facts->link[0] != '\0')
        printf("  over link %s", message_escape(facts->link));
    if (facts->threads_sharing > 0)
        printf("  %u threads share the last of %u channels", facts->threads_sharing,
               facts->channels);
    if (facts->is_own)
        printf("  (this command)");
    if (facts->is_closed) {
        char since[HUMAN_MAX];
        printf("\n       closed %s ago", human_age_brief(facts->closed_ns, since));
        if (facts->error != 0)
            printf(": %s", vine_error_text(facts->error));
        else
            printf(" by its application");
        if (facts->reason[0] != '\0')
            printf(": %s", message_escape(facts->reason));
    }
    printf("\n");
}

static int list(struct vine_pipe *pipe, bool json)
{
    struct vine_pipe_facts *facts = calloc(PIPES_MAX, sizeof(*facts));
    const int count = facts != NULL ? vine_inspect_pipes(pipe, facts, PIPES_MAX) : -ENOMEM;
    json_t *array = json ? json_array() : NULL;

    if (count < 0) {
        message_error("cannot list the pipes: %s", count == -VINE_EPROCEDURE
                                                       ? "this appliance is older and does not tell"
                                                       : vine_error_text(count));
        free(facts);
        json_decref(array);
        return status_of_error(count);
    }
    const size_t shown = count < PIPES_MAX ? (size_t)count : PIPES_MAX;
    if (!json)
        printf("%6s %-16s %-10s %8s %8s %8s %7s %7s %9s %9s %10s\n", "pipe", "application", "user",
               "pid", "for", "tasks", "errors", "now", "in", "out", "holds");
    for (size_t i = 0; i < shown; i++) {
        if (json)
            json_array_append_new(array, describe(&facts[i]));
        else
            print_row(&facts[i]);
    }
    free(facts);
    return json ? json_print(array) : STATUS_DONE;
}

static int run_pipes(const struct arguments *arguments)
{
    const struct pipes_values *values = arguments->values;
    struct settings settings;
    struct vine_pipe *pipe = NULL;
    int status = settings_load(&settings, arguments);

    if (status != STATUS_DONE)
        return status;
    struct connection connection = {.address = settings_address(&settings), .workers = 1};
    status = connection_open(&connection, &pipe);
    if (status == STATUS_DONE)
        status = list(pipe, values->json);
    vine_pipe_close(pipe);
    connection_close(&connection);
    settings_free(&settings);
    return status;
}

#define VALUE(field) .offset = offsetof(struct pipes_values, field)

static const struct option pipes_options[] = {
    {.name = "appliance",
     .letter = 'a',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(appliance),
     .value = "ADDRESS",
     .key = "appliance",
     .help = "the appliance to ask; where nothing names one, one is started, which nobody else "
             "uses"},
    {.name = "json", .kind = OPTION_FLAG, VALUE(json), .help = "print JSON"},
};

#undef VALUE

static const char *const pipes_description[] = {
    "Asks an appliance for its pipes: who is at the other end, for how long, what became of its "
    "tasks, how many are in flight now, the bytes of their inputs and outputs, and how much of its "
    "quota the pipe makes the appliance hold. Where an application has more threads than channels, "
    "behind them stands how many of them share one, and wait for each other. Below a pipe that is "
    "over stands why; the last 128 of those are kept.",
    "The appliance's own user and root see all pipes, another user sees its own, and an "
    "application on another machine the one by which it asks. What an application calls itself is "
    "a hint; user and process are the kernel's word.",
    NULL,
};

const struct verb verb_pipes = {
    .name = "pipes",
    .synopsis = "",
    .description = pipes_description,
    .options = pipes_options,
    .option_count = sizeof(pipes_options) / sizeof(pipes_options[0]),
    .values_size = sizeof(struct pipes_values),
    .run = run_pipes,
};
