/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <vine/error.h>

#include "core/survey/survey.h"
#include "utils/tables.h"

#include "human.h"
#include "json.h"
#include "message.h"
#include "status.h"

static const char *const statuses[] = {"fresh", "initializing", "initialized", "corrupted"};
static const char *const side_names[] = {"application", "appliance"};
static const char *const presences[] = {"nobody", "alive", "dead"};
static const char *const kinds[] = {
    "none", "application's half", "appliance's half", "rings", "heap", "board", "extents", "user",
};
static const char *const in_use_kinds[] = {
    [VINE__SURVEY_TASKS] = "tasks",
    [VINE__SURVEY_ROOM] = "room",
    [VINE__SURVEY_RESULTS] = "results",
};
/* The procedures of the protocol itself; others have names that the appliance alone knows. */
static const char *const builtins[] = {
    NULL,      "lookup",     "procedures", "accelerators", "acquire",
    "release", "statistics", "pipes",      "examine",
};

static const char *name_status(uint32_t status)
{
    return status < VINE_ARRAY_COUNT(statuses) ? statuses[status] : "unknown";
}

static const char *name_procedure(const struct vine__survey_use *use, char ret_text[HUMAN_MAX])
{
    if (use->is_rest)
        snprintf(ret_text, HUMAN_MAX, "others");
    else if (use->procedure == 0)
        snprintf(ret_text, HUMAN_MAX, "?");
    else if (use->procedure < VINE_ARRAY_COUNT(builtins))
        snprintf(ret_text, HUMAN_MAX, "%s", builtins[use->procedure]);
    else
        snprintf(ret_text, HUMAN_MAX, "%u", use->procedure);
    return ret_text;
}

static const char *name_closed(uint32_t closed)
{
    return closed == 0 || closed == UINT32_MAX ? "" : vine_error_name(-(int)(closed & 0x7fffffff));
}

/* ---- text ------------------------------------------------------------------------------------ */

static void print_holder(const char *name, const struct vine_segment_presence *presence)
{
    printf("  %-12s %s", name, presences[presence->state]);
    if (presence->pid != 0)
        printf(", process %d", presence->pid);
    if (presence->claims != 0)
        printf(", claimed %" PRIu64 " time%s", presence->claims, presence->claims == 1 ? "" : "s");
    printf("\n");
}

static void print_region(const struct vine__survey_region *region)
{
    char size[HUMAN_MAX], used[HUMAN_MAX], room[HUMAN_MAX];

    printf("  %-20s %10s at %" PRIu64, kinds[region->kind], human_binary(region->size_bytes, size),
           region->offset_bytes);
    if (region->is == VINE__SURVEY_QUEUE)
        printf(": a queue of %" PRIu64 " slots, %" PRIu64 " with a message, %" PRIu64
               " of stalled producers, %" PRIu64 " asleep",
               region->room, region->count, region->stuck, region->sleepers);
    else if (region->is == VINE__SURVEY_BOOKS)
        printf(": books of %s, %" PRIu64 " blocks in use with %s", human_binary(region->room, room),
               region->count, human_binary(region->bytes, used));
    if (region->holder_pid != 0)
        printf(", held by process %d%s", region->holder_pid,
               region->holder_is_dead ? ", which is dead" : "");
    printf("\n");
}

static void print_header(const struct vine__survey *survey)
{
    char size[HUMAN_MAX];

    printf("%s: ", message_escape(survey->label));
    if (!survey->is_segment) {
        printf("%s, no segment\n", human_binary(survey->real_bytes, size));
        return;
    }
    printf("segment of %s, version %u.%u, generation %" PRIu64 ", %s\n",
           human_binary(survey->size_bytes, size), survey->version_major, survey->version_minor,
           survey->generation, name_status(survey->status));
    if (survey->claim.state != VINE_SEGMENT_ABSENT)
        print_holder("maker", &survey->claim);
    for (uint32_t side = 0; side < 2; side++)
        print_holder(side_names[side], &survey->sides[side]);
    for (uint32_t i = 0; i < VINE_SEGMENT_REGIONS_MAX; i++)
        if (survey->regions[i].kind != 0)
            print_region(&survey->regions[i]);
}

static void print_channels(const struct vine__survey *survey)
{
    printf("\n%7s %6s %8s %9s %7s  %s\n", "channel", "slots", "waiting", "under way", "unread",
           "state");
    for (uint32_t i = 0; i < survey->channel_count; i++) {
        const struct vine__survey_channel *channel = &survey->channels[i];

        printf("%7u %6u %8" PRIu64 " %9" PRIu64 " %7" PRIu64 "  %s%s%s%s%s\n", i,
               channel->slot_count, channel->submissions, channel->under_way, channel->completions,
               channel->is_stream ? "stream" : "sleepy",
               channel->is_answered ? "" : ", not answered", channel->is_listed ? ", listed" : "",
               channel->is_ready ? ", ready" : "", channel->is_awaited ? ", awaited asleep" : "");
    }
}

static void print_uses(const struct vine__survey *survey)
{
    if (survey->use_count == 0)
        return;
    printf("\n%-12s %8s %9s %9s %7s %9s %9s %7s %9s\n", "procedure", "waiting", "under way",
           "completed", "inputs", "bytes", "room", "results", "bytes");
    for (uint32_t i = 0; i < survey->use_count; i++) {
        const struct vine__survey_use *use = &survey->uses[i];
        char name[HUMAN_MAX], inputs[HUMAN_MAX], room[HUMAN_MAX], results[HUMAN_MAX];

        printf("%-12s %8" PRIu64 " %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %9s %9s %7" PRIu64
               " %9s\n",
               name_procedure(use, name), use->waiting, use->under_way, use->completed, use->inputs,
               human_bytes(use->input_bytes, inputs), human_bytes(use->room_bytes, room),
               use->results, human_bytes(use->result_bytes, results));
    }
}

static void print_account(const struct vine__survey_account *account)
{
    char age[HUMAN_MAX];

    if (!account->is_there)
        return;
    printf("\nin use, as the appliance wrote it down %s ago:%s\n",
           human_age_brief(account->age_ns, age), account->found == 0 ? " nothing" : "");
    if (account->count > 0)
        printf("%-8s %-20s %8s %9s %8s %8s %8s %8s %8s\n", "what", "procedure", "count", "bytes",
               "< 1s", "< 1min", "< 1h", "older", "oldest");
    for (uint32_t i = 0; i < account->count; i++) {
        const struct vine__survey_in_use *use = &account->uses[i];
        char bytes[HUMAN_MAX], oldest[HUMAN_MAX];

        printf("%-8s %-20s %8" PRIu64 " %9s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
               " %8s\n",
               in_use_kinds[use->kind], use->name[0] != '\0' ? use->name : "others", use->count,
               human_bytes(use->bytes, bytes), use->ages[0], use->ages[1], use->ages[2],
               use->ages[3], human_age_brief(use->oldest_ns, oldest));
    }
    if (account->found > account->count)
        printf("and %u more\n", account->found - account->count);
}

static void print_pipe(const struct vine__survey *survey)
{
    if (!survey->has_pipe) {
        printf("  no pipe: no application has been answered\n");
        return;
    }
    printf("  a pipe of claim %u, with %u channels of %u, and %u tasks in flight for each\n",
           survey->epochs[0], survey->channel_count, survey->channels_max, survey->tasks_max);
    for (uint32_t side = 0; side < 2; side++)
        if (survey->closed[side] != 0)
            printf("  closed by the %s: %s\n", side_names[side],
                   survey->closed[side] == UINT32_MAX ? "left to another process"
                                                      : name_closed(survey->closed[side]));
    if (survey->is_asleep[1])
        printf("  the appliance is asleep\n");
    if (survey->channel_count > 0)
        print_channels(survey);
    print_uses(survey);
    print_account(&survey->account);
}

static void print_findings(const struct vine__survey *survey)
{
    const int fd = fileno(stdout);

    for (uint32_t i = 0; i < survey->finding_count; i++) {
        const struct vine__survey_finding *finding = &survey->findings[i];
        const bool is_fault = finding->weight == VINE__SURVEY_FAULT;

        printf("\n%s%s%s at offset %" PRIu64 ", %s: %s",
               message_colour_of(fd, is_fault ? COLOUR_RED : COLOUR_YELLOW),
               is_fault ? "wrong" : "note", message_colour_of(fd, COLOUR_PLAIN), finding->offset,
               finding->where, finding->found);
        if (is_fault)
            printf("; expected %s", finding->expected);
    }
    printf("\n\n%u inconsistenc%s", survey->fault_count, survey->fault_count == 1 ? "y" : "ies");
    if (survey->fault_count + survey->note_count > survey->finding_count)
        printf(", of which the first are shown");
    if (survey->fault_count > 0 && survey->looks > 1)
        printf(", the same in %u looks", survey->looks);
    printf("\n");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *of_holder(const struct vine_segment_presence *presence)
{
    return json_pack("{s:s, s:i, s:o}", "state", presences[presence->state], "pid",
                     (int)presence->pid, "claims", json_unsigned(presence->claims));
}

static json_t *of_region(const struct vine__survey_region *region)
{
    json_t *object = json_pack("{s:s, s:o, s:o}", "kind", kinds[region->kind], "offset",
                               json_unsigned(region->offset_bytes), "size_bytes",
                               json_unsigned(region->size_bytes));

    if (region->is == VINE__SURVEY_QUEUE) {
        json_object_set_new(object, "slots", json_unsigned(region->room));
        json_object_set_new(object, "messages", json_unsigned(region->count));
        json_object_set_new(object, "stalled", json_unsigned(region->stuck));
        json_object_set_new(object, "asleep", json_unsigned(region->sleepers));
    } else if (region->is == VINE__SURVEY_BOOKS) {
        json_object_set_new(object, "blocks", json_unsigned(region->count));
        json_object_set_new(object, "blocks_bytes", json_unsigned(region->bytes));
        json_object_set_new(object, "extent_bytes", json_unsigned(region->room));
        json_object_set_new(object, "holder_pid", json_integer(region->holder_pid));
    }
    return object;
}

static json_t *of_channel(const struct vine__survey_channel *channel, uint32_t index)
{
    return json_pack(
        "{s:i, s:i, s:o, s:o, s:o, s:s, s:b, s:b, s:b, s:b}", "channel", (int)index, "slots",
        (int)channel->slot_count, "waiting", json_unsigned(channel->submissions), "under_way",
        json_unsigned(channel->under_way), "unread", json_unsigned(channel->completions), "mode",
        channel->is_stream ? "stream" : "sleepy", "answered", channel->is_answered, "listed",
        channel->is_listed, "ready", channel->is_ready, "awaited", channel->is_awaited);
}

static json_t *of_use(const struct vine__survey_use *use)
{
    char name[HUMAN_MAX];

    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "procedure",
                     name_procedure(use, name), "waiting", json_unsigned(use->waiting), "under_way",
                     json_unsigned(use->under_way), "completed", json_unsigned(use->completed),
                     "inputs", json_unsigned(use->inputs), "input_bytes",
                     json_unsigned(use->input_bytes), "room_bytes", json_unsigned(use->room_bytes),
                     "results", json_unsigned(use->results), "result_bytes",
                     json_unsigned(use->result_bytes));
}

static json_t *of_finding(const struct vine__survey_finding *finding)
{
    json_t *object = json_pack("{s:o, s:s, s:s}", "offset", json_unsigned(finding->offset), "where",
                               finding->where, "found", finding->found);

    if (finding->weight == VINE__SURVEY_FAULT)
        json_object_set_new(object, "expected", json_string(finding->expected));
    return object;
}

static json_t *of_account(const struct vine__survey_account *account)
{
    json_t *uses = json_array();

    if (!account->is_there) {
        json_decref(uses);
        return json_null();
    }
    for (uint32_t i = 0; i < account->count; i++) {
        const struct vine__survey_in_use *use = &account->uses[i];

        json_array_append_new(
            uses,
            json_pack("{s:s, s:s, s:o, s:o, s:o, s:[o, o, o, o]}", "what", in_use_kinds[use->kind],
                      "procedure", use->name, "count", json_unsigned(use->count), "bytes",
                      json_unsigned(use->bytes), "oldest_ns", json_unsigned(use->oldest_ns), "ages",
                      json_unsigned(use->ages[0]), json_unsigned(use->ages[1]),
                      json_unsigned(use->ages[2]), json_unsigned(use->ages[3])));
    }
    return json_pack("{s:o, s:o, s:o}", "age_ns", json_unsigned(account->age_ns), "in_use_count",
                     json_unsigned(account->found), "in_use", uses);
}

static json_t *of_pipe(const struct vine__survey *survey)
{
    json_t *channels = json_array(), *uses = json_array(), *closed = json_object();

    for (uint32_t i = 0; i < survey->channel_count; i++)
        json_array_append_new(channels, of_channel(&survey->channels[i], i));
    for (uint32_t i = 0; i < survey->use_count; i++)
        json_array_append_new(uses, of_use(&survey->uses[i]));
    for (uint32_t side = 0; side < 2; side++)
        if (survey->closed[side] != 0)
            json_object_set_new(closed, side_names[side], json_unsigned(survey->closed[side]));
    return json_pack("{s:o, s:i, s:i, s:b, s:o, s:o, s:o, s:o}", "claim",
                     json_unsigned(survey->epochs[0]), "channels_max", (int)survey->channels_max,
                     "tasks_max", (int)survey->tasks_max, "appliance_asleep", survey->is_asleep[1],
                     "closed", closed, "channels", channels, "procedures", uses, "account",
                     of_account(&survey->account));
}

static json_t *describe(const struct vine__survey *survey)
{
    json_t *object = json_object(), *regions = json_array(), *faults = json_array();
    json_t *notes = json_array();

    json_set_name(object, "segment", survey->label);
    json_object_set_new(object, "is_segment", json_boolean(survey->is_segment));
    json_object_set_new(object, "real_bytes", json_unsigned(survey->real_bytes));
    json_object_set_new(object, "size_bytes", json_unsigned(survey->size_bytes));
    json_object_set_new(object, "version_major", json_integer(survey->version_major));
    json_object_set_new(object, "version_minor", json_integer(survey->version_minor));
    json_object_set_new(object, "status", json_string(name_status(survey->status)));
    json_object_set_new(object, "generation", json_unsigned(survey->generation));
    json_object_set_new(object, "maker", of_holder(&survey->claim));
    for (uint32_t side = 0; side < 2; side++)
        json_object_set_new(object, side_names[side], of_holder(&survey->sides[side]));
    for (uint32_t i = 0; i < VINE_SEGMENT_REGIONS_MAX; i++)
        if (survey->regions[i].kind != 0)
            json_array_append_new(regions, of_region(&survey->regions[i]));
    json_object_set_new(object, "regions", regions);
    json_object_set_new(object, "pipe", survey->has_pipe ? of_pipe(survey) : json_null());
    for (uint32_t i = 0; i < survey->finding_count; i++)
        json_array_append_new(survey->findings[i].weight == VINE__SURVEY_FAULT ? faults : notes,
                              of_finding(&survey->findings[i]));
    json_object_set_new(object, "inconsistency_count", json_unsigned(survey->fault_count));
    json_object_set_new(object, "inconsistencies", faults);
    json_object_set_new(object, "notes", notes);
    return object;
}

/* ---- the whole ------------------------------------------------------------------------------- */

bool doctor_walks(const char *address)
{
    return vine__survey_takes(address);
}

static int show(const struct vine__survey *survey, bool json)
{
    if (json) {
        const int status = json_print(describe(survey));

        return survey->fault_count > 0 && status == STATUS_DONE ? STATUS_FAILED : status;
    }
    print_header(survey);
    if (survey->has_halves)
        print_pipe(survey);
    print_findings(survey);
    return survey->fault_count > 0 ? STATUS_FAILED : STATUS_DONE;
}

int doctor_segment(const char *address, bool json)
{
    struct vine__survey *survey = calloc(1, sizeof *survey);
    struct vine__why why = {{0}};
    int error = survey != NULL ? vine__survey_segment(address, survey, &why) : -ENOMEM;
    int status;

    if (error != 0) {
        if (why.text[0] != '\0')
            message_error("%s", why.text);
        else
            message_error("cannot look at %s: %s", message_escape(address), vine_error_text(error));
        status = error == -ENOENT || error == -ENODEV ? STATUS_NO_APPLIANCE
                 : error == -VINE_ECONFIG             ? STATUS_USAGE
                                                      : status_of_error(error);
    } else {
        status = show(survey, json);
    }
    free(survey);
    return status;
}
