/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_ls.c - `vine vm ls`: the VMs of a server.
 */
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "status.h"
#include "vm_verbs.h"

struct ls_values {
    const char *socket;
    bool json;
};

static json_t *line_json(const struct vm *vm)
{
    json_t *const object = vm_json(vm);

    (void)json_object_set_new(object, "state", json_string(vm->state));
    return object;
}

static int run_ls(const struct arguments *arguments)
{
    const struct ls_values *const values = arguments->values;
    json_t *const array = values->json ? json_array() : NULL;
    struct vm_server *server;
    struct vm *vms = NULL;
    size_t count = 0;
    int status = vm_server_open(values->socket, &server);

    if (status == STATUS_DONE) {
        status = vm_list(server, &vms, &count);
        vm_server_close(server);
    }
    for (size_t i = 0; i < count; i++)
        if (values->json)
            (void)json_array_append_new(array, line_json(&vms[i]));
        else
            printf("%-24s %-9s %s\n", vms[i].name, vms[i].state, vms[i].uid);
    free(vms);
    if (status == STATUS_DONE && values->json)
        return json_print(array);
    json_decref(array);
    return status;
}

static const struct option ls_options[] = {
    VM_SOCKET_OPTION(struct ls_values),
    VM_JSON_OPTION(struct ls_values),
};

static const char *const ls_description[] = {
    "Lists the VMs that the socket sees: its own, or all where it may see all, as the control "
    "socket may. Their states are what the server knows; no VM is asked, and one that hangs holds "
    "up nobody.",
    NULL,
};

const struct verb verb_vm_ls = {
    .name = "vm ls",
    .synopsis = "",
    .description = ls_description,
    .options = ls_options,
    .option_count = sizeof(ls_options) / sizeof(ls_options[0]),
    .values_size = sizeof(struct ls_values),
    .run = run_ls,
};
