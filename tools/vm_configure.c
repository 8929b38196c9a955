/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_configure.c - `vine vm configure`: another configuration for a VM.
 */
#include "json.h"
#include "status.h"
#include "vm_verbs.h"

struct configure_values {
    const char *socket;
    bool json;
};

static int run_configure(const struct arguments *arguments)
{
    const struct configure_values *const values = arguments->values;
    struct vm_server *server;
    json_t *json;
    struct vm vm;
    int status;

    json = json_read_object(arguments->operands[1]);
    if (json == NULL)
        return STATUS_USAGE;
    status = vm_open(values->socket, arguments->operands[0], &server, &vm);
    if (status == STATUS_DONE) {
        status = vm_configuration_set(server, vm.uid, json);
        vm_server_close(server);
    }
    json_decref(json);
    if (status != STATUS_DONE || !values->json)
        return status;
    return json_print(vm_json(&vm));
}

static const struct option configure_options[] = {
    VM_SOCKET_OPTION(struct configure_values),
    VM_JSON_OPTION(struct configure_values),
};

static const char *const configure_description[] = {
    "Gives VM, which is off, the configuration in FILE, or on standard input (`-`), in the place "
    "of the one that it has: JSON, as `vine vm show` prints it and docs/formats/pool.md explains "
    "it.",
    NULL,
};

const struct verb verb_vm_configure = {
    .name = "vm configure",
    .synopsis = "VM FILE",
    .description = configure_description,
    .options = configure_options,
    .option_count = sizeof(configure_options) / sizeof(configure_options[0]),
    .values_size = sizeof(struct configure_values),
    .operands_min = 2,
    .operands_max = 2,
    .hints = {COMPLETE_VM, COMPLETE_FILE},
    .run = run_configure,
};
