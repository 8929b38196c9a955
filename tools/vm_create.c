/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_create.c - `vine vm create`: another VM, with what it boots from.
 */
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_verbs.h"

struct create_values {
    const char *socket;
    const char *owner;
    const char *kernel;
    const char *initrd;
    const char *disk;
    uint64_t memory_bytes;
    uint64_t processors;
    bool json;
};

static int make(struct vm_server *server, const struct create_values *values, const char *name,
                char **ret_uid)
{
    const int status =
        values->owner != NULL
            ? vm_server_ask_waiting(server, VM_SERVER_CHANGE_MS,
                                    VINE_SERVER_OVER_ALL + VINE_SERVER_CREATE, "ss", values->owner,
                                    name)
            : vm_server_ask_waiting(server, VM_SERVER_CHANGE_MS, VINE_SERVER_CREATE, "s", name);

    if (values->owner == NULL && vm_server_error(server) == VINE_SERVER_E_LIMIT &&
        vm_server_number(server, VINE_SERVER_CREATE) != VINE_SERVER_CREATE)
        message_note("this socket may make VMs for all: --owner says which client's it is");
    return status != STATUS_DONE ? status : vm_server_text(server, ret_uid, VM_UID_BYTES - 1);
}

static int configure(struct vm_server *server, const struct create_values *values, const char *uid)
{
    json_t *json;
    int status;

    if (values->memory_bytes == 0 && values->processors == 0)
        return STATUS_DONE;
    status = vm_configuration_get(server, uid, &json);
    if (status != STATUS_DONE)
        return status;
    if (values->memory_bytes != 0)
        (void)json_object_set_new(json, "memory", json_unsigned(values->memory_bytes));
    if (values->processors != 0)
        (void)json_object_set_new(json, "processors", json_unsigned(values->processors));
    status = vm_configuration_set(server, uid, json);
    json_decref(json);
    return status;
}

static int upload(struct vm_server *server, enum vine_server_action action, const char *uid,
                  const char *path)
{
    return path == NULL ? STATUS_DONE
                        : vm_server_upload(server, vm_server_number(server, action), uid, path);
}

/* It is there with all that was wished for, or it is not there. An upload that was refused may have
 * ended the connection. */
static void take_back(const char *socket, const char *uid)
{
    struct vm_server *server;

    if (vm_server_open(socket, &server) != STATUS_DONE)
        return;
    (void)vm_server_ask_waiting(server, VM_SERVER_CHANGE_MS,
                                vm_server_number(server, VINE_SERVER_DELETE), "s", uid);
    vm_server_close(server);
}

static int run_create(const struct arguments *arguments)
{
    const struct create_values *const values = arguments->values;
    const char *const name = arguments->operands[0];
    struct vm_server *server;
    char *uid = NULL;
    int status = vm_server_open(values->socket, &server);

    if (status != STATUS_DONE)
        return status;
    status = make(server, values, name, &uid);
    if (status == STATUS_DONE) {
        vm_server_speak_of(server, name);
        status = configure(server, values, uid);
        if (status == STATUS_DONE)
            status = upload(server, VINE_SERVER_UPLOAD_KERNEL, uid, values->kernel);
        if (status == STATUS_DONE)
            status = upload(server, VINE_SERVER_UPLOAD_INITRD, uid, values->initrd);
        if (status == STATUS_DONE)
            status = upload(server, VINE_SERVER_UPLOAD_DISK, uid, values->disk);
        if (status != STATUS_DONE)
            take_back(values->socket, uid);
    }
    vm_server_close(server);
    if (status == STATUS_DONE && values->json)
        status = json_print(json_pack("{s:s, s:s}", "name", name, "uid", uid));
    else if (status == STATUS_DONE)
        printf("%s\n", message_escape(uid));
    free(uid);
    return status;
}

#define VALUE(field) .offset = offsetof(struct create_values, field)

static const struct option create_options[] = {
    VM_SOCKET_OPTION(struct create_values),
    {.name = "owner",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_CLIENT,
     VALUE(owner),
     .value = "CLIENT",
     .help = "whose it is, where the socket may make VMs for all; by the control socket, which has "
             "none of its own, this has to be said",
     .fallback = "(the socket's own)"},
    {.name = "kernel",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(kernel),
     .value = "FILE",
     .help = "its kernel, without which it does not start"},
    {.name = "initrd",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(initrd),
     .value = "FILE",
     .help = "its first file system"},
    {.name = "disk",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(disk),
     .value = "FILE",
     .help = "its disk `root`, a raw image"},
    {.name = "memory",
     .kind = OPTION_SIZE,
     VALUE(memory_bytes),
     .value = "SIZE",
     .help = "the guest's memory",
     .fallback = "256M"},
    {.name = "processors",
     .kind = OPTION_COUNT,
     VALUE(processors),
     .value = "N",
     .min = 1,
     .max = 255,
     .help = "the guest's processors",
     .fallback = "1"},
    VM_JSON_OPTION(struct create_values),
};

#undef VALUE

static const char *const create_description[] = {
    "Makes a VM and prints its UID, by which it is known from then on, as by NAME. It lies in the "
    "pool of the client whose it is, and counts against its limits. What cannot be uploaded, or is "
    "refused, leaves no VM behind.",
    NULL,
};

const struct verb verb_vm_create = {
    .name = "vm create",
    .synopsis = "NAME",
    .description = create_description,
    .options = create_options,
    .option_count = sizeof(create_options) / sizeof(create_options[0]),
    .values_size = sizeof(struct create_values),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_create,
};
