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

static int print(const struct vm *vm, const struct vm_status *status, const json_t *configuration)
{
    char end[VM_END_BYTES];
    char *const text = configuration != NULL ? json_dumps(configuration, JSON_INDENT(2))
                                             : strdup("its configuration cannot be read");

    if (text == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    printf("name    %s\nuid     %s\nstate   %s\nstarts  %lld\n%s\n", vm->name, vm->uid,
           vm_end_text(status, end), (long long)status->start_count, text);
    free(text);
    return STATUS_DONE;
}

static int run_show(const struct arguments *arguments)
{
    const struct show_values *const values = arguments->values;
    struct vm_status state = {.ended_by = NULL};
    json_t *configuration = NULL, *object;
    struct vm_server *server;
    struct vm vm;
    int status = vm_open(values->socket, arguments->operands[0], &server, &vm);

    if (status != STATUS_DONE)
        return status;
    status = vm_status_get(server, vm.uid, &state);
    if (status == STATUS_DONE)
        status = vm_configuration_look(server, vm.uid, &configuration);
    vm_server_close(server);
    if (status == STATUS_DONE && values->json) {
        object = vm_json(&vm);
        vm_end_json(&state, object);
        if (configuration != NULL)
            (void)json_object_set(object, "configuration", configuration);
        status = json_print(object);
    } else if (status == STATUS_DONE) {
        status = print(&vm, &state, configuration);
    }
    json_decref(configuration);
    vm_status_fini(&state);
    return status;
}

static const struct option show_options[] = {
    VM_SOCKET_OPTION(struct show_values),
    VM_JSON_OPTION(struct show_values),
};

static const char *const show_description[] = {
    "Shows VM, by its name or UID: its state, how it ended last, how often it was started by this "
    "server, and its configuration, which docs/formats/pool.md explains and `vine vm configure` "
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
    .run = run_show,
};
