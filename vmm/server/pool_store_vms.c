/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/pool_store_vms.c - VMs of pools are made, changed and removed; see pool_store.h. */

#include "vmm/server/pool_store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROOT_DISK "root" /* what a client uploads */

static int no_memory(struct vine__problem *problem)
{
    return vine__problem_set(problem, -ENOMEM, "no memory");
}

/* ---- steps of changes ------------------------------------------------------------------------ */

static int make_step(struct vine__pool_change *change, void *context, struct vine__problem *problem)
{
    const struct vine__vm_store_work *const work = context;
    json_t *const json = vine__vm_configuration_new(work->name);
    int error = json != NULL ? vine__pool_change_add(change, work->name, work->uid, problem)
                             : no_memory(problem);

    if (error == 0)
        error = vine__pool_change_configure(change, work->name, json, problem);
    json_decref(json);
    return error;
}

static int remove_step(struct vine__pool_change *change, void *context,
                       struct vine__problem *problem)
{
    return vine__pool_change_remove(change, context, problem);
}

struct configuring {
    const char *name;
    const json_t *json;
};

static int configure_step(struct vine__pool_change *change, void *context,
                          struct vine__problem *problem)
{
    const struct configuring *const configuring = context;

    return vine__pool_change_configure(change, configuring->name, configuring->json, problem);
}

struct putting {
    const char *name;
    enum vine__vm_file file;
    struct vine__source source;
    struct vine__hauled *hauled;
    const json_t *json; /* a configuration that has the disk; NULL: it has it already */
};

static int put_step(struct vine__pool_change *change, void *context, struct vine__problem *problem)
{
    const struct putting *const putting = context;
    int error = vine__pool_change_place(change, putting->name, putting->file, ROOT_DISK,
                                        putting->hauled->arrival, problem);

    if (error == 0 && putting->json != NULL)
        error = vine__pool_change_configure(change, putting->name, putting->json, problem);
    return error;
}

/* ---- work ------------------------------------------------------------------------------------ */

struct doing {
    struct vine__pool_store *store;
    struct vine__vm_store_work *work;
    struct vine__pool_opened *opened;
    const struct vine__pool_vm *vm;
    struct vine__pool_haul *haul;
    char name[VINE__VM_NAME_BYTES];
    struct vine__problem problem;
};

/* All work below returns 0, an error, or 1: there is more to do, and it is called anew. */

/* Facts of the VM as it is now. */
static int tell(struct doing *doing)
{
    const struct vine__pool_vm *const vm =
        doing->opened->contents != NULL ? vine__pool_find(doing->opened->contents, doing->name)
                                        : NULL;

    if (vm == NULL)
        return vine__problem_set(&doing->problem, -EIO, "%s", doing->opened->problem.text);
    if (vine__pool_store_tell(doing->store, doing->opened, vm, &doing->work->facts) != 0)
        return no_memory(&doing->problem);
    return 0;
}

/* What has not ended well may lie in a journal, and was done when the pool was opened again, as it
 * is behind that: what is in it now counts. Returns 0 if that is what was wanted. */
static int look(struct doing *doing, int error, bool is_wanted)
{
    struct vine__vm_store_work *const work = doing->work;

    if (error == 0)
        return 0;
    work->is_in_doubt = doing->opened->contents == NULL;
    if (work->is_in_doubt)
        return error;
    return (vine__pool_opened_find(doing->opened, work->uid) != NULL) == is_wanted ? 0 : error;
}

static int create(struct doing *doing)
{
    int error;

    (void)snprintf(doing->name, sizeof(doing->name), "%s", doing->work->name);
    error = vine__pool_opened_change(doing->opened, make_step, doing->work, &doing->problem);
    error = look(doing, error, true);
    return error != 0 ? error : tell(doing);
}

/* What a guest has written goes back before its files or configuration are others. */
static int settle(struct doing *doing)
{
    char uid[VINE__VM_UID_BYTES];
    int error;

    memcpy(uid, doing->work->uid, sizeof(uid));
    error = vine__pool_store_put_back(doing->store, doing->opened, doing->vm, doing->haul,
                                      &doing->problem);
    if (error != 0)
        return error;
    doing->vm = vine__pool_opened_find(doing->opened, uid);
    return doing->vm != NULL ? 0 : vine__problem_set(&doing->problem, -EIO, "the pool is not open");
}

static int remove_vm(struct doing *doing)
{
    const char *const uid = doing->work->uid;
    int error;

    vine__pool_store_going(doing->store, uid, true);
    error = vine__pool_opened_change(doing->opened, remove_step, doing->name, &doing->problem);
    error = look(doing, error, false);
    if (error == 0)
        vine__pool_store_gone(doing->store, uid);
    else if (!doing->work->is_in_doubt)
        vine__pool_store_going(doing->store, uid, false);
    return error;
}

static int configure(struct doing *doing)
{
    const struct vine__vm_store_work *const work = doing->work;
    json_error_t json_error;
    json_t *json;
    int error;

    if (work->json_bytes > VINE__VM_CONFIGURATION_BYTES_MAX)
        return vine__problem_set(&doing->problem, -EINVAL, "a configuration has at most %d bytes",
                                 VINE__VM_CONFIGURATION_BYTES_MAX);
    json = json_loadb(work->json, work->json_bytes, JSON_REJECT_DUPLICATES, &json_error);
    if (json == NULL)
        return vine__problem_set(&doing->problem, -EINVAL, "the configuration, line %d: %s",
                                 json_error.line, json_error.text);
    const struct configuring configuring = {.name = doing->name, .json = json};

    error = settle(doing);
    if (error == 0 && !json_is_object(json))
        error = vine__problem_set(&doing->problem, -EINVAL, "a configuration is a JSON object");
    /* These two are not a client's to choose. */
    if (error == 0 &&
        (json_object_set_new(json, "name", json_string(doing->name)) != 0 ||
         json_object_set_new(json, "version", json_integer(VINE__VM_CONFIGURATION_VERSION)) != 0))
        error = no_memory(&doing->problem);
    if (error == 0)
        error = vine__pool_opened_change(doing->opened, configure_step, (void *)&configuring,
                                         &doing->problem);
    json_decref(json);
    return error != 0 ? error : tell(doing);
}

/* A configuration that has the disk as its first one; NULL: no memory. */
static json_t *with_root_disk(const struct vine__vm_configuration *configuration)
{
    json_t *const json = json_deep_copy(configuration->json);
    json_t *disks = json_object_get(json, "disks");

    if (json != NULL && disks == NULL) {
        disks = json_array();
        (void)json_object_set_new(json, "disks", disks);
    }
    if (json_array_insert_new(disks, 0, json_pack("{s:s}", "name", ROOT_DISK)) == 0)
        return json;
    json_decref(json);
    return NULL;
}

static bool has_root_disk(const struct vine__vm_configuration *configuration)
{
    for (uint32_t i = 0; i < configuration->disk_count; i++)
        if (strcmp(configuration->disks[i].name, ROOT_DISK) == 0)
            return true;
    return false;
}

static int put(struct doing *doing)
{
    static const enum vine__vm_file files[] = {[VINE__UPLOAD_KERNEL] = VINE__VM_KERNEL,
                                               [VINE__UPLOAD_INITRD] = VINE__VM_INITRD,
                                               [VINE__UPLOAD_DISK] = VINE__VM_DISK};
    struct putting putting = {.name = doing->name,
                              .file = files[doing->work->upload],
                              .source = {.name = "the upload", .fd = doing->work->fd},
                              .hauled = &doing->haul->upload};
    json_t *json = NULL;
    int error = settle(doing);

    if (error == 0)
        error = vine__pool_haul_in(doing->opened, putting.hauled, putting.file, &putting.source,
                                   &doing->problem);
    if (error == 0 && putting.file == VINE__VM_DISK && doing->vm->configuration.json != NULL &&
        !has_root_disk(&doing->vm->configuration)) {
        json = with_root_disk(&doing->vm->configuration);
        putting.json = json;
        if (json == NULL)
            error = no_memory(&doing->problem);
    }
    if (error == 0)
        error = vine__pool_opened_change(doing->opened, put_step, &putting, &doing->problem);
    json_decref(json);
    return error != 0 ? error : tell(doing);
}

static int act(struct doing *doing)
{
    struct vine__vm_store_work *const work = doing->work;
    int error;

    if (work->task == VINE__VM_CREATE && doing->opened == NULL)
        return vine__problem_set(&doing->problem, -ENODEV, "the pool of this client is not open");
    if (work->task == VINE__VM_CREATE && doing->opened->contents == NULL)
        return vine__problem_set(&doing->problem, -EIO, "%s", doing->opened->problem.text);
    if (doing->opened != NULL && work->task == VINE__VM_PUT &&
        vine__pool_opened_leave_mount(doing->opened, &doing->problem) != 0)
        return -EIO;
    if (doing->opened != NULL)
        doing->vm = vine__pool_opened_find(doing->opened, work->uid);
    if (work->task == VINE__VM_CREATE)
        return doing->vm == NULL ? create(doing)
                                 : vine__problem_set(&doing->problem, -EEXIST,
                                                     "the pool has a VM of this UID already");
    if (doing->vm == NULL)
        return vine__problem_set(&doing->problem, -ENODEV, "no pool that is open has it");
    memcpy(doing->name, doing->vm->entry.name, sizeof(doing->name));
    switch (work->task) {
    case VINE__VM_REMOVE:
        return remove_vm(doing);
    case VINE__VM_CONFIGURE:
        return configure(doing);
    case VINE__VM_PUT:
        return put(doing);
    case VINE__VM_TAKE_OUT:
        return vine__pool_store_take_out(doing->store, doing->opened, doing->vm, doing->haul,
                                         &work->boot, &doing->problem);
    default:
        error = vine__pool_store_put_back(doing->store, doing->opened, doing->vm, doing->haul,
                                          &doing->problem);
        return error != 0 ? error : tell(doing);
    }
}

bool vine__pool_store_do(struct vine__vm_store_work *work)
{
    struct doing doing = {.store = work->store, .opened = work->opened, .work = work};
    const bool is_first = work->haul == NULL;

    if (is_first)
        work->haul = vine__pool_haul_create();
    doing.haul = work->haul;
    const int error = doing.haul != NULL ? act(&doing) : no_memory(&doing.problem);

    if (doing.opened != NULL && is_first && error > 0)
        doing.opened->haul_count++;
    if (error > 0)
        return false;
    if (doing.opened != NULL && !is_first)
        doing.opened->haul_count--;
    vine__pool_haul_free(work->haul);
    work->haul = NULL;
    if (doing.opened != NULL)
        vine__pool_opened_settle(doing.opened);
    if (work->task == VINE__VM_PUT)
        (void)close(work->fd);
    work->error = vine__pool_store_error(error);
    if (error != 0)
        (void)snprintf(work->why, sizeof(work->why), "%.239s", doing.problem.text);
    return true;
}
