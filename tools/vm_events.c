/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_events.c - `vine vm events`: what becomes of VMs, as it comes about.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_verbs.h"

struct events_values {
    const char *socket;
    uint64_t count;
    bool json;
};

struct event {
    int64_t number;
    char *texts[4]; /* UID, state, what ended it, a sentence */
};

static int take(struct vm_server *server, struct event *event)
{
    static const size_t rooms[] = {VM_UID_BYTES - 1, VM_STATE_BYTES - 1, 64, 1024};
    int status = vm_server_next_event(server);

    if (status == STATUS_DONE)
        status = vm_server_integer(server, &event->number);
    for (size_t i = 0; status == STATUS_DONE && i < 4; i++)
        status = vm_server_text(server, &event->texts[i], rooms[i]);
    return status;
}

static int print(const struct event *event, bool json)
{
    char *const *const texts = event->texts;
    json_t *object;
    int status = STATUS_DONE;

    if (json) {
        object = json_pack("{s:I}", "number", (json_int_t)event->number);
        json_set_name(object, "uid", texts[0]);
        json_set_name(object, "state", texts[1]);
        if (texts[2][0] != '\0')
            json_set_name(object, "ended_by", texts[2]);
        if (texts[3][0] != '\0')
            json_set_name(object, "ended_text", texts[3]);
        status = json_print_line(object);
    } else {
        printf("%" PRId64 " %s %s%s%s%s%s\n", event->number, message_escape(texts[0]),
               message_escape(texts[1]), texts[2][0] != '\0' ? ": " : "", message_escape(texts[2]),
               texts[3][0] != '\0' ? ", " : "", message_escape(texts[3]));
    }
    if (fflush(stdout) != 0)
        return STATUS_FAILED; /* of which `main` tells */
    return status;
}

static int run_events(const struct arguments *arguments)
{
    const struct events_values *const values = arguments->values;
    struct vm_server *server;
    int status = vm_server_open(values->socket, &server);

    if (status != STATUS_DONE)
        return status;
    status = vm_server_ask(server, vm_server_number(server, VINE_SERVER_EVENTS), "");
    for (uint64_t i = 0; status == STATUS_DONE && (values->count == 0 || i < values->count); i++) {
        struct event event = {.number = 0};

        status = take(server, &event);
        if (status == STATUS_DONE)
            status = print(&event, values->json);
        for (size_t text = 0; text < 4; text++)
            free(event.texts[text]);
    }
    vm_server_close(server);
    return status;
}

#define VALUE(field) .offset = offsetof(struct events_values, field)

static const struct option events_options[] = {
    VM_SOCKET_OPTION(struct events_values),
    {.name = "count",
     .letter = 'n',
     .kind = OPTION_COUNT,
     VALUE(count),
     .value = "N",
     .min = 1,
     .max = UINT32_MAX,
     .help = "end after so many",
     .fallback = "(never)"},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print JSON, an object on a line for each"},
};

#undef VALUE

static const char *const events_description[] = {
    "Prints each change of a VM's state that the socket may see, until it is interrupted: its "
    "number, the VM's UID, the state, and of one that is off what has ended it. A number that is "
    "left out is a change that nobody took in time.",
    NULL,
};

const struct verb verb_vm_events = {
    .name = "vm events",
    .synopsis = "",
    .description = events_description,
    .options = events_options,
    .option_count = sizeof(events_options) / sizeof(events_options[0]),
    .values_size = sizeof(struct events_values),
    .run = run_events,
};
