/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_files.c - what `vine vm kernel`, `initrd` and `disk` share: one file of a machine in a pool
 * that no server serves.
 */
#include "vm_files.h"

#include <string.h>
#include <unistd.h>

#include "json.h"
#include "message.h"
#include "pools.h"
#include "status.h"

/* A disk that is new is the last of the configuration's list; one that goes is taken out of it. */
static int configure_disk(struct vine__pool_change *change, const struct vm_file *file,
                          const struct vine__pool_vm *vm, struct vine__problem *problem)
{
    json_t *const json = json_deep_copy(vm->configuration.json);
    json_t *disks = json_object_get(json, "disks");
    size_t index = 0;

    if (disks == NULL) {
        disks = json_array();
        (void)json_object_set_new(json, "disks", disks);
    }
    while (index < json_array_size(disks) &&
           strcmp(vm->configuration.disks[index].name, file->disk) != 0)
        index++;
    if (index < json_array_size(disks))
        (void)json_array_remove(disks, index);
    if (file->path != NULL)
        (void)json_array_insert_new(
            disks, index,
            json_pack("{s:s, s:b}", "name", file->disk, "read_only", file->is_read_only));
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
        error = configure_disk(change, file, file->former, problem);
    return error;
}

int vm_file_change(const char *pool_name, struct vm_file *file, bool json)
{
    const struct vine__pool_contents *contents;
    struct vine__pool *pool = NULL;
    int status = STATUS_DONE;

    if (pool_name == NULL) {
        message_error("say with --pool which pool the machine is in");
        return STATUS_USAGE;
    }
    file->source.fd = -1;
    if (file->path != NULL)
        status = pools_source(file->path, &file->source);
    if (status == STATUS_DONE)
        status = pools_open(pool_name, VINE__POOL_OWN, NULL, &pool, &contents);
    if (status == STATUS_DONE) {
        file->former = vine__pool_find(contents, file->vm);
        if (file->former == NULL || file->former->configuration.json == NULL) {
            message_error("%s has no usable machine \"%s\"", message_escape(pool_name),
                          message_escape(file->vm));
            status = STATUS_FAILED;
        }
    }
    if (status == STATUS_DONE)
        status = pools_change(pool, change_file, file);
    vine__pool_close(pool);
    if (file->source.fd >= 0)
        (void)close(file->source.fd);
    if (status != STATUS_DONE || !json)
        return status;
    return json_print(json_pack("{s:s}", "vm", file->vm));
}
