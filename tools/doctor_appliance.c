/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_appliance.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <vine/error.h>
#include <vine/inspect.h>

#include "connect.h"
#include "human.h"
#include "json.h"
#include "message.h"
#include "status.h"

#define PIPES_MAX    8192
#define FINDINGS_MAX 16384

/* What was asked for. */
struct answers {
    struct vine_pipe_facts *pipes;
    struct vine_finding *findings;
    size_t pipe_count, finding_count;
    size_t fault_count;
    bool json;
};

static const char *const kinds[] = {
    [VINE_FINDING_TASKS] = "tasks",
    [VINE_FINDING_ROOM] = "room",
    [VINE_FINDING_RESULTS] = "results",
};

static bool is_fault(const struct vine_finding *finding)
{
    return finding->kind == VINE_FINDING_FAULT;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void print_use(const struct vine_finding *finding)
{
    char bytes[HUMAN_MAX], oldest[HUMAN_MAX];

    printf(
        "  %-8s %-20s %8" PRIu64 " %9s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8s\n",
        kinds[finding->kind], finding->name[0] != '\0' ? message_escape(finding->name) : "others",
        finding->count, human_bytes(finding->bytes, bytes), finding->ages[0], finding->ages[1],
        finding->ages[2], finding->ages[3], human_age_brief(finding->oldest_ns, oldest));
}

static void print_fault(const struct vine_finding *finding)
{
    const int fd = fileno(stdout);

    printf("  %swrong%s", message_colour_of(fd, COLOUR_RED), message_colour_of(fd, COLOUR_PLAIN));
    if (finding->offset >= 0)
        printf(" at offset %" PRId64 " of the application's half", finding->offset);
    if (finding->channel >= 0)
        printf(", channel %" PRId64, finding->channel);
    printf(", %s: %s", message_escape(finding->name), message_escape(finding->found));
    printf("; expected %s\n", message_escape(finding->expected));
}

static void print_pipe(const struct answers *answers, const struct vine_pipe_facts *facts)
{
    char age[HUMAN_MAX], in[HUMAN_MAX], out[HUMAN_MAX], held[HUMAN_MAX], quota[HUMAN_MAX];
    bool has_head = false;

    printf("pipe %" PRIu64 ": %s", facts->number, message_escape(facts->name));
    if (facts->pid > 0)
        printf(", process %" PRId64, facts->pid);
    if (facts->uid >= 0)
        printf(", user %" PRId64, facts->uid);
    if (facts->link[0] != '\0')
        printf(", over link %s", message_escape(facts->link));
    printf(", for %s%s\n", human_age_brief(facts->age_ns, age),
           facts->is_own ? " (this command)" : "");
    printf("  %" PRIu64 " tasks done, %" PRIu64
           " failed, %u in flight, %u channels, %s in, %s out, "
           "holds %s of %s",
           facts->tasks_done, facts->tasks_failed, facts->tasks_in_flight, facts->channels,
           human_bytes(facts->bytes_in, in), human_bytes(facts->bytes_out, out),
           human_binary(facts->held_bytes, held), human_binary(facts->quota_bytes, quota));
    if (facts->threads_sharing > 0)
        printf(", %u threads share the last channel", facts->threads_sharing);
    printf("\n");
    for (size_t i = 0; i < answers->finding_count; i++) {
        const struct vine_finding *finding = &answers->findings[i];

        if (finding->pipe != facts->number || is_fault(finding))
            continue;
        if (!has_head)
            printf("  %-8s %-20s %8s %9s %8s %8s %8s %8s %8s\n", "in use", "procedure", "count",
                   "bytes", "< 1s", "< 1min", "< 1h", "older", "oldest");
        has_head = true;
        print_use(finding);
    }
    for (size_t i = 0; i < answers->finding_count; i++)
        if (answers->findings[i].pipe == facts->number && is_fault(&answers->findings[i]))
            print_fault(&answers->findings[i]);
}

static void print_all(const struct answers *answers)
{
    size_t open = 0;

    for (size_t i = 0; i < answers->pipe_count; i++)
        if (!answers->pipes[i].is_closed) {
            print_pipe(answers, &answers->pipes[i]);
            open++;
        }
    printf("\n%zu inconsistenc%s in %zu pipe%s\n", answers->fault_count,
           answers->fault_count == 1 ? "y" : "ies", open, open == 1 ? "" : "s");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *of_use(const struct vine_finding *finding)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:[o, o, o, o]}", "what", kinds[finding->kind],
                     "procedure", finding->name, "count", json_unsigned(finding->count), "bytes",
                     json_unsigned(finding->bytes), "oldest_ns", json_unsigned(finding->oldest_ns),
                     "ages", json_unsigned(finding->ages[0]), json_unsigned(finding->ages[1]),
                     json_unsigned(finding->ages[2]), json_unsigned(finding->ages[3]));
}

static json_t *of_fault(const struct vine_finding *finding)
{
    json_t *object = json_pack("{s:s, s:s, s:s}", "where", finding->name, "found", finding->found,
                               "expected", finding->expected);

    if (finding->channel >= 0)
        json_object_set_new(object, "channel", json_integer(finding->channel));
    if (finding->offset >= 0)
        json_object_set_new(object, "offset", json_integer(finding->offset));
    return object;
}

static json_t *of_pipe(const struct answers *answers, const struct vine_pipe_facts *facts)
{
    json_t *object = json_object(), *uses = json_array(), *faults = json_array();

    json_object_set_new(object, "pipe", json_unsigned(facts->number));
    json_set_name(object, "name", facts->name);
    json_object_set_new(object, "pid", json_integer(facts->pid));
    json_object_set_new(object, "uid", json_integer(facts->uid));
    json_object_set_new(object, "own", json_boolean(facts->is_own));
    json_object_set_new(object, "age_ns", json_unsigned(facts->age_ns));
    json_object_set_new(object, "tasks_in_flight", json_unsigned(facts->tasks_in_flight));
    json_object_set_new(object, "channels", json_unsigned(facts->channels));
    json_object_set_new(object, "threads_sharing", json_unsigned(facts->threads_sharing));
    json_object_set_new(object, "quota_bytes", json_unsigned(facts->quota_bytes));
    json_object_set_new(object, "held_bytes", json_unsigned(facts->held_bytes));
    for (size_t i = 0; i < answers->finding_count; i++) {
        const struct vine_finding *finding = &answers->findings[i];

        if (finding->pipe == facts->number)
            json_array_append_new(is_fault(finding) ? faults : uses,
                                  is_fault(finding) ? of_fault(finding) : of_use(finding));
    }
    json_object_set_new(object, "in_use", uses);
    json_object_set_new(object, "inconsistencies", faults);
    return object;
}

static int print_json(const struct answers *answers)
{
    json_t *pipes = json_array();

    for (size_t i = 0; i < answers->pipe_count; i++)
        if (!answers->pipes[i].is_closed)
            json_array_append_new(pipes, of_pipe(answers, &answers->pipes[i]));
    return json_print(json_pack("{s:o, s:o}", "inconsistency_count",
                                json_unsigned(answers->fault_count), "pipes", pipes));
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int refuse(int error)
{
    message_error("cannot ask for the books: %s", error == -VINE_EPROCEDURE
                                                      ? "this appliance is older and does not tell"
                                                      : vine_error_text(error));
    return status_of_error(error);
}

static int ask(struct vine_pipe *pipe, struct answers *answers)
{
    int count = answers->pipes != NULL && answers->findings != NULL
                    ? vine_inspect_books(pipe, answers->findings, FINDINGS_MAX)
                    : -ENOMEM;

    if (count < 0)
        return refuse(count);
    answers->finding_count = count < FINDINGS_MAX ? (size_t)count : FINDINGS_MAX;
    count = vine_inspect_pipes(pipe, answers->pipes, PIPES_MAX);
    if (count < 0)
        return refuse(count);
    answers->pipe_count = count < PIPES_MAX ? (size_t)count : PIPES_MAX;
    for (size_t i = 0; i < answers->finding_count; i++)
        answers->fault_count += is_fault(&answers->findings[i]);
    if (answers->json) {
        const int status = print_json(answers);

        if (status != STATUS_DONE)
            return status;
    } else {
        print_all(answers);
    }
    return answers->fault_count > 0 ? STATUS_FAILED : STATUS_DONE;
}

int doctor_appliance(const char *address, bool json)
{
    struct answers answers = {.json = json};
    struct connection connection = {.address = address, .workers = 1};
    struct vine_pipe *pipe = NULL;
    int status = connection_open(&connection, &pipe);

    if (status == STATUS_DONE) {
        answers.pipes = calloc(PIPES_MAX, sizeof(*answers.pipes));
        answers.findings = calloc(FINDINGS_MAX, sizeof(*answers.findings));
        status = ask(pipe, &answers);
    }
    free(answers.pipes);
    free(answers.findings);
    vine_pipe_close(pipe);
    connection_close(&connection);
    return status;
}
