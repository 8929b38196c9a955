/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_ctl.c - `vine guest ctl`: tell a `vine guest run --control` what to do.
 */
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include <vine/error.h>

#include "arch/peer/peer.h"

#include "guest_control.h"
#include "json.h"
#include "message.h"
#include "status.h"
#include "verb.h"

/* It answers at once, as a rule. */
#define ANSWER_NS (10 * VINE_NS_PER_SECOND)

struct ctl_values {
    bool json;
};

static int ask(const char *path, const char *request, size_t size, json_t **ret_answer)
{
    static char text[GUEST_CONTROL_ANSWER_BYTES];
    struct vine__peer_message message = {.bytes = text, .capacity_bytes = sizeof(text)};
    int fd = -1;
    int error = vine__peer_connect(path, ANSWER_NS, &fd);

    if (error == 0)
        error = vine__peer_send(fd, request, size, NULL, 0, ANSWER_NS);
    if (error == 0)
        error = vine__peer_receive(fd, &message, ANSWER_NS);
    if (error == 0) {
        *ret_answer = json_loadb(text, message.size_bytes, 0, NULL);
        if (!json_is_object(*ret_answer)) {
            json_decref(*ret_answer);
            error = -VINE_EPROTOCOL;
        }
    }
    if (fd >= 0)
        (void)close(fd);
    return error;
}

static const char *word(const json_t *object, const char *key)
{
    const char *const text = json_string_value(json_object_get(object, key));

    return text != NULL ? message_escape(text) : "";
}

static void print_end(const char *what, const json_t *end)
{
    printf("  %s %s: %s", what, word(end, "machine"), word(end, "state"));
}

static void print_list(const json_t *answer)
{
    const json_t *entry;
    size_t index;

    json_array_foreach(json_object_get(answer, "machines"), index, entry)
    {
        const char *const text = word(entry, "text");

        printf("machine %-16s %s%s%s\n", word(entry, "name"), word(entry, "state"),
               text[0] != '\0' ? ": " : "", text);
    }
    json_array_foreach(json_object_get(answer, "links"), index, entry)
    {
        printf("link    %-16s", word(entry, "name"));
        print_end("application", json_object_get(entry, "application"));
        print_end("appliance", json_object_get(entry, "appliance"));
        printf("%s\n", json_is_true(json_object_get(entry, "unplugging")) ? "  unplugging" : "");
    }
}

static int show(const struct ctl_values *values, json_t *answer)
{
    const char *const why = json_string_value(json_object_get(answer, "error"));

    if (why != NULL) {
        message_error("%s", message_escape(why));
        return STATUS_FAILED;
    }
    if (values->json)
        return json_print(json_incref(answer));
    print_list(answer);
    return STATUS_DONE;
}

static int run_ctl(const struct arguments *arguments)
{
    json_t *request = json_array(), *answer = NULL;
    char text[GUEST_CONTROL_REQUEST_BYTES];
    size_t size;
    int status;

    for (size_t i = 1; i < arguments->operand_count; i++)
        json_array_append_new(request, json_string(arguments->operands[i]));
    size = json_dumpb(request, text, sizeof(text), JSON_COMPACT);
    json_decref(request);
    if (size == 0 || size > sizeof(text)) {
        message_error("these words are no request");
        return STATUS_USAGE;
    }
    const int error = ask(arguments->operands[0], text, size, &answer);

    if (error != 0) {
        message_error("%s: %s", message_escape(arguments->operands[0]), vine_error_text(error));
        return STATUS_FAILED;
    }
    status = show(arguments->values, answer);
    json_decref(answer);
    return status;
}

static const struct option ctl_options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct ctl_values, json),
     .help = "print the answer as JSON, with QEMU's process ids"},
};

static const char *const ctl_description[] = {
    "Tells the `vine guest run --control PATH` of this user what to do:",
    "ls - the machines and links as they are",
    ("plug NAME APPLICATION APPLIANCE [SIZE] - a new link between two machines, or a machine and "
     "host, a process of this one, at the socket that the run tells; each half of this size (64M)"),
    "unplug NAME - take a link from both its machines",
    "pause MACHINE - stand still",
    "resume MACHINE - go on",
    "stop MACHINE - press its power button; quit if that is of no use",
    "kill MACHINE - at once",
    "start MACHINE - anew, after it has ended",
    "end - stop all machines, and end",
    ("The answer comes at once, whatever a machine does. What has come of it is among the events "
     "of "
     "the run, and in ls."),
    NULL,
};

static const char *const ctl_examples[] = {
    "vine guest run pair.json --control ctl & vine guest ctl ctl plug more app zip 16M",
    "give a running pair one more link, where links_max of the file leaves a place",
    NULL,
};

const struct verb verb_guest_ctl = {
    .name = "guest ctl",
    .synopsis = "PATH ls|plug|unplug|pause|resume|stop|kill|start|end [ARGUMENT...]",
    .description = ctl_description,
    .examples = ctl_examples,
    .options = ctl_options,
    .option_count = sizeof(ctl_options) / sizeof(ctl_options[0]),
    .values_size = sizeof(struct ctl_values),
    .operands_min = 2,
    .operands_max = 9,
    .hints = {COMPLETE_FILE, COMPLETE_CHOICE},
    .run = run_ctl,
};
