/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_show.c - `vine vm show`: one VM of a server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_verbs.h"

struct show_values {
    const char *socket;
    bool json;
};

/* All that is known of one. */
struct shown {
    struct vm vm;
    struct vm_status status;
    json_t *configuration; /* NULL: it cannot be read */
    char *console;         /* NULL: there is none */
};

static int print(const struct shown *shown)
{
    char end[VM_END_BYTES];
    char *const text = shown->configuration != NULL
                           ? json_dumps(shown->configuration, JSON_INDENT(2))
                           : strdup("its configuration cannot be read");

    if (text == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    printf("name    %s\nuid     %s\nstate   %s\nstarts  %lld\n", shown->vm.name, shown->vm.uid,
           vm_end_text(&shown->status, end), (long long)shown->status.start_count);
    if (shown->console != NULL)
        printf("console %s\n", message_escape(shown->console));
    printf("%s\n", text);
    free(text);
    return STATUS_DONE;
}

static int print_json(const struct shown *shown)
{
    json_t *const object = json_pack("{s:s, s:s}", "name", shown->vm.name, "uid", shown->vm.uid);

    vm_end_json(&shown->status, object);
    if (shown->console != NULL)
        json_set_name(object, "console", shown->console);
    if (shown->configuration != NULL)
        (void)json_object_set(object, "configuration", shown->configuration);
    return json_print(object);
}

static int ask(const char *socket, const char *operand, struct shown *shown)
{
    struct vm_server *server;
    int status = vm_open(socket, operand, &server, &shown->vm);

    if (status != STATUS_DONE)
        return status;
    status = vm_status_get(server, shown->vm.uid, &shown->status);
    if (status == STATUS_DONE)
        status = vm_configuration_look(server, shown->vm.uid, &shown->configuration);
    if (status == STATUS_DONE) {
        vm_server_expect(server, VINE_SERVER_E_BAD_STATE);
        status = vm_console_get(server, shown->vm.uid, &shown->console);
        if (vm_server_error(server) == VINE_SERVER_E_BAD_STATE)
            status = STATUS_DONE;
    }
    vm_server_close(server);
    return status;
}

static int run_show(const struct arguments *arguments)
{
    const struct show_values *const values = arguments->values;
    struct shown shown = {.console = NULL};
    int status = ask(values->socket, arguments->operands[0], &shown);

    if (status == STATUS_DONE)
        status = values->json ? print_json(&shown) : print(&shown);
    json_decref(shown.configuration);
    vm_status_fini(&shown.status);
    free(shown.console);
    return status;
}

static const struct option show_options[] = {
    VM_SOCKET_OPTION(struct show_values),
    VM_JSON_OPTION(struct show_values),
};

static const char *const show_description[] = {
    "Shows VM, by its name or UID: its state, how it ended last, how often it was started by this "
    "server, where its console is, and its configuration, which docs/formats/pool.md explains and "
    "`vine vm configure` "
    "changes.",
    NULL,
};

const struct verb verb_vm_show = {
    .name = "vm show",
    .synopsis = "VM",
    .description = show_description,
    .options = show_options,
    .option_count = sizeof(show_options) / sizeof(show_options[0]),
    .values_size = sizeof(struct show_values),
    .operands_min = 1,
    .operands_max = 1,
    .hints = {COMPLETE_VM},
    .run = run_show,
};
