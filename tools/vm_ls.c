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

/* What keeps one that is off from being as it should. */
static bool has_problem(const struct vm_status *status)
{
    return strcmp(status->ended_by, "unusable") == 0 || vm_is_unsaved(status);
}

/* Of one that does not run; of one that was removed since there is nothing. */
static int look(struct vm_server *server, const struct vm *vm, struct vm_status *ret_status)
{
    int status;

    if (!vm_state_is_off(vm->state))
        return STATUS_DONE;
    vm_server_expect(server, VINE_SERVER_E_NO_VM);
    status = vm_status_get(server, vm->uid, ret_status);
    vm_server_expect(server, VINE_SERVER_E_DONE);
    return vm_server_error(server) == VINE_SERVER_E_NO_VM ? STATUS_DONE : status;
}

static int print(struct vm_server *server, const struct vm *vm, json_t *array)
{
    struct vm_status now = {.ended_by = NULL};
    const int status = look(server, vm, &now);
    const bool is_bad = now.ended_by != NULL && has_problem(&now);

    if (status != STATUS_DONE)
        return status;
    if (array == NULL) {
        printf("%-24s %-9s %s%s%s%s%s\n", vm->name, vm->state, vm->uid, is_bad ? "  " : "",
               is_bad ? now.ended_by : "", is_bad ? ", " : "",
               is_bad ? message_escape(now.ended_text) : "");
    } else {
        json_t *const object = vm_json(vm);

        (void)json_object_set_new(object, "state", json_string(vm->state));
        if (is_bad)
            json_set_name(object, "problem", now.ended_text);
        (void)json_array_append_new(array, object);
    }
    vm_status_fini(&now);
    return STATUS_DONE;
}

/* What is wrong with files of the server's own; an older one has nothing to say. */
static int tell_faults(struct vm_server *server)
{
    const json_t *fault;
    json_t *faults;
    char *text;
    size_t i;
    int status;

    if (!vm_server_is_control(server))
        return STATUS_DONE;
    vm_server_expect(server, VINE_SERVER_E_UNKNOWN_COMMAND);
    status = vm_server_ask(server, VINE_SERVER_FAULTS, "");
    vm_server_expect(server, VINE_SERVER_E_DONE);
    if (vm_server_error(server) == VINE_SERVER_E_UNKNOWN_COMMAND)
        return STATUS_DONE;
    if (status == STATUS_DONE)
        status = vm_server_text(server, &text, VM_SERVER_LIST_BYTES);
    if (status != STATUS_DONE)
        return status;
    faults = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    json_array_foreach(faults, i, fault)
    {
        if (json_is_string(fault))
            message_warning("the server: %s", message_escape(json_string_value(fault)));
    }
    json_decref(faults);
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
        status = tell_faults(server);
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
    "up nobody. One that cannot be started says why, and so does one whose disks are not back in "
    "its pool.",
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
