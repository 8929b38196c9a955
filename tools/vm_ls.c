/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_ls.c - `vine vm ls`: the VMs of a server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_verbs.h"

struct ls_values {
    const char *socket;
    bool json;
};

/* Why it cannot be started, of one that cannot, for free(); else, and of one that was removed
 * since, NULL. */
static int find_problem(struct vm_server *server, const struct vm *vm, char **ret_problem)
{
    struct vm_status now = {.ended_by = NULL};
    int status;

    *ret_problem = NULL;
    if (strcmp(vm->state, "off") != 0)
        return STATUS_DONE;
    vm_server_expect(server, VINE_SERVER_E_NO_VM);
    status = vm_status_get(server, vm->uid, &now);
    vm_server_expect(server, VINE_SERVER_E_DONE);
    if (vm_server_error(server) == VINE_SERVER_E_NO_VM)
        return STATUS_DONE;
    if (status == STATUS_DONE && strcmp(now.ended_by, "unusable") == 0) {
        *ret_problem = now.ended_text;
        now.ended_text = NULL;
    }
    vm_status_fini(&now);
    return status;
}

static int print(struct vm_server *server, const struct vm *vm, json_t *array)
{
    char *problem;
    const int status = find_problem(server, vm, &problem);

    if (status != STATUS_DONE)
        return status;
    if (array == NULL) {
        printf("%-24s %-9s %s%s%s\n", vm->name, vm->state, vm->uid,
               problem != NULL ? "  unusable, " : "",
               problem != NULL ? message_escape(problem) : "");
    } else {
        json_t *const object = vm_json(vm);

        (void)json_object_set_new(object, "state", json_string(vm->state));
        if (problem != NULL)
            json_set_name(object, "problem", problem);
        (void)json_array_append_new(array, object);
    }
    free(problem);
    return STATUS_DONE;
}

static int run_ls(const struct arguments *arguments)
{
    const struct ls_values *const values = arguments->values;
    json_t *const array = values->json ? json_array() : NULL;
    struct vm_server *server = NULL;
    struct vm *vms = NULL;
    size_t count = 0;
    int status = vm_server_open(values->socket, &server);

    if (status == STATUS_DONE)
        status = vm_list(server, &vms, &count);
    for (size_t i = 0; status == STATUS_DONE && i < count; i++)
        status = print(server, &vms[i], array);
    vm_server_close(server);
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
    "up nobody. One that cannot be started says why.",
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
