/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_files.c - what `vine vm kernel`, `initrd` and `disk` share: one file of a machine.
 */
#include "vm_files.h"

#include <string.h>
#include <unistd.h>

#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_verbs.h"

struct vm_file {
    const struct vm_file_values *values;
    enum vine__vm_file file;
    const char *vm;
    const char *disk; /* its name, of a disk */
    const char *path; /* where it comes from; NULL: it is taken away */
    struct vine__source source;
    const struct vine__pool_vm *former;
    json_t *told; /* its name and UID, where one was found */
};

/* A disk that is new is the last of the configuration's list; one that goes is taken out of it. */
static int configure_disk(struct vine__pool_change *change, const struct vm_file *file,
                          struct vine__problem *problem)
{
    const struct vine__vm_configuration *const former = &file->former->configuration;
    json_t *const json = json_deep_copy(former->json);
    json_t *disks = json_object_get(json, "disks");
    size_t index = 0;

    if (disks == NULL) {
        disks = json_array();
        (void)json_object_set_new(json, "disks", disks);
    }
    while (index < json_array_size(disks) && strcmp(former->disks[index].name, file->disk) != 0)
        index++;
    if (index < json_array_size(disks))
        (void)json_array_remove(disks, index);
    if (file->path != NULL)
        (void)json_array_insert_new(
            disks, index,
            json_pack("{s:s, s:b}", "name", file->disk, "read_only", file->values->is_read_only));
    const int error = vine__pool_change_configure(change, file->vm, json, problem);

    json_decref(json);
    return error;
}

static int change_file(struct vine__pool_change *change, void *context,
                       struct vine__problem *problem)
{
    const struct vm_file *const file = context;
    int error;

    if (file->path != NULL)
        error =
            vine__pool_change_put(change, file->vm, file->file, file->disk, &file->source, problem);
    else
        error = vine__pool_change_take(change, file->vm, file->file, file->disk, problem);
    if (error == 0 && file->file == VINE__VM_DISK)
        error = configure_disk(change, file, problem);
    return error;
}

/* ---- by a server ----------------------------------------------------------------------------- */

/* What a server can be told of. */
static int check_for_server(const struct vm_file *file)
{
    if (file->path == NULL) {
        message_error("a server takes no file away: say with --pool which pool that no server has");
        return STATUS_USAGE;
    }
    if (file->file == VINE__VM_DISK && strcmp(file->disk, "root") != 0) {
        message_error("a server is told of the disk `root` alone: say with --pool which pool that "
                      "no server has");
        return STATUS_USAGE;
    }
    return STATUS_DONE;
}

/* That the guest can write it or not is the configuration's. */
static int configure_root(struct vm_server *server, const char *uid, bool is_read_only)
{
    json_t *json, *disk;
    bool is_changed = false;
    size_t i;
    int status = vm_configuration_get(server, uid, &json);

    if (status != STATUS_DONE)
        return status;
    json_array_foreach(json_object_get(json, "disks"), i, disk)
    {
        const char *const name = json_string_value(json_object_get(disk, "name"));

        if (name == NULL || strcmp(name, "root") != 0 ||
            json_is_true(json_object_get(disk, "read_only")) == is_read_only)
            continue;
        (void)json_object_set_new(disk, "read_only", json_boolean(is_read_only));
        is_changed = true;
    }
    if (is_changed)
        status = vm_configuration_set(server, uid, json);
    json_decref(json);
    return status;
}

static int change_by_server(struct vm_file *file)
{
    const enum vine_server_action action = file->file == VINE__VM_KERNEL ? VINE_SERVER_UPLOAD_KERNEL
                                           : file->file == VINE__VM_INITRD
                                               ? VINE_SERVER_UPLOAD_INITRD
                                               : VINE_SERVER_UPLOAD_DISK;
    struct vm_server *server;
    struct vm vm;
    int status = check_for_server(file);

    if (status == STATUS_DONE)
        status = vm_open(file->values->socket, file->vm, &server, &vm);
    if (status != STATUS_DONE)
        return status;
    status = vm_server_upload(server, vm_server_number(server, action), vm.uid, file->path);
    if (status == STATUS_DONE && file->file == VINE__VM_DISK)
        status = configure_root(server, vm.uid, file->values->is_read_only);
    file->told = vm_json(&vm);
    vm_server_close(server);
    return status;
}

/* ---- in a pool ------------------------------------------------------------------------------- */

int vm_files_check_place(const char *pool_name, const char *socket)
{
    if (pool_name == NULL || socket == NULL)
        return STATUS_DONE;
    message_error("say either --pool, of one that no server has, or --socket");
    return STATUS_USAGE;
}

int vm_files_open(const char *pool_name, const char *name, struct vine__pool **ret_pool,
                  const struct vine__pool_vm **ret_vm)
{
    const struct vine__pool_contents *contents;
    const int status = pools_open(pool_name, VINE__POOL_OWN, NULL, ret_pool, &contents);

    if (status != STATUS_DONE)
        return status;
    *ret_vm = vine__pool_find(contents, name);
    if (*ret_vm != NULL && (*ret_vm)->configuration.json != NULL)
        return STATUS_DONE;
    message_error("%s has no usable machine \"%s\"", message_escape(pool_name),
                  message_escape(name));
    return STATUS_FAILED;
}

static int change_in_pool(struct vm_file *file)
{
    struct vine__pool *pool = NULL;
    int status = STATUS_DONE;

    file->source.fd = -1;
    if (file->path != NULL)
        status = pools_source(file->path, &file->source);
    if (status == STATUS_DONE)
        status = vm_files_open(file->values->pool, file->vm, &pool, &file->former);
    if (status == STATUS_DONE) {
        file->told = pools_vm_json(file->former);
        status = pools_change(pool, change_file, file);
    }
    vine__pool_close(pool);
    if (file->source.fd >= 0)
        (void)close(file->source.fd);
    return status;
}

int vm_file_run(const struct arguments *arguments, enum vine__vm_file file)
{
    const struct vm_file_values *const values = arguments->values;
    char **const operands = arguments->operands;
    const size_t path_index = file == VINE__VM_DISK ? 2 : 1;
    struct vm_file change = {
        .values = values,
        .file = file,
        .vm = operands[0],
        .disk = file == VINE__VM_DISK ? operands[1] : NULL,
        .path = values->none ? NULL : operands[path_index],
    };
    int status;

    if (values->none != (arguments->operand_count == path_index)) {
        message_error("say either FILE or --none");
        return STATUS_USAGE;
    }
    status = vm_files_check_place(values->pool, values->socket);
    if (status == STATUS_DONE && change.disk != NULL)
        status = pools_check_disk(change.disk);
    if (status == STATUS_DONE)
        status = values->pool != NULL ? change_in_pool(&change) : change_by_server(&change);
    if (status == STATUS_DONE && values->json)
        return json_print(change.told);
    json_decref(change.told);
    return status;
}
