/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/upload.c - see upload.h. */

#include "vmm/server/upload.h"

#include "utils/assert.h"
#include "vmm/server/registry_internal.h"

#include <errno.h>
#include <unistd.h>

static enum vine_server_error refuse_system(char why[VINE__SERVER_WHY_BYTES], int error)
{
    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
        return vine__registry_refuse(why, VINE_SERVER_E_FULL,
                                     "no room on the disk for what is uploaded");
    return vine__registry_refuse(why, VINE_SERVER_E_FAILED, "what is uploaded cannot be written");
}

/* Whether its owner may have that much, without what it takes the place of. */
static enum vine_server_error check_limits(const struct vine__registry *registry,
                                           const struct vine__vm *vm, enum vine__vm_upload kind,
                                           uint64_t size, char why[VINE__SERVER_WHY_BYTES])
{
    const struct vine__client *const owner = vm->owner;
    uint64_t others;

    if (size == 0)
        return vine__registry_refuse(why, VINE_SERVER_E_BAD_VALUE, "there is nothing in it");
    if (owner == NULL)
        return VINE_SERVER_E_DONE;
    if (kind != VINE__UPLOAD_DISK && size > owner->limits.kernel_bytes)
        return vine__registry_refuse(why, VINE_SERVER_E_LIMIT, "larger than a kernel may be");
    others = vine__registry_disk(registry, owner) - vm->facts.upload_bytes[kind];
    if (others > owner->limits.disk_bytes || size > owner->limits.disk_bytes - others)
        return vine__registry_refuse(why, VINE_SERVER_E_LIMIT,
                                     "more on the disk than there may be");
    return VINE_SERVER_E_DONE;
}

enum vine_server_error vine__upload_begin(struct vine__upload *upload,
                                          struct vine__registry *registry, struct vine__vm *vm,
                                          enum vine__vm_upload kind, uint64_t size_bytes,
                                          char why[VINE__SERVER_WHY_BYTES])
{
    enum vine_server_error told;

    VINE_ASSERT(upload->vm == NULL);
    told = vine__vm_check_idle(vm, why);
    if (told == VINE_SERVER_E_DONE)
        told = check_limits(registry, vm, kind, size_bytes, why);
    if (told != VINE_SERVER_E_DONE)
        return told;
    *upload = (struct vine__upload){
        .registry = registry, .vm = vm, .kind = kind, .fd = -1, .size_bytes = size_bytes};
    vm->phase = VINE__VM_UPLOADING;
    vm->reserved_bytes = size_bytes;
    return VINE_SERVER_E_DONE;
}

void vine__upload_abandon(struct vine__upload *upload)
{
    if (upload->vm == NULL)
        return;
    upload->vm->phase = VINE__VM_IDLE;
    upload->vm->reserved_bytes = 0;
    if (upload->fd >= 0)
        (void)close(upload->fd);
    upload->vm = NULL;
}

enum vine_server_error vine__upload_wrote(struct vine__upload *upload, size_t size, int error,
                                          char why[VINE__SERVER_WHY_BYTES])
{
    VINE_ASSERT(upload->vm != NULL && size <= upload->size_bytes - upload->done_bytes);
    if (error != 0) {
        vine__upload_abandon(upload);
        return refuse_system(why, error);
    }
    upload->done_bytes += size;
    return VINE_SERVER_E_DONE;
}

void vine__upload_end(struct vine__upload *upload, struct vine__asker *asker)
{
    VINE_ASSERT(upload->vm != NULL && upload->fd >= 0);
    VINE_ASSERT(upload->done_bytes == upload->size_bytes);
    vine__registry_put(upload->vm, upload->kind, upload->fd, upload->size_bytes, asker);
    upload->vm = NULL;
}
