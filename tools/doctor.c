/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.c - `vine doctor`: a row for each thing that Vine can use, and what brings it. What a
 * check looks at lies in doctor_checks.c.
 */
#include <stdio.h>

#include "doctor.h"
#include "doctor_appliance.h"
#include "doctor_links.h"
#include "doctor_segment.h"
#include "json.h"
#include "message.h"
#include "status.h"
#include "verb.h"

struct doctor_values {
    const char *segment;
    bool json;
};

static const char *verdict_name(enum doctor_verdict verdict)
{
    return verdict == DOCTOR_THERE ? "there" : verdict == DOCTOR_PARTLY ? "partly" : "missing";
}

static void print_row(const char *name, const char *without, const struct doctor_finding *finding)
{
    static const enum message_colour colours[] = {[DOCTOR_THERE] = COLOUR_GREEN,
                                                  [DOCTOR_PARTLY] = COLOUR_YELLOW,
                                                  [DOCTOR_MISSING] = COLOUR_RED};
    const int fd = fileno(stdout);

    printf("%s%-8s%s %-18s %s\n", message_colour_of(fd, colours[finding->verdict]),
           verdict_name(finding->verdict), message_colour_of(fd, COLOUR_PLAIN), name,
           finding->what);
    if (finding->verdict == DOCTOR_THERE)
        return;
    printf("%27s %s%s%s\n", "", message_colour_of(fd, COLOUR_DIM), without,
           message_colour_of(fd, COLOUR_PLAIN));
    if (finding->remedy[0] != '\0')
        printf("%27s -> %s\n", "", finding->remedy);
}

static void add_row(json_t *array, const char *name, const char *without, bool is_for_later,
                    const struct doctor_finding *finding)
{
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:b}", "name", name, "state", verdict_name(finding->verdict),
                  "without", without, "for_later", is_for_later);

    json_set_name(row, "found", finding->what);
    if (finding->remedy[0] != '\0')
        json_set_name(row, "remedy", finding->remedy);
    json_array_append_new(array, row);
}

/* What the host of this machine has told it of, if it has one that did. */
static void show_links(json_t *array)
{
    static struct doctor_row rows[DOCTOR_LINK_ROWS_MAX];
    const size_t count = doctor_links(rows);

    if (count > 0 && array == NULL)
        printf("\nLinks to other machines:\n");
    for (size_t i = 0; i < count; i++) {
        if (array == NULL)
            print_row(rows[i].name, rows[i].without, &rows[i].finding);
        else
            add_row(array, rows[i].name, rows[i].without, false, &rows[i].finding);
    }
}

static int run_doctor(const struct arguments *arguments)
{
    const struct doctor_values *values = arguments->values;
    json_t *array;
    const bool is_guest = doctor_is_guest();
    unsigned wanted = 0, there = 0;

    if (values->segment != NULL)
        return doctor_walks(values->segment) ? doctor_segment(values->segment, values->json)
                                             : doctor_appliance(values->segment, values->json);
    array = values->json ? json_array() : NULL;
    for (size_t i = 0; i < doctor_check_count; i++) {
        const struct doctor_check *check = &doctor_checks[i];
        struct doctor_finding finding = {.verdict = DOCTOR_MISSING};

        if (is_guest && check->time == DOCTOR_HOST)
            continue;
        check->look(&finding);
        wanted += check->time != DOCTOR_LATER;
        there += check->time != DOCTOR_LATER && finding.verdict == DOCTOR_THERE;
        if (values->json) {
            add_row(array, check->name, check->without, check->time == DOCTOR_LATER, &finding);
            continue;
        }
        if (check->time == DOCTOR_LATER && doctor_checks[i - 1].time != DOCTOR_LATER)
            printf("\nNot counted: no pipe and no verb of this version makes use of these.\n");
        print_row(check->name, check->without, &finding);
    }
    show_links(array);
    if (values->json)
        return json_print(array);
    printf(
        "\n%u of the %u that this version makes use of are there; beside each of the others stands "
        "what it means that it is not.\n",
        there, wanted);
    return STATUS_DONE;
}

static const struct option doctor_options[] = {
    {.name = "segment",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     .offset = offsetof(struct doctor_values, segment),
     .value = "ADDRESS",
     .fallback = "(this machine is looked at)",
     .help = "look at this segment, or at the pipes of the appliance at this address, instead of "
             "the machine"},
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct doctor_values, json),
     .help = "print JSON"},
};

static const char *const doctor_description[] = {
    "Looks for what Vine can make use of on this machine: what is there, what is missing, what "
    "that means, and the Debian package or the setting that brings it. What is missing does not "
    "make the command fail; without memfd seals, though, no pipe through a socket can be had. What "
    "no pipe and no verb of this version makes use of stands apart and is not counted.",
    "In a virtual machine whose host has told it of links it shows each: which end is here, how "
    "the other machine is, how large both halves are, which process has the end; and the doorbell. "
    "What it takes to run virtual machines is not looked for there.",
    "With --segment it walks a named segment, as one who takes no part: header, boards, channels, "
    "rings, the messages in them and what they name, queues and books of allocators; whether it is "
    "alive, left behind, half made or of another version. Nothing is written and nobody woken. It "
    "tells who is there, what is in flight, what the appliance has in use by procedure and age, as "
    "it wrote it down last, and every inconsistency with its offset, what was found there and what "
    "has to be. What looks wrong is looked at again, so that work under way "
    "is not mistaken for it. The command ends with 1 if there is an inconsistency.",
    "At other addresses books are private, and the appliance is asked, over a pipe like any other: "
    "what is in use of each pipe, by procedure and age (tasks that were taken, room for what they "
    "write, results that were not given back), and what its books find that cannot be of the "
    "application's half, and of themselves. Who may know of which pipes is as for vine pipes.",
    NULL,
};

const struct verb verb_doctor = {
    .name = "doctor",
    .synopsis = "",
    .description = doctor_description,
    .options = doctor_options,
    .option_count = sizeof(doctor_options) / sizeof(doctor_options[0]),
    .values_size = sizeof(struct doctor_values),
    .run = run_doctor,
};
